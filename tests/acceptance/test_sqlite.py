"""The same promises on SQLite, at the ORM's speed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.rows import transactions, write_csv
from tests.acceptance.service import Service, running


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sqlite") / "bulkql.sqlite3"


@pytest.fixture(scope="module")
def service(database: Path) -> Iterator[Service]:
    with running(database.parent / "data", DATABASE_URL=f"sqlite:///{database}") as service:
        accounts = [{"name": f"Account {number}"} for number in range(100)]
        statuses = [{"name": name} for name in ("Open", "Classified", "Doubtful")]
        service.create(
            {"mode": "SYNC"}, financialAccounts={"rows": accounts}, classificationStatuses={"rows": statuses}
        )
        yield service


def count(database: Path) -> int:
    with sqlite3.connect(database) as connection:
        (found,) = connection.execute("SELECT count(DISTINCT description) FROM ledger_financialtransaction").fetchone()
        return int(found)


def test_rows_files_and_bad_rows(service, database, tmp_path):
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
    assert count(database) == 3_997 + 1_999


def test_killed_worker_loses_nothing(service, database, tmp_path):
    before = count(database)
    file = write_csv(tmp_path / "t.csv", transactions(20_000, start=100_000))
    upload = service.client.upload(file)
    operation = service.create({"chunkSize": 500}, financialTransactions={"file": {"uploadId": upload}})
    for event in service.client.watch(operation["id"]):
        if event["created"] >= 1_000:
            service.workers()[0].kill()
            break

    finished = service.finished(operation["id"])

    assert (finished["state"], finished["created"], finished["failed"]) == ("COMPLETED", 20_000, 0)
    assert count(database) == before + 20_000
