"""A dry run is a plan: applied, it leaves the table as the verb itself would, row by row as it showed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

import bulkql
from bulkql.workers.enums import Verb
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger.heartbeat import heartbeat
from bulkql.workers.models import Chunk, Upload
from bulkql.workers.operations import running, steps
from bulkql.workers.operations.applying import ApplyRequest, apply_plan
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.uploads import uploads
from tests.conftest import Done
from tests.zoo.models import Keeper, Locker, Note, Shelf, Tag, Toy

pytestmark = pytest.mark.django_db


def fill() -> None:
    """Three shelves, nine toys, three lockers and notes; the same ones each time."""
    for model in (Locker, Note, Tag, Toy, Shelf, Keeper):
        model.objects.all().delete()
    Keeper.objects.bulk_create(Keeper(pk=n, code=f"k{n}") for n in range(6))
    Shelf.objects.bulk_create(Shelf(pk=n, code=f"S{n}") for n in range(3))
    Toy.objects.bulk_create(Toy(pk=n, sku=f"t{n}", name=f"n{n}", shelf_id=n % 3, place=n) for n in range(9))
    Locker.objects.bulk_create(
        Locker(pk=n, number=n, keeper_id=n, place=n, label=f"l{n}", badge=f"b{n}") for n in range(4)
    )
    Tag.objects.bulk_create(Tag(pk=n, name=f"tag{n}") for n in range(3))
    for n, note in enumerate(Note.objects.bulk_create(Note(pk=n, title=f"note{n}") for n in range(3))):
        note.tags.set([n])
    for model in (Shelf, Toy, Locker, Note):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{model._meta.db_table}', 'id'), 1000)")


def table() -> list:
    """What is stored, but for the keys that the database gives and the moments at which it was."""
    return [
        sorted(Shelf.objects.values_list("code", "note")),
        sorted(Toy.objects.values_list("sku", "name", "stock", "shelf__code", "place"), key=str),
        sorted(Locker.objects.values_list("number", "keeper", "place", "label", "badge")),
        [
            (note.title, note.text, sorted(note.tags.values_list("name", flat=True)))
            for note in Note.objects.order_by("title")
        ],
    ]


def toys(*numbers, **values):
    return [{"sku": f"t{n}", "name": f"n{n}", "stock": n, **values} for n in numbers]


BAD = [{"sku": "t1", "name": "far too long"}]
#: What is asked for, by model.
REQUESTS = {
    "create": (bulkql.create, {Toy: toys(10, 11, 3, 12) + BAD}, {}),
    "create for new rows": (
        bulkql.create,
        {Shelf: [{"code": "N"}], Toy: toys(10, 11, shelf_by={"code": "N"}) + toys(12, shelf_by={"code": "?"})},
        {},
    ),
    "update": (bulkql.update, {Toy: [*toys(0, 1, 2, 5, 8, 20, 21), {"sku": "t3", "stock": 0}, *BAD]}, {}),
    "replace": (bulkql.replace, {Toy: toys(0, 1, 2, 20, shelf_by={"code": "S1"})}, {}),
    "upsert": (bulkql.upsert, {Shelf: [{"code": "N"}], Toy: toys(0, 1, 11, 2, 12, 1, shelf_by={"code": "N"})}, {}),
    "delete": (bulkql.delete, {Toy: [{"sku": "t1"}, {"sku": "t7"}, {"sku": "none"}]}, {"match_by": ["sku"]}),
    "delete by primary key": (bulkql.delete, {Toy: [1, 2, 77, 5]}, {}),
    "delete with cascades": (bulkql.delete, {Shelf: [0, 2, 9]}, {}),
    "sync": (bulkql.sync, {Toy: toys(0, 1, 2, 3, 10, 11)}, {"delete_missing": True, "max_deletes": 5}),
    "lists": (bulkql.upsert, {Note: [{"title": "note0", "tags": [1, 2]}, {"title": "note1", "tags": [1]}]}, {}),
    "trades": (bulkql.update, {Locker: [{"id": n, "label": f"l{n ^ 1}", "place": n ^ 1} for n in range(4)]}, {}),
}


def asked(name, user, **options):
    verb, models, how = REQUESTS[name]
    if len(models) == 1:
        ((model, rows),) = models.items()
        return verb(model, rows, user=user, **how, **options)
    return verb(models, user=user, **how, **options)


def outcomes(operation):
    return [(row["resource"], row["index"], row["outcome"]) for row in operation.results()]


def errors(operation):
    return [(row["index"], row["path"], row["code"]) for row in operation.row_errors()]


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """A heart beats on a connection of its own, which sees nothing of a test's transaction."""
    monkeypatch.setattr(heartbeat, "_add", lambda held: None)


