"""The same promises on SQLite, at the ORM's speed."""

from __future__ import annotations

import pytest

from tests.acceptance.rows import transactions, write_csv
from tests.acceptance.service import Service


@pytest.fixture
def service(started_on_sqlite: Service) -> Service:
    """The service with no transactions in it."""
    started_on_sqlite.sql("DELETE FROM ledger_financialtransaction")
    return started_on_sqlite


def count(service: Service) -> int:
    ((found,),) = service.sql("SELECT count(DISTINCT description) FROM ledger_financialtransaction")
    return int(found)


def test_rows_files_and_bad_rows(service, tmp_path):
    rows = transactions(4_000)
    rows[100]["amount"] = "much"
    rows[200] = rows[201] | {"description": "superseded"}
    rows[300]["financialAccount"] = "4711"
    again = transactions(2_000, start=3_999)
    upload_id = service.client.upload(write_csv(tmp_path / "t.csv", rows))

    first = service.create({"chunkSize": 500}, financialTransactions={"file": {"uploadId": upload_id}})
    events = list(service.client.watch(first["id"]))
    second = service.finished(service.create({"mode": "ASYNC"}, financialTransactions={"rows": again})["id"])

    assert (events[-1]["state"], events[-1]["created"], events[-1]["failed"]) == ("COMPLETED", 3_997, 3)
    errors = [edge["node"] for edge in service.operation(first["id"])["rowErrors"]["edges"]]
    assert [(error["index"], error["path"], error["code"]) for error in errors] == [
        (100, "amount", "INVALID"),
        (200, None, "DUPLICATE_IN_REQUEST"),
        (300, "financialAccount", "REFERENCE_NOT_FOUND"),
    ]
    assert (second["created"], second["failed"]) == (1_999, 1)
    (edge,) = second["rowErrors"]["edges"]
    assert (edge["node"]["index"], edge["node"]["path"], edge["node"]["code"]) == (0, None, "ALREADY_EXISTS")
    assert count(service) == 3_997 + 1_999


def test_killed_worker_loses_nothing(service, tmp_path):
    file = write_csv(tmp_path / "t.csv", transactions(8_000, start=100_000))
    upload = service.client.upload(file)
    operation = service.create({"chunkSize": 500}, financialTransactions={"file": {"uploadId": upload}})
    for event in service.client.watch(operation["id"]):
        if event["created"] >= 1_000:
            service.workers()[0].kill()
            break

    finished = service.finished(operation["id"])

    assert (finished["state"], finished["created"], finished["failed"]) == ("COMPLETED", 8_000, 0)
    assert count(service) == 8_000
