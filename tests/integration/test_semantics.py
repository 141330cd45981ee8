"""Random requests of every verb: the pipeline and the model in tests/semantics come to the same end.

However rows are cut into chunks, whoever writes these, and however the rows were sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkql.workers.enums import Verb
from bulkql.workers.models import Chunk, Input, Operation, StoredFile, StoredPart, Upload
from bulkql.workers.operations import rows as writing
from bulkql.workers.readers.options import FileFormat
from bulkql.workers.writers import orm
from tests.semantics.files import fitting
from tests.semantics.lanes import as_file, at_once, by_workers, from_plan, told
from tests.semantics.strategies import request, tables
from tests.semantics.tables import Request, Tables, Told
from tests.semantics.verbs import DependsOnOrder, perform
from tests.zoo.models import Seal, Shelf, Toy

pytestmark = pytest.mark.django_db(transaction=True)

WORKERS = 3
#: Children before parents.
EMPTIED = (Seal, Toy, Shelf, Chunk, Input, Operation, Upload, StoredPart, StoredFile)

bounded = settings(
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
some_requests = st.lists(request(), min_size=1, max_size=3)
chunk_sizes = st.integers(1, 7)


@settings(bounded, max_examples=60)
@given(before=tables(), requests=some_requests, chunk_size=chunk_sizes)
def test_rows_that_a_request_waits_for(user, before, requests, chunk_size):
    assert_same(before, requests, partial(at_once, user, chunk_size=chunk_size))


@settings(bounded, max_examples=25)
@given(before=tables(), requests=some_requests, chunk_size=chunk_sizes)
def test_rows_that_the_orm_writes(user, monkeypatch, before, requests, chunk_size):
    by_verb = writing.writer
    with monkeypatch.context() as patch:
        patch.setattr(writing, "writer", lambda plan: by_verb(plan) if plan.verb == Verb.DELETE else orm.write)

        assert_same(before, requests, partial(at_once, user, chunk_size=chunk_size))


@settings(bounded, max_examples=25)
@given(before=tables(), requests=some_requests, chunk_size=chunk_sizes)
def test_rows_that_several_workers_write(user, pool, before, requests, chunk_size):
    assert_same(before, requests, partial(by_workers, pool, user, chunk_size=chunk_size))


@settings(bounded, max_examples=25)
@given(before=tables(), requests=some_requests, chunk_size=chunk_sizes)
def test_rows_that_were_looked_at_and_are_applied(user, before, requests, chunk_size):
    assert_same(before, requests, partial(from_plan, user, chunk_size=chunk_size))


@pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.NDJSON])
@settings(bounded, max_examples=20)
@given(before=tables(), requests=some_requests, chunk_size=chunk_sizes)
def test_rows_in_files(user, file_format, before, requests, chunk_size):
    in_files = [found for one in requests if (found := fitting(file_format, one)) is not None]

    assert_same(before, in_files, partial(as_file, file_format, user, chunk_size=chunk_size))


def assert_same(before: Tables, requests: list[Request], lane: Callable[[Request], Operation]) -> None:
    """One request after the other, by the model and by the pipeline."""
    fill(before)
    for one in requests:
        try:
            after, expected = perform(before, one)
        except DependsOnOrder:
            continue

        found = told(lane(one))

        pks = new_pks(expected, found)
        expected.outcomes = {row: (outcome, pks.get(pk, pk)) for row, (outcome, pk) in expected.outcomes.items()}
        before = after.renamed(pks)
        assert found == expected
        assert stored() == before.rows


def new_pks(expected: Told, found: Told) -> dict[int | None, int]:
    """The primary keys that the database gave to new rows, by those that the model gave them."""
    outcomes = {row: pk for row, (outcome, pk) in found.outcomes.items() if outcome == "CREATED" and pk is not None}
    return {expected.outcomes[row][1]: pk for row, pk in outcomes.items() if row in expected.outcomes}


def fill(wanted: Tables) -> None:
    """The tables as they are in the model, and nothing else in any."""
    with connection.cursor() as cursor:
        cursor.execute(";".join(f"DELETE FROM {model._meta.db_table}" for model in EMPTIED))
    Shelf.objects.bulk_create(Shelf(pk=pk, **shelf) for pk, shelf in wanted.rows["shelves"].items())
    Toy.objects.bulk_create(
        Toy(pk=pk, **{"shelf_id" if name == "shelf" else name: value for name, value in toy.items()})
        for pk, toy in wanted.rows["toys"].items()
    )
    Seal.objects.bulk_create(Seal(toy_id=pk) for pk in wanted.seals)


def stored() -> dict[str, dict[int, dict[str, Any]]]:
    """The tables, as the model has them."""
    found = {"shelves": list(Shelf.objects.values()), "toys": list(Toy.objects.values())}
    for toy in found["toys"]:
        toy["shelf"] = toy.pop("shelf_id")
    return {resource: {row.pop("id"): row for row in rows} for resource, rows in found.items()}


@pytest.fixture(autouse=True)
def _high_keys(db: None) -> None:
    """New rows have other primary keys than those of the first tables."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval('zoo_toy_id_seq', 1000), setval('zoo_shelf_id_seq', 1000)")


@pytest.fixture
def pool(db: None) -> Iterator[Executor]:
    """Threads that keep their connections, and close them in the end."""
    everybody = Barrier(WORKERS)

    def leave(_: int) -> None:
        everybody.wait()
        connection.close()

    with ThreadPoolExecutor(WORKERS) as executor:
        yield executor
        list(executor.map(leave, range(WORKERS)))
