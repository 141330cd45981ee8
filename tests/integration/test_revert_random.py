"""Random operations of every verb, reverted in the reverse of their order: after each the tables are as before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from hypothesis import Phase, given, settings

from bulkql.workers.enums import Verb
from bulkql.workers.models import Operation
from bulkql.workers.operations.revert import RevertOptions, revert
from bulkql.workers.resources.registry import registered
from tests.conftest import Done
from tests.integration.test_semantics import bounded, chunk_sizes, fill, some_requests
from tests.semantics.lanes import at_once
from tests.semantics.strategies import tables
from tests.semantics.tables import Request, Tables
from tests.zoo.models import Folder, Seal, Shelf, Toy

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]


def state() -> list[Any]:
    """All rows of the tables that the requests are about, as the database writes them."""
    found = []
    with connection.cursor() as cursor:
        for model in (Shelf, Toy, Seal, Folder):
            cursor.execute(f"SELECT t::text FROM {model._meta.db_table} t ORDER BY id")
            found.append(cursor.fetchall())
    return found


@pytest.fixture(params=["COPY", "SAVE"])
def in_lane(request: Any, monkeypatch: Any) -> None:
    for resource in registered():
        monkeypatch.setattr(type(resource), "writes", request.param)


@settings(bounded, max_examples=15, phases=[Phase.generate])
@given(before=tables(), requests=some_requests, chunk_size=chunk_sizes)
def test_there_and_back(user, in_lane, before: Tables, requests: list[Request], chunk_size: int):
    fill(before)
    done: list[tuple[Operation, list[Any]]] = []
    for one in requests:
        was = state()
        operation = at_once(user, one, chunk_size)
        if state() != was:
            done.append((operation, was))

    for operation, was in reversed(done):
        undone = Done(revert(operation, user, RevertOptions(chunk_size=chunk_size)))

        assert undone.errors == []
        assert state() == was


def folders(count: int, arity: int) -> list[dict[str, Any]]:
    """A tree: each folder under an earlier one of the same request."""
    return [{"name": f"f{n}", **({"parentBy": {"name": f"f{(n - 1) // arity}"}} if n else {})} for n in range(count)]


@pytest.mark.parametrize("chunk_size", [3, 100])
def test_a_tree_that_was_created(bulk: Callable[..., Done], user, in_lane, chunk_size):
    created = bulk(Verb.CREATE, "folders", folders(20, 2), chunk_size=chunk_size)
    assert created.errors == []

    undone = Done(revert(created.operation, user, RevertOptions()))

    assert (undone.errors, set(undone.outcomes)) == ([], {"DELETED"})
    assert not Folder.objects.exists()


@pytest.mark.parametrize("chunk_size", [3, None])
@pytest.mark.parametrize("names", [["f0"], ["f1", "f2", "f14"], [f"f{n}" for n in range(20)]], ids=len)
def test_a_tree_that_was_deleted(bulk: Callable[..., Done], user, in_lane, names, chunk_size):
    bulk(Verb.CREATE, "folders", folders(20, 2))
    was = state()
    deleted = bulk(Verb.DELETE, "folders", [{"name": name} for name in names], match_by=["name"])
    assert Folder.objects.count() < 20

    undone = Done(revert(deleted.operation, user, RevertOptions(chunk_size=chunk_size)))

    assert undone.errors == []
    assert state() == was


@pytest.mark.parametrize("chunk_size", [1, 10])
def test_a_tree_that_was_moved_under_a_new_row(bulk: Callable[..., Done], user, in_lane, chunk_size):
    bulk(Verb.CREATE, "folders", folders(7, 2))
    was = state()
    rows = [{"name": "new"}, {"name": "f1", "parentBy": {"name": "new"}}]
    moved = bulk(Verb.UPSERT, "folders", rows, chunk_size=chunk_size)
    assert moved.outcomes == ["CREATED", "UPDATED"]

    undone = Done(revert(moved.operation, user, RevertOptions(chunk_size=chunk_size)))

    assert (undone.errors, undone.outcomes) == ([], ["UPDATED", "DELETED"])
    assert state() == was
