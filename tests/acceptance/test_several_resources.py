"""Several resources in one request of each verb: parents before children, and for deletes children before parents."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.service import Service

WHEN = "2024-01-01T00:00:00Z"


def transaction(account: str, status: str, **fields: Any) -> dict[str, Any]:
    names = {"financialAccountBy": {"name": account}, "classificationStatusBy": {"name": status}}
    return {**names, "datetime": WHEN, **fields}


#: In the order in which a story tells them: verb, transactions, accounts, statuses -> outcomes of the same, and what
#: transactions there are then. Each points to parents that are there only by the same request.
STEPS: list[tuple[str, list[Any], list[Any], list[Any], list[list[str]], list[Any]]] = [
    (
        "Create",
        [transaction("New", "Fresh", amount="1", description="a")],
        [{"name": "New"}],
        [{"name": "Fresh"}],
        [["CREATED"], ["CREATED"], ["CREATED"]],
        [("New", "Fresh", 1, "a")],
    ),
    (
        "Update",
        [transaction("Newer", "Fresh", amount="2")],
        [{"id": "account", "name": "Newer"}],
        [{"name": "Fresh"}],
        [["UPDATED"], ["UPDATED"], ["UNCHANGED"]],
        [("Newer", "Fresh", 2, "a")],
    ),
    (
        "Replace",
        [transaction("Newest", "Fresher", amount="3", description="b")],
        [{"id": "account", "name": "Newest"}],
        [{"id": "status", "name": "Fresher"}],
        [["UPDATED"], ["UPDATED"], ["UPDATED"]],
        [("Newest", "Fresher", 3, "b")],
    ),
    (
        "Upsert",
        [
            transaction("Newest", "Freshest", amount="4"),
            transaction("Second", "Freshest", amount="5", description="c"),
        ],
        [{"name": "Second"}],
        [{"name": "Freshest"}, {"name": "Fresher"}],
        [["UPDATED", "CREATED"], ["CREATED"], ["CREATED", "UNCHANGED"]],
        [("Newest", "Freshest", 4, "b"), ("Second", "Freshest", 5, "c")],
    ),
    (
        "Delete",
        [{name: value for name, value in transaction(account, "").items() if name != "classificationStatusBy"}
         for account in ("Newest", "Second")],
        [{"name": "Newest"}],
        [{"name": "Freshest"}],
        [["DELETED", "DELETED"], ["DELETED"], ["DELETED"]],
        [],
    ),
]  # fmt: skip
RESOURCES = ("financialTransactions", "financialAccounts", "classificationStatuses")


@pytest.mark.parametrize("options", [{}, {"mode": "ASYNC", "chunkSize": 1}, {"onError": "REJECT_ALL"}], ids=str)
def test_each_verb(each_service: Service, options):
    service = each_service
    for verb, *inputs, outcomes, stored in STEPS:
        rows = {name: with_ids(service, given) for name, given in zip(RESOURCES, inputs, strict=True)}

        operation = service.bulk(
            verb, options, **{name: {"keys" if verb == "Delete" else "rows": given} for name, given in rows.items()}
        )

        finished = service.finished(operation["id"])
        results = service.results(operation["id"])
        order = [one["resource"] for one in finished["resources"]]
        assert (verb, finished["state"], finished["rowErrors"]["edges"]) == (verb, "COMPLETED", [])
        assert [[row["outcome"] for row in results if row["resource"] == name] for name in RESOURCES] == outcomes, verb
        assert order.index("financialTransactions") == (0 if verb == "Delete" else 2)
        assert transactions(service) == stored


def with_ids(service: Service, rows: list[Any]) -> list[Any]:
    """Rows with the ids of the account and the status that the story began with."""
    tables = {"account": "ledger_financialaccount WHERE id > 100", "status": "ledger_classificationstatus WHERE id > 3"}
    return [
        row | {"id": service.sql(f"SELECT min(id) FROM {tables[row['id']]}")[0][0]} if "id" in row else row
        for row in rows
    ]


def transactions(service: Service) -> list[Any]:
    """Account, status, amount and description of each transaction."""
    rows = service.sql(
        "SELECT a.name, s.name, t.amount, t.description FROM ledger_financialtransaction t"
        " JOIN ledger_financialaccount a ON a.id = t.financial_account_id"
        " JOIN ledger_classificationstatus s ON s.id = t.classification_status_id ORDER BY t.id"
    )
    return [(account, status, float(amount), description) for account, status, amount, description in rows]
