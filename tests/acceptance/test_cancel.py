"""Cancel: what is written stays and is counted, the rest is skipped, and nothing else is begun."""

from __future__ import annotations

from tests.acceptance.rows import transactions, write_csv
from tests.acceptance.service import wait_for

CANCEL = "mutation ($id: ID!) { cancelOperation(id: $id) { state created } }"
RETRY = "mutation ($id: ID!) { retryOperation(id: $id) { id retryOf } }"
ROWS = 150_000
CHUNK_SIZE = 1_500


def test_cancel_in_the_middle_and_retry(service, tmp_path):
    upload = service.client.upload(write_csv(tmp_path / "t.csv", transactions(ROWS)))
    operation = service.create({"chunkSize": CHUNK_SIZE}, financialTransactions={"file": {"uploadId": upload}})
    wait_for(lambda: service.operation(operation["id"])["created"] >= 10 * CHUNK_SIZE, 30, "the first chunks")
    events = service.client.watch(operation["id"])
    first = next(events)

    answer = service.post(CANCEL, id=operation["id"])["data"]["cancelOperation"]
    rest = list(events)

    assert first["state"] == "RUNNING"
    assert answer["state"] in ("CANCELING", "CANCELED")
    assert rest[-1]["state"] == "CANCELED"
    canceled = service.operation(operation["id"])
    assert canceled["created"] + canceled["skipped"] == canceled["total"] == canceled["processed"] == ROWS
    assert 0 <= canceled["created"] - answer["created"] <= 2 * len(service.workers()) * CHUNK_SIZE
    assert canceled["created"] < ROWS
    assert service.sql("SELECT count(*) FROM ledger_financialtransaction") == [(canceled["created"],)]

    retried = service.post(RETRY, id=operation["id"])["data"]["retryOperation"]

    assert retried["retryOf"] == operation["id"]
    finished = service.finished(retried["id"])
    assert {name: finished[name] for name in ("state", "total", "created", "failed", "skipped")} == {
        "state": "COMPLETED",
        "total": canceled["skipped"],
        "created": canceled["skipped"],
        "failed": 0,
        "skipped": 0,
    }
    assert service.sql("SELECT count(*), count(DISTINCT description) FROM ledger_financialtransaction") == [
        (ROWS, ROWS)
    ]


def test_operation_that_is_over_stays_as_it_is(service):
    operation = service.create({"mode": "SYNC"}, financialTransactions={"rows": transactions(3)})

    answer = service.post(CANCEL, id=operation["id"])["data"]["cancelOperation"]

    assert answer["state"] == "COMPLETED"


def test_operation_that_waits_is_canceled_whole(service):
    with service.suspended():
        operation = service.create({"mode": "ASYNC"}, financialTransactions={"rows": transactions(100)})

        answer = service.post(CANCEL, id=operation["id"])["data"]["cancelOperation"]

    assert answer["state"] == "CANCELED"
    assert service.operation(operation["id"])["skipped"] == 100
    results = service.results(operation["id"])
    assert [row["index"] for row in results] == list(range(100))
    assert {row["outcome"] for row in results} == {"SKIPPED"}
    assert service.sql("SELECT count(*) FROM ledger_financialtransaction") == [(0,)]
