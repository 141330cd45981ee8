"""What bulk mutations take besides rows: ids, keys, filters, matchBy, updateFields."""

from __future__ import annotations

import pytest

from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.examples.places.models import Country
from tests.integration.conftest import Refused

pytestmark = pytest.mark.django_db(transaction=True)

DELETE = """
mutation ($input: BulkDeleteInput!) {
  bulkDelete(input: $input) {
    state total deleted failed
    cascades { model count }
    results { edges { node { outcome pk } } }
    rowErrors { edges { node { index path code data } } }
  }
}
"""
UPSERT = """
mutation ($input: BulkUpsertInput!) { bulkUpsert(input: $input) { created updated unchanged failed } }
"""


@pytest.fixture
def accounts():
    return [FinancialAccount.objects.create(name=name) for name in ("a", "b", "c")]


def names():
    return sorted(FinancialAccount.objects.values_list("name", flat=True))


def test_rows_are_deleted_by_ids(ask, user, accounts):
    data = ask(user, DELETE, input={"financialAccounts": {"ids": [str(accounts[0].pk), "x", accounts[2].pk]}})

    operation = data["bulkDelete"]
    assert names() == ["b"]
    assert [edge["node"] for edge in operation["results"]["edges"]] == [
        {"outcome": "DELETED", "pk": str(accounts[0].pk)},
        {"outcome": "FAILED", "pk": None},
        {"outcome": "DELETED", "pk": str(accounts[2].pk)},
    ]
    assert [edge["node"] for edge in operation["rowErrors"]["edges"]] == [
        {"index": 1, "path": "id", "code": "INVALID", "data": "x"}
    ]


def test_rows_are_deleted_by_keys(ask, user, accounts):
    data = ask(user, DELETE, input={"financialAccounts": {"keys": [{"name": "c"}, {"name": "x"}]}})

    assert names() == ["a", "b"]
    assert [edge["node"] for edge in data["bulkDelete"]["rowErrors"]["edges"]] == [
        {"index": 1, "path": "name", "code": "NOT_FOUND", "data": "x"}
    ]


def test_keys_may_name_what_they_point_to(ask, user, accounts):
    status = ClassificationStatus.objects.create(name="New")
    for account in accounts:
        FinancialTransaction.objects.create(
            amount=1, datetime="2024-01-01T00:00:00Z", financial_account=account, classification_status=status
        )
    key = {"financialAccountBy": {"name": "b"}, "datetime": "2024-01-01T00:00:00Z"}

    data = ask(user, DELETE, input={"financialTransactions": {"keys": [key]}})

    assert (data["bulkDelete"]["deleted"], data["bulkDelete"]["failed"]) == (1, 0)
    assert {one.financial_account.name for one in FinancialTransaction.objects.all()} == {"a", "c"}


def test_rows_are_deleted_by_a_filter(ask, user, accounts):
    where = {"name": {"inList": ["a", "c", "z"]}}

    data = ask(user, DELETE, input={"financialAccounts": {"where": where}})
    again = ask(user, DELETE, input={"financialAccounts": {"where": where}})

    assert names() == ["b"]
    assert (data["bulkDelete"]["total"], data["bulkDelete"]["deleted"]) == (2, 2)
    assert (again["bulkDelete"]["state"], again["bulkDelete"]["total"]) == ("COMPLETED", 0)


def test_a_foreign_key_is_a_filter_too(ask, user, accounts):
    status = ClassificationStatus.objects.create(name="New")
    for account in accounts:
        FinancialTransaction.objects.create(
            amount=1, datetime="2024-01-01T00:00:00Z", financial_account=account, classification_status=status
        )

    ask(user, DELETE, input={"financialTransactions": {"where": {"financialAccount": {"pk": str(accounts[1].pk)}}}})

    assert {one.financial_account.name for one in FinancialTransaction.objects.all()} == {"a", "c"}


def test_an_upsert_is_matched_by_any_key(ask, user):
    Country.objects.create(iso="DE", iso3="DEU", name="Germany", continent="EU")
    row = {"iso": "XX", "iso3": "DEU", "name": "x", "capital": "Berlin", "continent": "EU"}

    data = ask(user, UPSERT, input={"countries": {"rows": [row], "matchBy": ["ISO3"], "updateFields": ["CAPITAL"]}})

    assert data["bulkUpsert"] == {"created": 0, "updated": 1, "unchanged": 0, "failed": 0}
    assert list(Country.objects.values_list("iso", "name", "capital")) == [("DE", "Germany", "Berlin")]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"rows": [{"name": "x"}], "matchBy": ["NAME"]},
            "countries cannot be matched by [NAME], of which several rows may have the same; "
            "matchBy may be [ISO] or [ISO3].",
        ),
        (
            {"rows": [{"iso": "x"}], "updateFields": []},
            "updateFields of countries is empty; it may name "
            "ISO, ISO3, NAME, CONTINENT, CAPITAL, POPULATION, AREA_KM2.",
        ),
    ],
)
def test_what_cannot_be_is_refused(ask, user, given, message):
    with pytest.raises(Refused) as caught:
        ask(user, UPSERT, input={"countries": given})

    assert caught.value.args == ([("BAD_INPUT", message)],)
