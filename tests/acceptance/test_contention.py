"""Clients that want the same at once: one operation for one idempotency key, and upserts that do not deadlock."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.acceptance.rows import transactions, write_csv

CLIENTS = 50
KEYS = 50_000
SAME = 4_000
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
SAME_SECONDS = 6


@pytest.mark.parametrize("rows", [40, 400], ids=["answered at once", "queued"])
def test_one_idempotency_key_is_one_operation(service, rows):
    ((before,),) = service.sql("SELECT count(*) FROM bulkql_operation")
    together = threading.Barrier(CLIENTS)
    request = {"financialTransactions": {"rows": transactions(rows)}}

    def ask(_: int) -> str:
        together.wait()
        return str(service.bulk("Create", {"idempotencyKey": f"once {rows}"}, **request)["id"])

    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = set(clients.map(ask, range(CLIENTS)))

    (operation_id,) = answers
    finished = service.finished(operation_id)
    assert (finished["state"], finished["created"], finished["failed"]) == ("COMPLETED", rows, 0)
    assert service.sql("SELECT count(*) FROM bulkql_operation") == [(before + 1,)]
    assert service.sql("SELECT count(*) FROM ledger_financialtransaction") == [(rows,)]


def test_upserts_of_the_same_keys_in_opposite_order(service, tmp_path):
    first = [row | {"amount": "1.00", "description": "first"} for row in transactions(KEYS)]
    second = [row | {"amount": "2.00", "description": "second"} for row in reversed(first)]
    uploads = [
        service.client.upload(write_csv(tmp_path / f"{number}.csv", rows))
        for number, rows in enumerate((first, second))
    ]
    options = {"mode": "ASYNC", "chunkSize": 5_000}
    with service.suspended():
        operations = [
            service.bulk("Upsert", options, financialTransactions={"file": {"uploadId": one}}) for one in uploads
        ]

    finished = [service.finished(operation["id"], 90) for operation in operations]

    assert [(one["state"], one["failed"], one["message"]) for one in finished] == [("COMPLETED", 0, None)] * 2
    assert sum(one["created"] for one in finished) == KEYS
    assert sum(one["updated"] for one in finished) == KEYS
    # Each row is there once, and as one of the two wrote it.
    stored = service.sql(
        "SELECT amount, description, count(DISTINCT datetime) FROM ledger_financialtransaction GROUP BY 1, 2"
    )
    assert sum(count for _, _, count in stored) == KEYS
    assert {(str(amount), description) for amount, description, _ in stored} <= {("1.00", "first"), ("2.00", "second")}
    assert service.sql("SELECT count(*) FROM ledger_financialtransaction") == [(KEYS,)]


@pytest.mark.parametrize("mode", ["SYNC", "ASYNC"])
def test_creates_of_the_same_keys_are_told_apart_soon(service, mode):
    """One of them creates a row, the others are told that it exists; whatever order they come in."""
    rows = transactions(SAME)
    orders = [rows, rows[::-1], rows[SAME // 2 :] + rows[: SAME // 2]]
    together = threading.Barrier(len(orders))

    def ask(order: list[dict[str, object]]) -> dict[str, object]:
        together.wait()
        operation = service.create({"mode": mode}, financialTransactions={"rows": order})
        return service.finished(operation["id"])

    ((before,),) = service.sql(DEADLOCKS)
    began = time.monotonic()
    with ThreadPoolExecutor(len(orders)) as clients:
        finished = list(clients.map(ask, orders))
    took = time.monotonic() - began

    assert {one["state"] for one in finished} == {"COMPLETED"}
    assert sum(one["created"] for one in finished) == SAME
    assert sum(one["failed"] for one in finished) == SAME * (len(orders) - 1)
    assert service.sql("SELECT count(*) FROM ledger_financialtransaction") == [(SAME,)]
    # Each deadlock would take a second to be seen.
    ((after,),) = service.sql(DEADLOCKS)
    assert (after - before, took < SAME_SECONDS) == (0, True)
