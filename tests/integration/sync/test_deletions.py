"""Rows that nobody names are deleted once it is known which, and by those who may."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.db import connection

import bulkql
from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.workers.intake import unnamed
from bulkql.workers.models import Chunk
from bulkql.workers.operations import running, steps
from bulkql.workers.operations.retry import retry
from tests.integration.sync.told import ANY, counts, names, row_of
from tests.zoo.models import Toy

pytestmark = pytest.mark.django_db


@pytest.fixture
def statuses(ten) -> list[ClassificationStatus]:
    """One that transactions protect, and two others."""
    ClassificationStatus.objects.bulk_create(ClassificationStatus(name=name) for name in ("done", "void"))
    return list(ClassificationStatus.objects.order_by("pk"))


def test_a_row_that_others_protect_is_a_row_error_that_names_it(user, statuses):
    operation = bulkql.sync(ClassificationStatus, [{"name": "void"}], user=user, **ANY)

    protected = str(statuses[0].pk)
    assert counts(operation) == {"unchanged": 1, "failed": 1, "deleted": 1}
    assert [(one["index"], one["code"], one["data"]) for one in operation.row_errors()] == [
        (1, "CONSTRAINT", protected)
    ]
    assert [row["pk"] for row in operation.results() if row["outcome"] == "FAILED"] == [protected]


@pytest.mark.parametrize("dry_run", [False, True])
def test_where_all_is_rejected_each_row_that_was_to_be_deleted_is_told_by_its_key(user, statuses, dry_run):
    rows, how = [{"name": "void"}], {"on_error": "REJECT_ALL", "dry_run": dry_run}

    operation = bulkql.sync(ClassificationStatus, rows, user=user, **how, **ANY)

    protected, other, _ = (str(one.pk) for one in statuses)
    assert [(row["outcome"], row["pk"]) for row in operation.results()] == [
        ("SKIPPED", None),
        ("FAILED", protected),
        ("SKIPPED", other),
    ]


def test_a_row_that_gives_its_key_in_two_ways_may_mean_either(user, ten, accounts):
    """Accounts are those of two rows: by id the second one's, by name the first one's."""
    twice = row_of(ten[5], financial_account_by={"name": accounts[0].name})

    operation = bulkql.sync(FinancialTransaction, [twice], user=user, **ANY)

    assert counts(operation) == {"failed": 1}
    assert "it is not known which row of the table it means" in operation.message
    assert FinancialTransaction.objects.count() == 10


@pytest.mark.postgresql
@pytest.mark.parametrize("chunk_size", [2, 10])
def test_keys_that_only_their_type_refuses_are_counted_and_the_first_one_is_named(user, chunk_size):
    with connection.cursor() as cursor:
        cursor.execute("CREATE DOMAIN low AS varchar(2) CHECK (VALUE = lower(VALUE))")
        cursor.execute("ALTER TABLE zoo_toy ALTER sku TYPE low")
    Toy.objects.create(sku="x", name="bear")
    skus = ["a", "b", "C", "d", "eee"]

    operation = bulkql.sync(
        Toy, [{"sku": sku, "name": "bear"} for sku in skus], user=user, chunk_size=chunk_size, **ANY
    )

    assert counts(operation) == {"created": 3, "failed": 2}
    assert operation.message == (
        "No row of toys was deleted: 2 rows have keys that cannot be read or found (index 2 is the first), so it is not"
        " known which rows of the table they mean. Fix these rows, and send all rows again."
    )


def test_cascades_are_told(user, ten, accounts):
    operation = bulkql.sync(FinancialAccount, [{"name": "account 1"}], user=user, **ANY)

    assert counts(operation) == {"unchanged": 1, "deleted": 9}
    assert operation.cascades == {"ledger.FinancialTransaction": 5}


def test_several_resources_go_children_first(user, ten, accounts):
    rows = {
        FinancialAccount: [{"name": "account 1"}, {"name": "new"}],
        FinancialTransaction: [
            row_of(ten[5]) | {"financial_account": None},
            {**row_of(ten[9]), "financial_account_by": {"name": "new"}},
        ],
    }
    del rows[FinancialTransaction][1]["financial_account"]
    rows[FinancialTransaction][0] |= {"financial_account": accounts[1].pk}

    operation = bulkql.sync(rows, user=user, **ANY)

    assert counts(operation) == {"unchanged": 2, "created": 2, "deleted": 18}
    assert names() == ["account 1", "new"]
    assert FinancialTransaction.objects.count() == 2


def test_deletions_take_the_permission_to_delete(django_user_model, accounts):
    writer = django_user_model.objects.create_user("writer")
    for action in ("add", "change"):
        writer.user_permissions.add(Permission.objects.get(codename=f"{action}_financialaccount"))

    with pytest.raises(bulkql.Forbidden, match="delete_financialaccount"):
        bulkql.sync(FinancialAccount, [{"name": "account 1"}], user=writer, **ANY)

    assert counts(bulkql.sync(FinancialAccount, [{"name": "account 1"}], user=writer)) == {"unchanged": 1}
    assert len(names()) == 10


def test_a_row_that_went_by_itself_is_as_it_was_to_be(user, accounts):
    operation = bulkql.sync(FinancialAccount, [{"name": "account 1"}], user=user, mode="ASYNC", **ANY)
    for stored in operation._stored.inputs.order_by("position").filter(read_at=None):
        steps.read_input(stored.pk, dispatches=False)
    accounts[3].delete()

    running.write_now(operation._stored)

    assert counts(operation.refresh()) == {"unchanged": 2, "deleted": 8}


def test_no_row_is_written_before_it_is_known_what_is_missing(user, accounts):
    operation = bulkql.sync(FinancialAccount, [{"name": "new"}], user=user, mode="ASYNC", **ANY)
    chunk = Chunk.objects.get(operation=operation.id)

    steps.write_chunk(chunk.pk, dispatches=False)

    assert counts(operation.refresh()) == {}
    assert "new" not in names()


def test_a_canceled_sync_deletes_nothing(user, accounts):
    operation = bulkql.sync(FinancialAccount, [{"name": "new"}], user=user, mode="ASYNC", **ANY)
    operation.cancel()

    running.write_now(operation._stored)

    assert operation.refresh().state == "CANCELED"
    assert counts(operation) == {"skipped": 1}
    with pytest.raises(bulkql.BadInput, match="send the whole input again"):
        retry(operation._stored, user)


def test_a_sync_that_is_canceled_later_says_which_rows_it_would_have_deleted(user, accounts):
    operation = bulkql.sync(FinancialAccount, [{"name": "account 1"}], user=user, mode="ASYNC", chunk_size=4, **ANY)
    for stored in operation._stored.inputs.order_by("position").filter(read_at=None):
        steps.read_input(stored.pk, dispatches=False)
    operation.cancel()

    assert [(row["outcome"], row["pk"]) for row in operation.refresh().results()] == [
        ("SKIPPED", None),
        *[("SKIPPED", str(one.pk)) for place, one in enumerate(accounts) if place != 1],
    ]


def test_a_retry_does_what_is_left_and_misses_nothing_more(user, statuses):
    first = bulkql.sync(ClassificationStatus, [{"name": "void"}], user=user, **ANY)
    FinancialTransaction.objects.all().delete()
    ClassificationStatus.objects.create(name="later")

    again = retry(first._stored, user)
    running.write_now(again)

    assert counts(bulkql.BulkOperation(again)) == {"deleted": 1}
    assert set(ClassificationStatus.objects.values_list("name", flat=True)) == {"void", "later"}


def test_who_takes_over_from_a_reader_that_died_finds_all_missing_rows_once(user, accounts, monkeypatch):
    operation = bulkql.sync(FinancialAccount, [{"name": "account 1"}], user=user, mode="ASYNC", **ANY)
    missing = operation._stored.inputs.get(removes=True)
    store = unnamed.ChunkStore.store

    def die(*given):
        store(*given)
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(unnamed.ChunkStore, "store", lambda *given, start: die(*given, start))
        with pytest.raises(SystemExit):
            steps.read_input(missing.pk, dispatches=False)
    assert not missing.chunks.exists()
    running.write_now(operation._stored)

    assert counts(operation.refresh()) == {"unchanged": 1, "deleted": 9}
