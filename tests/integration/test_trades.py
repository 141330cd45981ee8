"""Unique values that change hands inside a request are written wherever the end allows it, however rows are cut."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management.color import no_style
from django.db import connection

from bulkql.workers.enums import OnError, Verb
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.models import Chunk, Operation
from bulkql.workers.operations import rows as writing
from bulkql.workers.operations import running, steps
from bulkql.workers.operations.retry import retry
from bulkql.workers.operations.revert import RevertOptions, revert
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.uploads import uploads
from bulkql.workers.writers import orm
from tests.conftest import Done
from tests.zoo.models import Keeper, Locker, Shelf, Toy

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 6
#: What lockers hand on to each other: of locker n what locker `of` has.
KINDS: dict[str, Any] = {
    "number": lambda of: {"number": of},
    "keeper": lambda of: {"keeper": of},
    "place": lambda of: {"place": of},
    "label": lambda of: {"label": f"LABEL {of}"},
    "badge": lambda of: {"badge": f"badge {of}"},
    "all": lambda of: {"number": of, "keeper": of, "place": of, "label": f"Label {of}", "badge": f"badge {of}"},
}
#: Who has what afterwards, by who had it.
WAYS = {
    "swap": {1: 2, 2: 1, 5: 6, 6: 5},
    "down": {n: n - 1 for n in range(1, COUNT + 1)},
    "up": {n: n + 1 for n in range(1, COUNT + 1)},
    "ring": {n: n % COUNT + 1 for n in range(1, COUNT + 1)},
}


@pytest.fixture(autouse=True)
def _lockers(db):
    Keeper.objects.bulk_create(Keeper(pk=n, code=f"k{n}") for n in range(COUNT + 12))
    fill()


def fill():
    Locker.objects.all().delete()
    Locker.objects.bulk_create(
        Locker(pk=n, number=n, keeper_id=n, place=n, label=f"label {n}", badge=f"badge {n}")
        for n in range(1, COUNT + 1)
    )
    with connection.cursor() as cursor:
        # New rows come behind them, whatever ran before.
        for statement in connection.ops.sequence_reset_sql(no_style(), [Locker]):
            cursor.execute(statement)


def ends(kind):
    """The numbers in what lockers have now."""
    names = list(KINDS[kind](1))
    return {pk: {int("".join(filter(str.isdigit, str(one)))) for one in values}
            for pk, *values in Locker.objects.values_list("pk", *names)}  # fmt: skip


@pytest.mark.parametrize("chunk_size", [2, 10])
def test_what_lockers_hand_on(bulk, chunk_size):
    for kind, way in product(KINDS, WAYS):
        rows = [{"id": pk, **KINDS[kind](of)} for pk, of in WAYS[way].items()]

        done = bulk(Verb.UPDATE, "lockers", rows, chunk_size=chunk_size)

        assert (kind, way, set(done.outcomes), done.codes) == (kind, way, {"UPDATED"}, [])
        assert ends(kind) == {n: {WAYS[way].get(n, n)} for n in range(1, COUNT + 1)}
        fill()


@pytest.mark.parametrize("by", ["copy", "orm"])
def test_every_verb_and_writer(bulk, monkeypatch, by):
    if by == "orm":
        monkeypatch.setattr(writing, "writer", lambda plan: orm.write)
    for verb, on_error in product([Verb.UPDATE, Verb.REPLACE, Verb.UPSERT], OnError):
        key = "id" if verb != Verb.UPSERT else "number"
        rows = [
            {"number": of, **KINDS["all"](of), "label": f"x{of}", "badge": f"x{of}", "place": of} | {key: pk}
            for pk, of in WAYS["ring"].items()
        ]

        tried = bulk(verb, "lockers", rows, chunk_size=2, on_error=on_error, dry_run=True)
        before = ends("keeper")
        done = bulk(verb, "lockers", rows, chunk_size=2, on_error=on_error)

        assert tried.outcomes == done.outcomes == ["UPDATED"] * COUNT
        assert before == {n: {n} for n in range(1, COUNT + 1)}
        assert ends("keeper") == {n: {n % COUNT + 1} for n in range(1, COUNT + 1)}
        fill()


@pytest.mark.parametrize("chunk_size", [1, 10])
def test_who_waits_for_a_bad_row_keeps_what_he_has(bulk, chunk_size):
    rows = [{"id": n, "number": n - 1} for n in range(1, COUNT + 1)]
    rows[2] = {"id": 3, "number": 2, "keeper": 999}

    done = bulk(Verb.UPDATE, "lockers", rows, chunk_size=chunk_size)

    assert done.outcomes == ["UPDATED", "UPDATED", "FAILED", "FAILED", "FAILED", "FAILED"]
    taken = [(index, "number", "ALREADY_EXISTS") for index in (3, 4, 5)]
    assert done.codes == [(2, "keeper", "REFERENCE_NOT_FOUND"), *taken]
    assert ends("number") == {1: {0}, 2: {1}, 3: {3}, 4: {4}, 5: {5}, 6: {6}}


@pytest.mark.parametrize("chunk_size", [1, 10])
def test_a_bad_row_keeps_the_foreign_key_that_another_one_wants(bulk, chunk_size):
    rows = [{"id": 1, "keeper": 2, "label": "label 3"}, {"id": 2, "keeper": 1}, {"id": 4, "keeper": 9}]

    done = bulk(Verb.UPDATE, "lockers", rows, chunk_size=chunk_size)

    assert done.outcomes == ["FAILED", "FAILED", "UPDATED"]
    assert [(index, code) for index, _, code in done.codes] == [(0, "ALREADY_EXISTS"), (1, "ALREADY_EXISTS")]
    assert ends("keeper") == {1: {1}, 2: {2}, 3: {3}, 4: {9}, 5: {5}, 6: {6}}


@pytest.mark.parametrize("chunk_size", [1, 10])
@pytest.mark.parametrize("left", ["place", "shelf"])
def test_a_row_that_comes_to_nothing_is_updated_as_any_other(bulk, user, left, chunk_size):
    shelf = Shelf.objects.create(code="s")
    for place, sku in enumerate("ab"):
        Toy.objects.create(sku=sku, name=sku, shelf=shelf, place=place)
    places = Toy.objects.order_by("sku").values_list("shelf", "place")
    before = list(places)

    done = bulk(Verb.UPDATE, "toys", [{"sku": "a", left: None}, {"sku": "b", "place": 0}], chunk_size=chunk_size)

    assert (done.outcomes, done.codes) == (["UPDATED", "UPDATED"], [])
    assert list(places.all()) == [(None, 0) if left == "shelf" else (shelf.pk, None), (shelf.pk, 0)]
    undone = Done(revert(done.operation, user, RevertOptions()))
    assert (undone.outcomes, list(places.all())) == (["UPDATED", "UPDATED"], before)


def test_nothing_is_left_of_what_stood_in_when_all_is_rejected(bulk):
    rows = [{"id": pk, **KINDS["all"](of)} for pk, of in WAYS["ring"].items()]

    done = bulk(Verb.UPDATE, "lockers", [*rows, {"id": 99, "number": 99}], on_error=OnError.REJECT_ALL, chunk_size=2)

    assert done.outcomes == ["SKIPPED"] * COUNT + ["FAILED"]
    assert ends("all") == {n: {n} for n in range(1, COUNT + 1)}


def test_rows_that_were_rejected_trade_when_they_are_sent_again(user, bulk):
    rows = [{"id": 1, "number": 2}, {"id": 2, "number": 1}, {"id": 3, "number": 9, "keeper": 999}]
    done = bulk(Verb.UPDATE, "lockers", rows, on_error=OnError.REJECT_ALL, chunk_size=1)
    Keeper.objects.create(pk=999, code="late")

    again = retry(done.operation, user)
    steps.write_operation(again.pk)

    assert Done(again).outcomes == ["UPDATED"] * 3
    assert ends("number") == {1: {2}, 2: {1}, 3: {9}, 4: {4}, 5: {5}, 6: {6}}


def test_a_file_whose_rows_trade_is_written_as_one(user):
    content = "id,number\n" + "".join(f"{n},{n - 1}\n" for n in range(COUNT, 0, -1))
    upload = uploads.fill(uploads.announce(user, "lockers.csv", len(content)), ContentFile(content.encode()))
    options = FileOptions(format=FileFormat.CSV)
    given = InputRequest(resource=resource_named("lockers"), upload=upload, file_options=options)

    done = Done(running.run(BulkRequest(verb=Verb.UPDATE, user=user, inputs=[given], mode=Mode.SYNC, chunk_size=2)))

    assert done.outcomes == ["UPDATED"] * COUNT
    assert ends("number") == {n: {n - 1} for n in range(1, COUNT + 1)}


def accepted(user, verb, rows, chunk_size):
    given = InputRequest(resource=resource_named("lockers"), rows=rows)
    return accept(BulkRequest(verb=verb, user=user, inputs=[given], mode=Mode.ASYNC, chunk_size=chunk_size))[0]


def test_chunks_of_rows_that_do_not_trade_with_others_are_written_one_by_one(user):
    rows = [{"id": 1, "number": 2}, {"id": 2, "number": 1}, {"id": 3, "number": 30}, {"id": 4, "number": 40}]

    operation = accepted(user, Verb.UPDATE, rows, 2)
    for chunk in operation.chunks.all():
        steps.write_chunk(chunk.pk, dispatches=False)

    operation.refresh_from_db()
    assert (operation.trades, operation.state) == (False, "COMPLETED")
    assert ends("number") == {1: {2}, 2: {1}, 3: {30}, 4: {40}, 5: {5}, 6: {6}}


def test_a_chunk_that_was_begun_before_rows_traded_is_written_once(user):
    operation = accepted(user, Verb.UPDATE, [{"id": n, "number": n + 1} for n in range(COUNT, 0, -1)], 2)
    first = operation.chunks.first()
    # As if a worker had claimed it just before the rest of a file was read.
    Operation.objects.update(trades=False)
    steps.write_chunk(first.pk, dispatches=False)
    Operation.objects.update(trades=True)

    steps.write_operation(operation.pk)

    assert steps.write_chunk(first.pk, dispatches=False) is False
    assert Done(operation).outcomes == ["UPDATED"] * COUNT
    assert ends("number") == {n: {n + 1} for n in range(1, COUNT + 1)}
    assert not Chunk.objects.filter(recorded_at=None).exists()


def write_in_threads(operation):
    ids = list(operation.chunks.order_by("-number").values_list("pk", flat=True))

    def write(chunk_id):
        try:
            steps.write_chunk(chunk_id, dispatches=False)
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, ids))


@pytest.mark.parametrize("chunk_size", [1, 2, 10])
@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPSERT])
def test_of_keys_that_only_the_database_knows_the_last_row_counts(user, verb, chunk_size):
    labels = ["Red", "blue", "RED", "green", "red", "Blue"]
    rows = [{"number": 10 + n, "keeper": COUNT + 2 + n, "place": 10 + n, "label": label, "badge": f"b{n}"}
            for n, label in enumerate(labels)]  # fmt: skip

    operation = accepted(user, verb, rows, chunk_size)
    write_in_threads(operation)

    assert Done(operation).codes == [(row, "label", "DUPLICATE_IN_REQUEST") for row in (0, 1, 2)]
    assert set(Locker.objects.filter(number__gte=10).values_list("label", flat=True)) == {"green", "red", "Blue"}


def test_keys_that_hold_for_some_rows_count_for_those(user):
    rows = [{"id": n, "badge": "same", "isOpen": n % 2 == 0} for n in range(1, COUNT + 1)]

    operation = accepted(user, Verb.UPDATE, rows, 1)
    write_in_threads(operation)

    assert Done(operation).codes == [(row, "badge", "DUPLICATE_IN_REQUEST") for row in (1, 3)]


def test_halves_of_keys_come_to_the_same_with_what_the_table_has(user):
    Locker.objects.filter(pk=1).update(floor=1)
    rows = [{"id": 1, "place": 3, "label": "x"}, {"id": 2, "floor": 1, "place": 3}, {"id": 3, "place": 0}]

    operation = accepted(user, Verb.UPDATE, rows, 1)
    write_in_threads(operation)

    assert Done(operation).codes == [(0, None, "DUPLICATE_IN_REQUEST")]


def test_a_new_row_takes_what_one_gives_up(bulk):
    new = {"number": 9, "keeper": 1, "place": 1, "label": "Label 1", "badge": "badge 1"}
    rows = [new, {"number": 1, "keeper": 7, "place": 7, "label": "label 7", "badge": "badge 7"}]

    done = bulk(Verb.UPSERT, "lockers", rows, chunk_size=1)

    assert done.outcomes == ["CREATED", "UPDATED"]
