"""What may die in the middle of an operation, dies; the operation completes by itself, each row written once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.rows import transactions, write_csv
from tests.acceptance.service import Service, wait_for

ROWS = 60_000

#: What the issue allows from the fault's end to the operation's.
SECONDS = 60


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("files") / "transactions.csv", transactions(ROWS))


def started(service: Service, file: Path) -> str:
    """An operation in its middle: some chunks are written, others are not."""
    operation = service.create(
        {"chunkSize": 800}, financialTransactions={"file": {"uploadId": service.client.upload(file)}}
    )
    wait_for(lambda: service.operation(operation["id"])["created"] >= 4_000, 30, "the first chunks")
    return str(operation["id"])


def assert_complete(service: Service, operation_id: str) -> None:
    operation = service.finished(operation_id, SECONDS)
    assert {name: operation[name] for name in ("state", "total", "processed", "created", "failed")} == {
        "state": "COMPLETED",
        "total": ROWS,
        "processed": ROWS,
        "created": ROWS,
        "failed": 0,
    }
    assert service.sql("SELECT count(*), count(DISTINCT description) FROM ledger_financialtransaction") == [
        (ROWS, ROWS)
    ]


def assert_unfinished(service: Service, operation_id: str) -> None:
    """The fault came in time to matter."""
    assert service.operation(operation_id)["state"] == "RUNNING"


def test_killed_worker_loses_nothing(service, file):
    operation_id = started(service, file)

    service.workers()[0].kill()

    assert_unfinished(service, operation_id)
    assert_complete(service, operation_id)


def test_all_workers_killed_lose_nothing(service, file):
    operation_id = started(service, file)

    for worker in service.processes("dramatiq bulkql.server.processes.worker"):
        worker.kill()

    assert_unfinished(service, operation_id)
    assert_complete(service, operation_id)


def test_flushed_redis_loses_nothing(service, file):
    operation_id = started(service, file)

    service.redis().flushall()

    assert_unfinished(service, operation_id)
    assert_complete(service, operation_id)


def test_restarted_redis_loses_nothing(service, file):
    operation_id = started(service, file)

    (server,) = service.processes("redis-server")
    server.kill()

    assert_unfinished(service, operation_id)
    assert_complete(service, operation_id)


def test_subscriber_sees_the_end_although_redis_restarts_in_the_middle(service, file):
    operation_id = started(service, file)
    events = []
    for event in service.client.watch(operation_id):
        events.append(event)
        if len(events) == 3:
            service.processes("redis-server")[0].kill()

    processed = [event["processed"] for event in events]
    assert processed == sorted(processed)
    assert (events[-1]["state"], events[-1]["created"]) == ("COMPLETED", ROWS)
    assert_complete(service, operation_id)


def test_idle_subscriber_stays_connected(service, file):
    with ExitStack() as watching:
        with service.suspended():
            operation = service.create({"mode": "ASYNC"}, financialTransactions={"rows": transactions(100)})
            events = watching.enter_context(connected(service, operation["id"]))
            assert next(events)["state"] == "QUEUED"
            # Longer than redis-py's default timeout of 5 seconds, which kills other channel layers' websockets.
            threading.Event().wait(7)
        rest = list(events)

    assert (rest[-1]["state"], rest[-1]["created"]) == ("COMPLETED", 100)


@contextmanager
def connected(service: Service, operation_id: str) -> Iterator[Iterator[dict[str, Any]]]:
    events = service.client.watch(operation_id)
    yield events
    events.close()  # type: ignore[attr-defined]


def test_web_process_killed_after_its_answer_loses_nothing(service, file):
    operation = service.create(
        {"chunkSize": 800}, financialTransactions={"file": {"uploadId": service.client.upload(file)}}
    )

    (web,) = service.processes("uvicorn")
    web.kill()

    wait_for(lambda: is_answering(service), 30, "the web process to be back")
    assert_complete(service, operation["id"])


def is_answering(service: Service) -> bool:
    try:
        return bool(service.post("{ bulkResources { name } }"))
    except httpx.HTTPError:
        return False
