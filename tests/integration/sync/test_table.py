"""bulkSync: a table, or a part of it, becomes what the rows say."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from django.db.models import Q

import bulkql
from bulkql.examples.ledger.models import FinancialAccount, FinancialTransaction
from bulkql.workers.intake import unnamed
from bulkql.workers.models import Input
from bulkql.workers.resources.registry import resource_named
from tests.integration.sync.told import ANY, counts, names, row_of
from tests.zoo.models import Toy

pytestmark = pytest.mark.django_db


DOCS = Path(__file__).parents[3] / "docs"


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


def test_chunks_of_a_sync_have_more_rows_for_most_are_only_looked_at(user, ten):
    rows = [row_of(one) for one in ten]
    syncs = [bulkql.sync(FinancialTransaction, rows, user=user, mode="ASYNC", chunk_size=size) for size in (None, 7)]
    upsert = bulkql.upsert(FinancialTransaction, rows, user=user, mode="ASYNC")

    sizes = [Input.objects.get(operation=one.id).chunk_size for one in (*syncs, upsert)]
    assert sizes == [50_000, 7, 10_000]


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
def test_a_key_with_a_null_in_it_names_no_row(user):
    """An upsert by it would create a row, whatever is there."""
    Toy.objects.create(sku="old", name="bear", place=1)

    operation = bulkql.sync(
        Toy, [{"shelf": None, "place": 1, "sku": "new", "name": "bear"}], user=user, match_by=["shelf", "place"], **ANY
    )

    assert counts(operation) == {"created": 1, "deleted": 1}
    assert list(Toy.objects.values_list("sku", flat=True)) == ["new"]


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
        "them be deleted; nothing was written. If they should be deleted, give maxDeletePercent: 100. If not, check "
        "that the input is complete."
    )
    assert FinancialTransaction.objects.count() == 10
