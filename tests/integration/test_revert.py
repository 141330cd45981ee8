"""What an operation wrote is undone by another one, to the byte."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, models

from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.workers.enums import OnError, Verb
from bulkql.workers.errors import BadInput
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger import totals
from bulkql.workers.models import Operation
from bulkql.workers.operations import running
from bulkql.workers.operations.retry import retry
from bulkql.workers.operations.revert import RevertOptions, revert
from bulkql.workers.resources.registry import resource_named
from tests.conftest import Done
from tests.zoo.models import Keeper, Note, Seal, Shelf, Tag, Toy

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

TABLES = [one._meta.db_table for one in (Toy, Shelf, Keeper, Tag, Note, Note.tags.through, FinancialAccount)]
TABLES += [FinancialTransaction._meta.db_table, ClassificationStatus._meta.db_table]


def state() -> dict[str, str]:
    """A hash over all rows of each table."""
    found = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM {table} t")
            found[table] = cursor.fetchone()[0]
    return found


def undo(operation: Operation, user: Any, **options: Any) -> Done:
    """Revert an operation now."""
    again = revert(operation, user, RevertOptions(**options))
    again.refresh_from_db()
    return Done(again)


@pytest.fixture(params=["copy", "save"])
def lane(request: Any, monkeypatch: Any) -> str:
    from bulkql.workers.resources.registry import registered

    for resource in registered():
        monkeypatch.setattr(type(resource), "writes", request.param.upper())
    return str(request.param)


@pytest.fixture
def toys(db: None) -> list[Toy]:
    shelves = [Shelf.objects.create(code=code) for code in ("s1", "s2")]
    return [
        Toy.objects.create(sku=f"t{n}", name=f"toy {n}"[:5], price=n, stock=n, shelf=shelves[n % 2], place=n)
        for n in range(6)
    ]


def test_created_rows_are_deleted(lane, bulk, user, toys):
    before = state()
    done = bulk(Verb.CREATE, "toys", [{"sku": f"n{n}", "name": "new"} for n in range(5)])
    assert state() != before

    undone = undo(done.operation, user)

    assert (undone.errors, undone.outcomes) == ([], ["DELETED"] * 5)
    assert (undone.operation.verb, undone.operation.revert_of_id) == ("REVERT", done.operation.pk)
    assert state() == before


def test_updated_rows_are_restored(lane, bulk, user, toys):
    before = state()
    rows = [{"sku": "t0", "name": "other", "price": None}, {"sku": "t1", "name": "toy 1"}, {"sku": "t2", "stock": 9}]
    done = bulk(Verb.UPDATE, "toys", rows)
    assert done.outcomes == ["UPDATED", "UNCHANGED", "UPDATED"]

    undone = undo(done.operation, user)

    assert (undone.errors, undone.outcomes) == ([], ["UPDATED"] * 2)
    assert state() == before


def test_half_created_half_updated(lane, bulk, user, toys):
    before = state()
    rows = [{"sku": f"t{n}", "name": "up"} for n in range(12)]
    done = bulk(Verb.UPSERT, "toys", rows, chunk_size=5)

    undone = undo(done.operation, user)

    assert sorted(undone.outcomes) == ["DELETED"] * 6 + ["UPDATED"] * 6
    assert state() == before


def test_deleted_rows_come_back_with_their_keys(lane, bulk, user, toys):
    before = state()
    done = bulk(Verb.DELETE, "toys", [{"sku": f"t{n}"} for n in range(4)], match_by=["sku"])

    undone = undo(done.operation, user)

    assert (undone.errors, undone.outcomes) == ([], ["CREATED"] * 4)
    assert state() == before


def test_deleted_rows_come_back_with_all_that_went_along(lane, bulk, user):
    accounts = [FinancialAccount.objects.create(name=f"a{n}") for n in range(3)]
    status = ClassificationStatus.objects.create(name="open")
    for n in range(9):
        FinancialTransaction.objects.create(
            amount=n,
            description=f'"{n}\\',
            datetime=f"2024-01-0{n + 1}T00:00:00Z",
            financial_account=accounts[n % 3],
            classification_status=status,
        )
    before = state()
    done = bulk(Verb.DELETE, "financialAccounts", [{"id": one.pk} for one in accounts[:2]])
    assert FinancialTransaction.objects.count() == 3

    undone = undo(done.operation, user)

    assert (undone.errors, undone.outcomes) == ([], ["CREATED"] * 2)
    assert state() == before


def test_lists_come_back(lane, bulk, user):
    tags = [Tag.objects.create(name=f"t{n}") for n in range(4)]
    keeper = Keeper.objects.create(code="k")
    notes = [Note.objects.create(title=f"n{n}") for n in range(3)]
    for note in notes:
        note.tags.set(tags[:2])
        note.keepers.add(keeper)
    before = state()
    rows = [
        {"title": "n0", "tags": [str(tags[1].pk), str(tags[3].pk)]},
        {"title": "n1", "tags": []},
        {"title": "n2", "text": "x"},
    ]
    done = bulk(Verb.UPDATE, "notes", rows)

    undone = undo(done.operation, user)

    assert (undone.errors, undone.outcomes) == ([], ["UPDATED"] * 3)
    assert state() == before


def test_rows_that_changed_since_are_left_alone_and_named(lane, bulk, user, toys):
    done = bulk(Verb.UPSERT, "toys", [{"sku": f"t{n}", "name": "up"} for n in range(12)])
    Toy.objects.filter(sku__in=["t1", "t7"]).update(stock=77)
    Toy.objects.filter(sku="t2").delete()

    undone = undo(done.operation, user)

    assert [code for *_, code in undone.codes] == ["CONFLICT"] * 3
    assert sorted(error["message"] for error in undone.errors) == [
        f"This toy has {what} since the operation wrote it; give force: true to undo it anyway."
        for what in ("been deleted", "changed", "changed")
    ]
    assert set(Toy.objects.filter(stock=77).values_list("sku", "name")) == {("t1", "up"), ("t7", "up")}
    assert sorted(undone.outcomes) == ["DELETED"] * 5 + ["FAILED"] * 3 + ["UPDATED"] * 4


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_new_row_stays_for_one_that_refers_to_it_and_is_left_alone(lane, bulk, user, dry_run):
    """Otherwise what is named as left alone would be deleted along with it."""
    inputs = [
        InputRequest(resource=resource_named("shelves"), rows=[{"code": code} for code in "ab"]),
        InputRequest(
            resource=resource_named("toys"),
            rows=[{"sku": f"t{n}", "name": "toy", "shelfBy": {"code": "ab"[n % 2]}} for n in range(4)],
        ),
    ]
    done = running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.SYNC))
    Toy.objects.filter(sku="t1").update(stock=5)
    kept = Toy.objects.get(sku="t1")

    undone = undo(done, user, dry_run=dry_run)

    assert [(error["resource"], error["code"], error["message"]) for error in undone.errors] == [
        (
            "toys",
            "CONFLICT",
            "This toy has changed since the operation wrote it; give force: true to undo it anyway.",
        ),
        ("shelves", "CONFLICT", f"The toy {kept.pk}, which refers to it, was not undone, so this shelf stays too."),
    ]
    assert sorted(undone.outcomes) == ["DELETED"] * 4 + ["FAILED"] * 2
    if not dry_run:
        assert list(Toy.objects.values_list("sku", "shelf__code")) == [("t1", "b")]
        assert undo(done, user, forces=True).outcomes == ["DELETED"] * 2
        assert not Shelf.objects.exists()


def test_force_undoes_them_too(lane, bulk, user, toys):
    before = state()
    done = bulk(Verb.UPSERT, "toys", [{"sku": f"t{n}", "name": "up"} for n in range(12)])
    Toy.objects.filter(sku__in=["t1", "t7"]).update(stock=77)
    Toy.objects.filter(sku="t2").delete()
    undo(done.operation, user)

    undone = undo(done.operation, user, forces=True)

    assert sorted(undone.outcomes) == ["CREATED", "DELETED", "UPDATED"]
    assert state() == before


@pytest.mark.parametrize("chunk_size", [1, 3, None])
@pytest.mark.parametrize("its_size", [2, 4])
def test_values_that_were_swapped_are_swapped_back(bulk, user, toys, its_size, chunk_size):
    """However the revert cuts its rows: those that swap stay in one chunk."""
    before = state()
    rows = [{"id": toys[of].pk, "sku": f"t{to}"} for of, to in enumerate((1, 0, 3, 2, 6))]
    done = bulk(Verb.UPDATE, "toys", rows, match_by=["id"], chunk_size=its_size)
    assert done.outcomes == ["UPDATED"] * 5

    undone = undo(done.operation, user, chunk_size=chunk_size)

    assert (undone.errors, undone.outcomes) == ([], ["UPDATED"] * 5)
    assert state() == before


def test_what_swapped_is_swapped_back_by_a_second_revert_and_a_retry(bulk, user, toys):
    before = state()
    rows = [{"id": toys[of].pk, "sku": f"t{to}"} for of, to in enumerate((1, 0, 3, 2))]
    done = bulk(Verb.UPDATE, "toys", rows, match_by=["id"])
    Toy.objects.filter(pk__in=[toys[0].pk, toys[1].pk]).update(stock=77)
    kept = undo(done.operation, user, chunk_size=1)
    assert sorted(kept.outcomes) == ["FAILED", "FAILED", "UPDATED", "UPDATED"]
    Toy.objects.filter(pk__in=[toys[0].pk, toys[1].pk]).update(stock=0)
    Toy.objects.filter(pk=toys[1].pk).update(stock=1)

    again = retry(kept.operation, user)
    running.write_now(again)

    assert (Done(again).outcomes, state()) == (["UPDATED", "UPDATED"], before)


def test_what_cannot_be_undone_says_why(lane, bulk, user, toys):
    done = bulk(Verb.DELETE, "toys", [{"sku": f"t{n}"} for n in range(3)], match_by=["sku"])
    Toy.objects.create(sku="t1", name="other")
    Shelf.objects.filter(pk=toys[0].shelf_id).delete()

    undone = undo(done.operation, user)

    assert sorted(code for *_, code in undone.codes) == ["ALREADY_EXISTS", "REFERENCE_NOT_FOUND", "REFERENCE_NOT_FOUND"]
    assert sorted(error["data"] for error in undone.errors) == [str(toy.pk) for toy in toys[:3]]


def test_a_created_row_that_the_default_manager_hides_is_deleted(lane, bulk, user, monkeypatch):
    class Hiding(models.Manager):
        def get_queryset(self):
            return super().get_queryset().exclude(code="hidden")

    hiding = Hiding()
    hiding.model = Keeper
    monkeypatch.setitem(vars(Keeper._meta), "default_manager", hiding)
    done = bulk(Verb.CREATE, "keepers", [{"code": "hidden"}, {"code": "seen"}])

    undone = undo(done.operation, user)

    assert (undone.errors, undone.outcomes) == ([], ["DELETED"] * 2)
    assert not Keeper._base_manager.exists()


def test_a_created_row_that_others_protect_is_named_by_its_primary_key(lane, bulk, user, toys):
    done = bulk(Verb.CREATE, "toys", [{"sku": "n1", "name": "new"}])
    created = Toy.objects.get(sku="n1")
    Seal.objects.create(toy=created)

    undone = undo(done.operation, user)

    assert [(error["code"], error["data"]) for error in undone.errors] == [("CONSTRAINT", str(created.pk))]


def test_a_dry_run_undoes_nothing(bulk, user, toys):
    done = bulk(Verb.UPSERT, "toys", [{"sku": f"t{n}", "name": "up"} for n in range(12)])
    after = state()

    undone = undo(done.operation, user, dry_run=True)

    assert sorted(undone.outcomes) == ["DELETED"] * 6 + ["UPDATED"] * 6
    assert state() == after
    assert sorted(undo(done.operation, user).outcomes) == sorted(undone.outcomes)


def test_what_was_reverted_says_by_whom(bulk, user, toys):
    done = bulk(Verb.UPDATE, "toys", [{"sku": "t0", "name": "up"}])
    first = undo(done.operation, user)

    with pytest.raises(BadInput) as twice:
        undo(done.operation, user)
    with pytest.raises(BadInput) as back:
        undo(first.operation, user)

    assert str(twice.value) == f"Operation {done.operation.id} was reverted by operation {first.operation.id}."
    assert str(back.value) == (
        f"Operation {first.operation.id} is a revert, and reverts cannot be reverted. To write again what operation "
        f"{done.operation.id} wrote, send its input again."
    )


def test_where_all_is_rejected_each_row_that_was_to_be_undone_is_told_by_its_key(bulk, user, lane, toys):
    changed = bulk(Verb.UPDATE, "toys", [{"sku": f"t{n}", "stock": 90 + n} for n in range(3)])
    Toy.objects.filter(sku="t1").update(stock=7)

    undone = undo(changed.operation, user, on_error=OnError.REJECT_ALL)

    assert [(row["outcome"], row["pk"]) for row in undone.results if row["outcome"] == "SKIPPED"] == [
        ("SKIPPED", str(toys[2].pk)),
        ("SKIPPED", str(toys[0].pk)),
    ]


def test_a_dry_run_tells_which_deleted_rows_would_be_restored(bulk, user, lane, toys):
    deleted = bulk(Verb.DELETE, "toys", [{"sku": "t0"}, {"sku": "t1"}])

    looked = undo(deleted.operation, user, dry_run=True)

    assert [(row["outcome"], row["pk"]) for row in looked.results] == [
        ("CREATED", str(toys[1].pk)),
        ("CREATED", str(toys[0].pk)),
    ]


@pytest.mark.parametrize(("on_delete", "shelf"), [(models.SET_NULL, None), (models.SET_DEFAULT, "s1")])
def test_references_to_a_new_row_are_set_as_by_a_delete(bulk, user, lane, toys, monkeypatch, on_delete, shelf):
    field = Toy._meta.get_field("shelf")
    monkeypatch.setattr(field.remote_field, "on_delete", on_delete)
    monkeypatch.setattr(field, "_get_default", lambda: Shelf.objects.get(code="s1").pk)
    created = bulk(Verb.CREATE, "shelves", [{"code": "new"}])
    Toy.objects.create(sku="t9", name="x", shelf=Shelf.objects.get(code="new"))

    undone = undo(created.operation, user)

    assert (undone.outcomes, undone.errors) == (["DELETED"], [])
    assert totals.cascades(undone.operation) == {}
    assert Toy.objects.values_list("shelf__code", flat=True).get(sku="t9") == shelf
