"""What nobody names stays, or goes within what the guard allows."""

from __future__ import annotations

import pytest
from django.db.models import Q

import bulkql
from bulkql.examples.ledger.models import FinancialAccount, FinancialTransaction
from tests.integration.sync.told import ANY, counts, names, row_of

pytestmark = pytest.mark.django_db


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
