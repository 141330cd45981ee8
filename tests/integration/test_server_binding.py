"""A project may have the database bind the parameters of its statements (OPTIONS: server_side_binding)."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.backends.postgresql.base import ServerBindingCursor

import bulkql
from bulkql.workers.enums import Verb
from tests.zoo.models import Item

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]


@pytest.fixture(autouse=True)
def _bound_by_the_server(db):
    connection.ensure_connection()
    usual, connection.connection.cursor_factory = connection.connection.cursor_factory, ServerBindingCursor
    yield
    connection.connection.cursor_factory = usual


@pytest.fixture
def items(db):
    return Item.objects.bulk_create(Item(code=code, qty=1) for code in "abcd")


def codes():
    return "".join(sorted(Item.objects.values_list("code", flat=True)))


@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.REPLACE])
def test_rows_that_violate_a_constraint_are_named(bulk, items, verb):
    rows = [{"id": items[0].pk, "code": "b"}, {"id": items[2].pk, "code": "x"}]

    done = bulk(verb, "items", rows)

    assert done.codes == [(0, "code", "ALREADY_EXISTS")]
    assert codes() == "abdx"


def test_values_change_hands(bulk, items):
    done = bulk(Verb.UPDATE, "items", [{"id": one.pk, "code": code} for one, code in zip(items, "dcba", strict=True)])

    assert done.outcomes == ["UPDATED"] * 4
    assert codes() == "abcd"


def test_a_sync_deletes_what_is_missing_and_is_undone(user, items):
    before = codes()
    rows = [{"code": one.code, "qty": 2} for one in items[:3]]

    done = bulkql.sync(Item, rows, user=user, delete_missing=True, max_deletes=1)
    assert (done.updated, done.deleted, codes()) == (3, 1, "abc")

    assert bulkql.revert(done, user=user).state == "COMPLETED"
    assert codes() == before


def test_exports_and_plans(user, items):
    assert bulkql.export(Item, fields=["id", "code"], user=user).exported == 4

    planned = bulkql.update(Item, [{"id": items[0].pk, "code": "x"}], user=user, dry_run=True)
    assert bulkql.apply(planned, user=user).updated == 1
    assert codes() == "bcdx"