@pytest.fixture(params=[bulkql.COPY, bulkql.SAVE], ids=str)
def _lane(request, monkeypatch):
    for name in ("shelves", "toys", "lockers", "notes"):
        monkeypatch.setattr(type(resource_named(name)), "writes", request.param)


@pytest.mark.usefixtures("_lane")
@pytest.mark.parametrize("name", REQUESTS)
def test_plan_and_apply_leave_what_the_verb_leaves(user, name):
    fill()
    before = table()
    direct, wanted = asked(name, user, chunk_size=2), table()
    fill()

    plan = asked(name, user, chunk_size=2, dry_run=True)
    untouched = table()
    applied = bulkql.apply(plan, user=user)

    assert untouched == before
    assert table() == wanted
    assert (plan.state, applied.state, applied.applied_from) == ("COMPLETED", "COMPLETED", plan.id)
    assert outcomes(plan) == outcomes(applied) == outcomes(direct)
    assert errors(plan) == errors(applied) == errors(direct)
    assert plan.cascades == applied.cascades == direct.cascades


def by_workers(user, plan, threads=3):
    """Apply a plan as workers do, several at a time."""
    operation = apply_plan(ApplyRequest(plan=plan._stored, user=user, mode=Mode.ASYNC))
    for unread in operation.inputs.filter(read_at=None):
        steps.read_input(unread.pk, dispatches=False)
    if operation.is_one_transaction:
        steps.write_operation(operation.pk)

    def write(chunk_id):
        try:
            steps.write_chunk(chunk_id, dispatches=False)
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        for stored in operation.inputs.order_by("position"):
            list(pool.map(write, stored.chunks.order_by("-number").values_list("pk", flat=True)))
    operation.refresh_from_db()
    return bulkql.BulkOperation(operation)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["upsert", "delete", "sync", "trades"])
@pytest.mark.parametrize("on_error", ["SKIP_ROWS", "REJECT_ALL"])
def test_workers_apply_a_plan_chunk_by_chunk(user, name, on_error):
    fill()
    asked(name, user, chunk_size=1)
    wanted = table()
    fill()

    plan = asked(name, user, chunk_size=1, dry_run=True, on_error=on_error)
    if plan.state == "FAILED":
        assert on_error == "REJECT_ALL"
        return
    applied = by_workers(user, plan)

    assert (applied.state, table()) == ("COMPLETED", wanted)
    assert outcomes(applied) == outcomes(plan)


def test_new_rows_get_the_keys_that_were_reserved_for_them(user):
    plan = bulkql.create(Shelf, [{"code": "A"}, {"code": "B"}], user=user, dry_run=True)
    bulkql.create(Shelf, [{"code": "C"}], user=user)

    applied = bulkql.apply(plan, user=user)

    assert [row["pk"] for row in applied.results()] == [
        str(pk) for pk in Shelf.objects.filter(code__in="AB").order_by("code").values_list("pk", flat=True)
    ]


def test_a_file_is_a_plan_and_its_upload_stays_with_it(user):
    content = b"code\nA\nB\n\n"
    upload = uploads.fill(uploads.announce(user, "shelves.csv", None), ContentFile(content))
    inputs = [
        InputRequest(resource=resource_named("shelves"), upload=upload, file_options=FileOptions(format=FileFormat.CSV))
    ]
    plan = running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.SYNC, dry_run=True))

    applied = bulkql.apply(plan.pk, user=user)

    assert (applied.created, Shelf.objects.count()) == (2, 2)
    assert Upload.objects.filter(pk=upload.pk).exists()


def test_who_takes_over_from_a_reader_that_died_copies_each_chunk_once(user, monkeypatch):
    plan = bulkql.create(Shelf, [{"code": str(n)} for n in range(20)], user=user, chunk_size=1, dry_run=True)
    operation = apply_plan(ApplyRequest(plan=plan._stored, user=user, mode=Mode.ASYNC))
    stored = operation.inputs.get()
    reading = steps.planned_chunks(steps.claims.claim_input(stored.pk))
    next(reading)
    steps.claims.abandon(steps.Input.objects.get(pk=stored.pk))

    running.write_now(operation)

    operation.refresh_from_db()
    assert Done(operation).outcomes == ["CREATED"] * 20
    assert list(operation.chunks.order_by("number").values_list("number", flat=True)) == list(range(20))


def test_what_is_no_plan_pays_nothing_for_plans(user, settings):
    settings.BULKQL_KEEPS_IMAGES = False  # which are compared in the same way

    def statements(**options):
        with CaptureQueriesContext(connection) as queries:
            bulkql.update(Shelf, [{"code": "A", "note": "n"}], user=user, **options)
        return [query["sql"] for query in queries]

    Shelf.objects.create(code="A")

    assert not any("hash_record" in sql for sql in statements())
    assert sum("hash_record" in sql for sql in statements(dry_run=True)) == 1
    assert Chunk.objects.filter(operation__dry_run=False, evidence__isnull=False).count() == 0
