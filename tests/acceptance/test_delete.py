"""bulkDelete: by ids, keys, a filter and a file; what goes along with the rows is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.rows import START, write_csv
from tests.acceptance.service import Service

#: Way -> what deletes the accounts Gone 0 and Gone 1, made of their ids, the service and a directory.
DELETES: dict[str, Callable[..., dict[str, Any]]] = {
    "ids": lambda ids, **_: {"ids": ids},
    "keys": lambda **_: {"keys": [{"name": "Gone 0"}, {"name": "Gone 1"}]},
    "where": lambda **_: {"where": {"name": {"startsWith": "Gone"}}},
    "file of keys": lambda service, tmp_path, **_: file(service, tmp_path, [{"name": "Gone 0"}, {"name": "Gone 1"}]),
    "file of ids": lambda service, tmp_path, ids, **_: file(service, tmp_path, [{"id": pk} for pk in ids]),
    "keys that are ids": lambda ids, **_: {"keys": [{"id": pk} for pk in ids]},
}
TRANSACTIONS_OF_AN_ACCOUNT = 3


def file(service: Service, directory: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"file": {"uploadId": service.client.upload(write_csv(directory / "t.csv", rows))}}


@pytest.fixture
def service(each_service: Service) -> Service:
    return each_service


@pytest.fixture
def ids(service: Service) -> list[str]:
    """Three more accounts, Gone 0, Gone 1 and Kept, each with transactions; gives the ids of the first two."""
    names = ["Gone 0", "Gone 1", "Kept"]
    transactions = [
        {
            "amount": "1",
            "description": name,
            "datetime": START.replace(minute=minute).isoformat(),
            "financialAccountBy": {"name": name},
            "classificationStatusBy": {"name": "Open"},
        }
        for name in names
        for minute in range(TRANSACTIONS_OF_AN_ACCOUNT)
    ]
    operation = service.create(
        {"mode": "SYNC"},
        financialTransactions={"rows": transactions},
        financialAccounts={"rows": [{"name": name} for name in names]},
    )
    return [row["pk"] for row in service.results(operation["id"]) if row["resource"] == "financialAccounts"][:2]


def left(service: Service) -> tuple[list[str], int]:
    """The names of the accounts that were added, and how many transactions there are."""
    names = service.sql("SELECT name FROM ledger_financialaccount WHERE id > 100 ORDER BY id")
    ((transactions,),) = service.sql("SELECT count(*) FROM ledger_financialtransaction")
    return [name for (name,) in names], transactions


@pytest.mark.parametrize("mode", ["SYNC", "ASYNC"])
@pytest.mark.parametrize("way", DELETES)
def test_rows_and_what_goes_along_with_them(service, tmp_path, ids, way, mode):
    request = {"financialAccounts": DELETES[way](ids=ids, service=service, tmp_path=tmp_path)}
    cascades = [{"model": "ledger.FinancialTransaction", "count": str(2 * TRANSACTIONS_OF_AN_ACCOUNT)}]

    dry = service.finished(service.bulk("Delete", {"mode": mode, "dryRun": True}, **request)["id"])
    left_by_dry = left(service)
    real = service.finished(service.bulk("Delete", {"mode": mode, "chunkSize": 1}, **request)["id"])

    assert left_by_dry == (["Gone 0", "Gone 1", "Kept"], 3 * TRANSACTIONS_OF_AN_ACCOUNT)
    assert left(service) == (["Kept"], TRANSACTIONS_OF_AN_ACCOUNT)
    for operation in (dry, real):
        counts = {name: operation[name] for name in ("state", "total", "deleted", "failed", "cascades")}
        assert counts == {"state": "COMPLETED", "total": 2, "deleted": 2, "failed": 0, "cascades": cascades}
        assert [(row["index"], row["outcome"], row["pk"]) for row in service.results(operation["id"])] == [
            (0, "DELETED", ids[0]),
            (1, "DELETED", ids[1]),
        ]


def test_ids_that_are_not_there_or_come_twice_and_a_protected_row(service, ids):
    operation = service.bulk(
        "Delete", financialAccounts={"ids": ["4711", ids[0], "first", ids[0]]}, classificationStatuses={"ids": ["1"]}
    )

    finished = service.operation(operation["id"])
    results = service.results(operation["id"])
    nothing = ("FAILED", None)
    assert [(row["outcome"], row["pk"]) for row in results if row["resource"] == "financialAccounts"] == [
        nothing,
        nothing,
        nothing,
        ("DELETED", ids[0]),
    ]
    assert (finished["state"], finished["deleted"], finished["failed"]) == ("COMPLETED", 1, 4)
    errors = [edge["node"] for edge in finished["rowErrors"]["edges"]]
    assert sorted((one["resource"], one["index"], one["path"], one["code"]) for one in errors) == [
        ("classificationStatuses", 0, None, "CONSTRAINT"),
        ("financialAccounts", 0, "id", "NOT_FOUND"),
        ("financialAccounts", 1, "id", "DUPLICATE_IN_REQUEST"),
        ("financialAccounts", 2, "id", "INVALID"),
    ]
    assert left(service) == (["Gone 1", "Kept"], 2 * TRANSACTIONS_OF_AN_ACCOUNT)
    assert service.sql("SELECT name FROM ledger_classificationstatus WHERE id = 1") == [("Open",)]
