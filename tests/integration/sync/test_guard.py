"""What nobody names stays, or goes within what the guard allows."""

from __future__ import annotations

import json
import re

import pytest
from django.db.models import Q

import bulkql
from bulkql.examples.ledger.models import FinancialAccount, FinancialTransaction
from tests.integration.conftest import Refused
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
    assert "max_delete" in operation.message
    assert "nothing was written" in operation.message
    assert counts(operation) == ({"skipped": len(rows)} if rows else {})
    assert len(names()) == 10
    assert "new" not in names()


def test_a_part_that_is_to_be_empty_is_emptied_where_the_guard_allows_it(user, ten, accounts):
    operation = bulkql.sync(FinancialTransaction, [], user=user, where=Q(financial_account=accounts[0]), **ANY)

    assert counts(operation) == {"deleted": 5}
    assert set(FinancialTransaction.objects.values_list("financial_account", flat=True)) == {accounts[1].pk}


def test_python_code_waits_however_many_rows_are_missing(user, accounts, settings):
    settings.BULKQL_INLINE_ROWS = 2

    operation = bulkql.sync(FinancialAccount, [{"name": "account 1"}], user=user, **ANY)

    assert (operation.state, counts(operation)) == ("COMPLETED", {"unchanged": 1, "deleted": 9})


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


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({}, "max_delete_percent=10 does not let them be deleted; nothing was written. If they should be deleted, give "
             "max_delete_percent=66.67."),
        ({"max_deletes": 2}, "max_deletes=2 does not let them be deleted; nothing was written. If they should be "
                             "deleted, give max_deletes=8."),
        ({"max_deletes": 2, "max_delete_percent": 50},
         "max_deletes=2 and max_delete_percent=50 do not let them be deleted; nothing was written. If they should be "
         "deleted, give max_deletes=8 and max_delete_percent=66.67."),
        ({"max_deletes": 9, "max_delete_percent": 50},
         "max_delete_percent=50 does not let them be deleted; nothing was written. If they should be deleted, give "
         "max_delete_percent=66.67."),
    ],
    ids=str,
)  # fmt: skip
def test_the_guard_names_each_limit_that_stands_in_the_way_and_the_value_that_would_do(user, accounts, limits, message):
    for name in ("account 10", "account 11"):
        FinancialAccount.objects.create(name=name)
    rows = [{"name": f"account {n}"} for n in range(4)]

    operation = bulkql.sync(FinancialAccount, rows, user=user, delete_missing=True, **limits)

    assert operation.message == (
        f"The input does not name 8 of the 12 financial account rows in scope, and {message} If not, check that the "
        "input is complete."
    )
    asked = re.findall(r"(\w+)=(\d+\.?\d*)", operation.message.partition("give")[2])
    limits = limits | {name: json.loads(most.rstrip(".")) for name, most in asked}
    done = bulkql.sync(FinancialAccount, rows, user=user, delete_missing=True, **limits)
    assert counts(done) == {"unchanged": 4, "deleted": 8}


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({}, "financialAccounts.where is empty, and filters nothing. Give it a lookup, or leave it out. "),
        ({"name": {"contains": ""}}, "financialAccounts.where filters nothing: all rows would be in scope. "),
    ],
    ids=str,
)
def test_a_where_that_filters_nothing_tells_of_a_way_that_a_sync_has(user, accounts, ask, where, message):
    document = """mutation ($where: FinancialAccountFilter) { bulkSync(input: {
        financialAccounts: { rows: [{ name: "account 1" }], where: $where }}) { id } }"""

    with pytest.raises(Refused) as refused:
        ask(user, document, where=where)

    assert refused.value.args[0] == [("BAD_INPUT", f"{message}To sync the whole table, leave `where` out.")]
