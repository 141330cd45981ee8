"""A new version goes live while the service is used: nothing is lost, subscribers go on, old workers live on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from bulkql.server.client import BulkClient
from bulkql.server.embedded import free_port
from tests.acceptance.rows import transactions, write_csv
from tests.acceptance.service import BULK, OF_THE_TESTS, Service, wait_for

ROWS = 40
DRAIN_SECONDS = 8


@contextmanager
def second_web(service: Service) -> Iterator[str]:
    """Another web process of the same service, as an orchestrator has; gives its url."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("bulkql")), "serve", "--host", "127.0.0.1", "--port", str(port)]
    inherited = {name: value for name, value in os.environ.items() if name not in OF_THE_TESTS}
    process = subprocess.Popen(command, env={**inherited, **service.state})
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: is_ready(url), 60, "the second web process")
        yield url
    finally:
        process.terminate()
        process.wait()


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=10, verify=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


class Load:
    """A client that creates rows without end, at whichever web process answers; it asks again where none does."""

    def __init__(self, service: Service, urls: list[str]) -> None:
        self.service, self.urls = service, urls
        self.accepted: list[str] = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        rows = transactions(100_000)
        while not self.stopping.is_set() and len(self.accepted) < 2_000:
            start = len(self.accepted) * ROWS
            mode = "ASYNC" if len(self.accepted) % 2 else "SYNC"
            self.accepted.append(self.create(rows[start : start + ROWS], mode))

    def create(self, rows: list[dict[str, Any]], mode: str) -> str:
        options = {"mode": mode, "idempotencyKey": uuid.uuid4().hex}
        variables = {"input": {"financialTransactions": {"rows": rows}}, "options": options}
        body = {"query": BULK.format(verb="Create"), "variables": variables}
        headers = {"Authorization": f"Bearer {self.service.token}"}
        while True:
            for url in self.urls:
                try:
                    answer = httpx.post(f"{url}/graphql", json=body, headers=headers, timeout=30, verify=False).json()
                    return str(answer["data"]["bulkCreate"]["id"])
                except (httpx.HTTPError, ValueError, TypeError):
                    continue


def restart(processes: list[psutil.Process]) -> None:
    """SIGTERM, as an orchestrator sends; whoever supervises them starts them again."""
    for process in processes:
        process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, DRAIN_SECONDS + 10)
    assert alive == []


def test_rolling_restart_under_load_loses_nothing_and_subscribers_resume(service: Service, tmp_path: Path):
    with second_web(service) as other:
        load = Load(service, [service.url, other])
        upload = service.client.upload(write_csv(tmp_path / "rows.csv", transactions(60_000)[20_000:]))
        load.thread.start()
        operation = service.create({"chunkSize": 1_000}, financialTransactions={"file": {"uploadId": upload}})
        seen: list[int] = []
        subscriber = threading.Thread(target=resume, args=(service, [service.url, other], operation["id"], seen))
        subscriber.start()
        try:
            restart(service.processes("uvicorn"))
            wait_for(lambda: is_ready(service.url), 60, "the web process to be back")
            for master in {child.parent() for child in service.workers()}:
                restart([master])
                wait_for(lambda: len(service.workers()) == 2, 60, "the workers to be back")
        finally:
            load.stopping.set()
            load.thread.join()
        subscriber.join(60)

    ends = [service.finished(one) for one in load.accepted]
    assert len(ends) > 10
    assert {(one["state"], one["created"] + one["failed"]) for one in ends} == {("COMPLETED", ROWS)}
    whole = service.finished(operation["id"])
    created = sum(one["created"] for one in ends) + whole["created"]
    assert (whole["state"], whole["processed"]) == ("COMPLETED", 40_000)
    assert service.sql("SELECT count(*) FROM ledger_financialtransaction") == [(created,)]
    assert seen == sorted(seen)
    assert seen[-1] == 40_000


def resume(service: Service, urls: list[str], operation_id: str, seen: list[int]) -> None:
    """A subscriber that joins again where its web process goes."""
    while True:
        for url in urls:
            try:
                for event in BulkClient(url, service.token).watch(operation_id):
                    seen.append(event["processed"])
                    if event["state"] == "COMPLETED":
                        return
            except Exception:
                continue


def test_worker_that_is_stopped_finishes_its_chunk_within_the_time_it_has(service: Service, tmp_path: Path):
    upload = service.client.upload(write_csv(tmp_path / "rows.csv", transactions(40_000)))
    operation = service.create({"chunkSize": 1_000}, financialTransactions={"file": {"uploadId": upload}})
    wait_for(lambda: service.operation(operation["id"])["created"] >= 2_000, 30, "the first chunks")

    restart(service.workers())

    assert service.finished(operation["id"])["created"] == 40_000
    again = "SELECT count(*) FROM bulkql_chunk WHERE operation_id = %s AND attempts > 1"
    assert service.sql(again, operation["id"]) == [(0,)]


def test_old_workers_live_through_a_migration(service: Service, tmp_path: Path):
    """What the next version adds to the tables, while the workers of this one write."""
    upload = service.client.upload(write_csv(tmp_path / "rows.csv", transactions(40_000)))
    operation = service.create({"chunkSize": 1_000}, financialTransactions={"file": {"uploadId": upload}})
    wait_for(lambda: service.operation(operation["id"])["created"] >= 2_000, 30, "the first chunks")
    tables = ("bulkql_operation", "bulkql_input", "bulkql_chunk", "bulkql_upload")
    try:
        for table in tables:
            service.sql(f"ALTER TABLE {table} ADD COLUMN of_the_next_version integer")

        assert service.finished(operation["id"])["created"] == 40_000
        late = service.create({"mode": "SYNC"}, financialTransactions={"rows": transactions(40_010)[40_000:]})
        assert late["created"] == 10
    finally:
        for table in tables:
            service.sql(f"ALTER TABLE {table} DROP COLUMN of_the_next_version")
