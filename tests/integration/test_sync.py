"""bulkSync: a table, or a part of it, becomes what the rows say."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from django.contrib.auth.models import Permission
from django.db.models import Q

import bulkql
from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.workers.intake import unnamed
from bulkql.workers.models import Chunk
from bulkql.workers.operations import steps
from bulkql.workers.operations.retry import retry
from bulkql.workers.resources.registry import resource_named

pytestmark = pytest.mark.django_db

DOCS = Path(__file__).parents[2] / "docs"
#: As much as the rows ask for.
ANY = {"delete_missing": True, "max_delete_percent": 100}


@pytest.fixture
def accounts() -> list[FinancialAccount]:
    return FinancialAccount.objects.bulk_create(FinancialAccount(name=f"account {n}") for n in range(10))


@pytest.fixture
def ten(accounts) -> list[FinancialTransaction]:
    """Five transactions of each of the first two accounts."""
    status = ClassificationStatus.objects.create(name="open")
    return FinancialTransaction.objects.bulk_create(
        FinancialTransaction(
            amount=n,
            description="coffee",
            datetime=datetime(2026, 1, 1 + n, tzinfo=UTC),
            financial_account=accounts[place],
            classification_status=status,
        )
        for place in range(2)
        for n in range(5)
    )


def row_of(one: FinancialTransaction, **values):
    return {
        "amount": one.amount,
        "description": one.description,
        "datetime": one.datetime,
        "financial_account": one.financial_account_id,
        "classification_status": one.classification_status_id,
        **values,
    }


def names() -> list[str]:
    return sorted(FinancialAccount.objects.values_list("name", flat=True))


def counts(operation) -> dict[str, int]:
    found = {
        name: getattr(operation, name) for name in ("created", "updated", "unchanged", "deleted", "failed", "skipped")
    }
    return {name: count for name, count in found.items() if count}


def test_the_table_becomes_what_the_rows_say(user, ten):
    rows = [row_of(one) for one in ten[:8]]
    rows[0]["amount"] = 99
    rows.append(row_of(ten[0], datetime=datetime(2027, 1, 1, tzinfo=UTC)))

    operation = bulkql.sync(FinancialTransaction, rows, user=user, max_deletes=2, delete_missing=True)

    assert operation.state == "COMPLETED"
    assert counts(operation) == {"created": 1, "updated": 1, "unchanged": 7, "deleted": 2}
    assert operation.total == 11
    left = FinancialTransaction.objects.filter(pk__in=[one.pk for one in ten[8:]])
    assert not left.exists()
    deleted = [row for row in operation.results() if row["outcome"] == "DELETED"]
    assert [(row["index"], row["pk"]) for row in deleted] == [(9, str(ten[8].pk)), (10, str(ten[9].pk))]
    again = bulkql.sync(FinancialTransaction, rows, user=user, delete_missing=True)
    assert counts(again) == {"unchanged": 9}


@pytest.fixture(params=["in the database", "by hashes"])
def _ways(request, monkeypatch):
    """The anti-join where the database has COPY, and where it has none."""
    if request.param == "by hashes":
        monkeypatch.setattr(unnamed, "condition", lambda queryset, pk: None)
        monkeypatch.setattr(unnamed, "PAGE", 3)


@pytest.mark.usefixtures("_ways")
@pytest.mark.parametrize("match_by", [["financial_account", "datetime"], None], ids=str)
def test_rows_are_missing_by_their_key(user, ten, match_by):
    rows = [row_of(one) for one in ten[1:9]]

    operation = bulkql.sync(FinancialTransaction, rows, user=user, match_by=match_by, chunk_size=3, **ANY)

    assert counts(operation) == {"unchanged": 8, "deleted": 2}
    assert set(FinancialTransaction.objects.values_list("pk", flat=True)) == {one.pk for one in ten[1:9]}


@pytest.mark.usefixtures("_ways")
def test_rows_out_of_sight_are_neither_deleted_nor_counted(user, accounts, monkeypatch):
    resource = resource_named("financialAccounts")
    in_sight = FinancialAccount.objects.filter(name__in=["account 1", "account 2"])
    monkeypatch.setattr(type(resource), "get_queryset", lambda self, user: in_sight.all())

    operation = bulkql.sync(FinancialAccount, [{"name": "account 2"}], user=user, delete_missing=True, max_deletes=1)

    assert counts(operation) == {"unchanged": 1, "deleted": 1}
    assert len(names()) == 9


def test_models_with_a_save_of_their_own_are_saved_and_deleted(user, accounts, monkeypatch):
    monkeypatch.setattr(type(resource_named("financialAccounts")), "writes", bulkql.SAVE)

    operation = bulkql.sync(
        FinancialAccount,
        [{"name": "account 1"}, {"name": "account 7 b"}],
        user=user,
        where=Q(name__in=["account 1", "account 2"]),
        **ANY,
    )

    assert counts(operation) == {"unchanged": 1, "deleted": 1, "failed": 1}
    assert [one["code"] for one in operation.row_errors()] == ["FORBIDDEN"]
    assert len(names()) == 9


def test_a_file_is_read_to_its_end_before_a_row_is_written(user, accounts):
    whole = pl.DataFrame({"name": [*(f"account {n}" for n in range(10)), "new"]})

    cut = bulkql.sync(FinancialAccount, whole[:3], user=user, delete_missing=True, chunk_size=2)
    empty = bulkql.sync(FinancialAccount, whole[:0], user=user, delete_missing=True)
    done = bulkql.sync(FinancialAccount, whole[1:], user=user, delete_missing=True, chunk_size=2)

    assert (cut.state, counts(cut)) == ("FAILED", {"skipped": 3})
    assert (empty.state, counts(empty)) == ("FAILED", {})
    assert counts(done) == {"unchanged": 9, "created": 1, "deleted": 1}


def test_a_key_of_a_request_goes_with_its_limits(user, accounts):
    how = {"user": user, "delete_missing": True, "idempotency_key": "nightly"}
    first = bulkql.sync(FinancialAccount, [{"name": "account 1"}], **how)

    assert bulkql.sync(FinancialAccount, [{"name": "account 1"}], **how).id == first.id
    with pytest.raises(bulkql.IdempotencyConflict):
        bulkql.sync(FinancialAccount, [{"name": "account 1"}], max_deletes=9, **how)


def test_what_is_missing_stays_unless_it_is_to_go(user, accounts):
    operation = bulkql.sync(FinancialAccount, [{"name": "account 1"}, {"name": "new"}], user=user)

    assert counts(operation) == {"created": 1, "unchanged": 1}
    assert len(names()) == 11


@pytest.mark.parametrize("limits", [{}, {"max_deletes": 5}, {"max_delete_percent": 50}], ids=str)
@pytest.mark.parametrize("options", [{}, {"on_error": "REJECT_ALL"}, {"dry_run": True}], ids=str)
@pytest.mark.parametrize("given", [0, 4], ids=["no row", "four of ten rows"])
def test_the_guard_refuses_before_anything_is_written(user, accounts, limits, options, given):
    rows = [{"name": f"account {n}"} for n in range(given)] + [{"name": "new"}] * bool(given)

    operation = bulkql.sync(FinancialAccount, rows, user=user, delete_missing=True, **limits, **options)

    assert operation.state == "FAILED"
    assert "maxDelete" in operation.message
    assert "nothing was written" in operation.message
    assert counts(operation) == ({"skipped": len(rows)} if rows else {})
    assert len(names()) == 10
    assert "new" not in names()


def test_a_part_that_is_to_be_empty_is_emptied_where_the_guard_allows_it(user, ten, accounts):
    operation = bulkql.sync(FinancialTransaction, [], user=user, where=Q(financial_account=accounts[0]), **ANY)

    assert counts(operation) == {"deleted": 5}
    assert set(FinancialTransaction.objects.values_list("financial_account", flat=True)) == {accounts[1].pk}


def test_the_guard_counts_what_is_in_scope(user, ten, accounts):
    where = Q(financial_account=accounts[0])
    refused = bulkql.sync(
        FinancialTransaction,
        [row_of(one) for one in ten[:4]],
        user=user,
        where=where,
        delete_missing=True,
        max_delete_percent=19,
    )
    done = bulkql.sync(
        FinancialTransaction,
        [row_of(one) for one in ten[:4]],
        user=user,
        where=where,
        delete_missing=True,
        max_delete_percent=20,
    )

    assert refused.state == "FAILED"
    assert counts(done) == {"unchanged": 4, "deleted": 1}


def test_rows_outside_of_the_scope_are_forbidden_before_and_after_the_write(user, ten, accounts):
    mine, other = ten[0], ten[5]
    rows = [
        row_of(mine),
        row_of(other, amount=77),
        row_of(mine, datetime=datetime(2027, 1, 1, tzinfo=UTC), financial_account=accounts[1].pk),
    ]

    operation = bulkql.sync(FinancialTransaction, rows, user=user, where=Q(financial_account=accounts[0]), **ANY)

    assert counts(operation) == {"unchanged": 1, "failed": 2, "deleted": 4}
    assert [(one["index"], one["code"]) for one in operation.row_errors()] == [(1, "FORBIDDEN"), (2, "FORBIDDEN")]
    other.refresh_from_db()
    assert other.amount == 0
    assert FinancialTransaction.objects.filter(financial_account=accounts[1]).count() == 5


def test_a_bad_row_names_its_key_all_the_same(user, ten):
    rows = [row_of(one) for one in ten]
    rows[3]["amount"] = "no number"

    operation = bulkql.sync(FinancialTransaction, rows, user=user, **ANY)

    assert counts(operation) == {"unchanged": 9, "failed": 1}
    assert FinancialTransaction.objects.count() == 10


@pytest.mark.parametrize("key", [{"datetime": "yesterday"}, {"datetime": None}, {"financial_account": "x"}], ids=str)
def test_where_a_key_cannot_be_read_nothing_is_deleted(user, ten, key):
    rows = [row_of(one) for one in ten[:8]]
    rows[3] |= key
    rows[4]["amount"] = 50

    operation = bulkql.sync(FinancialTransaction, rows, user=user, **ANY)

    assert counts(operation) == {"unchanged": 6, "updated": 1, "failed": 1}
    assert operation.state == "COMPLETED"
    assert "No row of financialTransactions was deleted: 1 row has a key" in operation.message
    assert FinancialTransaction.objects.count() == 10


def test_a_name_that_nobody_has_is_no_reason_to_delete_a_row(user, ten, accounts):
    rows = [row_of(one) for one in ten]
    del rows[0]["financial_account"]
    rows[0]["financial_account_by"] = {"name": "acount 0"}

    operation = bulkql.sync(FinancialTransaction, rows, user=user, **ANY)

    assert counts(operation) == {"unchanged": 9, "failed": 1}
    assert FinancialTransaction.objects.count() == 10


@pytest.mark.parametrize("chunk_size", [1, 3, None])
def test_all_rows_are_one_set_whatever_the_chunks(user, ten, chunk_size):
    rows = [row_of(one) for one in [*ten[:6], ten[0]]]
    rows[-1]["amount"] = 3

    operation = bulkql.sync(FinancialTransaction, rows, user=user, chunk_size=chunk_size, **ANY)

    assert counts(operation) == {"unchanged": 5, "updated": 1, "failed": 1, "deleted": 4}
    assert [one["code"] for one in operation.row_errors()] == ["DUPLICATE_IN_REQUEST"]
    assert [row["index"] for row in operation.results()] == list(range(11))


def test_a_dry_run_shows_what_would_happen(user, ten):
    rows = [row_of(one) for one in ten[:8]]
    rows[0]["amount"] = 99

    operation = bulkql.sync(FinancialTransaction, rows, user=user, dry_run=True, **ANY)

    assert counts(operation) == {"unchanged": 7, "updated": 1, "deleted": 2}
    assert {row["pk"] for row in operation.results() if row["outcome"] == "DELETED"} == {str(one.pk) for one in ten[8:]}
    assert FinancialTransaction.objects.count() == 10


def test_with_reject_all_a_bad_row_keeps_the_deletions_out_too(user, ten):
    rows = [row_of(one) for one in ten[:8]]
    rows[0]["amount"] = "none"

    operation = bulkql.sync(FinancialTransaction, rows, user=user, on_error="REJECT_ALL", **ANY)

    assert operation.state == "FAILED"
    assert counts(operation) == {"failed": 1, "skipped": 9}
    assert FinancialTransaction.objects.count() == 10


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

    steps.write_now(operation._stored)

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

    steps.write_now(operation._stored)

    assert operation.refresh().state == "CANCELED"
    assert counts(operation) == {"skipped": 1}
    with pytest.raises(bulkql.BadInput, match="send the whole input again"):
        retry(operation._stored, user)


def test_a_retry_does_what_is_left_and_misses_nothing_more(user, statuses):
    first = bulkql.sync(ClassificationStatus, [{"name": "void"}], user=user, **ANY)
    FinancialTransaction.objects.all().delete()
    ClassificationStatus.objects.create(name="later")

    again = retry(first._stored, user)
    steps.write_now(again)

    assert counts(bulkql.BulkOperation(again)) == {"deleted": 1}
    assert set(ClassificationStatus.objects.values_list("name", flat=True)) == {"void", "later"}


def test_over_graphql(user, ten, ask):
    answer = ask(
        user,
        """mutation($rows: [FinancialTransactionSyncRow!], $account: ID!) {
            bulkSync(input: {financialTransactions: {rows: $rows, where: {financialAccount: {exact: $account}},
                             deleteMissing: true, maxDeletePercent: 80}}) {
                kind state total created updated unchanged deleted failed message
                resources { resource total deleted unchanged }
                results(first: 10) { edges { node { index outcome } } }
            }
        }""",
        rows=[
            {
                "amount": str(Decimal(0)),
                "description": "coffee",
                "datetime": ten[0].datetime.isoformat(),
                "financialAccount": str(ten[0].financial_account_id),
                "classificationStatus": str(ten[0].classification_status_id),
            }
        ],
        account=str(ten[0].financial_account_id),
    )["bulkSync"]

    assert (answer["kind"], answer["state"], answer["message"]) == ("SYNC", "COMPLETED", None)
    assert (answer["total"], answer["unchanged"], answer["deleted"]) == (5, 1, 4)
    assert answer["resources"] == [{"resource": "financialTransactions", "total": 5, "deleted": 4, "unchanged": 1}]
    assert len(answer["results"]["edges"]) == 5


def test_the_example_of_the_docs_shows_what_would_be_deleted(user, ten, ask):
    (document,) = re.findall(r"```graphql\n(.*?)```", (DOCS / "sync.md").read_text(), re.DOTALL)

    answer = ask(user, document, rows=[], account=str(ten[0].financial_account_id))["bulkSync"]

    assert answer["state"] == "FAILED"
    assert answer["message"] == (
        "The input does not name 5 of the 5 financial transaction rows in scope, and maxDeletePercent: 80 does not let "
        "them be deleted; nothing was written. If they are to go, say maxDeletes: 5. If not, look whether the input is "
        "whole."
    )
    assert FinancialTransaction.objects.count() == 10


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
    steps.write_now(operation._stored)

    assert counts(operation.refresh()) == {"unchanged": 1, "deleted": 9}
