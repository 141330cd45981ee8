"""How soon work goes on after a fault: the promised seconds, measured on a running service."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import redis

from tests.acceptance.rows import transactions, write_csv
from tests.acceptance.service import Service, wait_for

KILLED_WORKER_SECONDS = 10
LOST_MESSAGES_SECONDS = 3
KILLED_BACKEND_SECONDS = 5


def dispatched(service: Service) -> str:
    operation = service.create({"mode": "ASYNC"}, financialTransactions={"rows": transactions(100)})
    return str(operation["id"])


@contextmanager
def locked_accounts(service: Service) -> Iterator[None]:
    """Somebody holds the table: whoever writes to it waits."""
    with psycopg.connect(service.state["DATABASE_URL"]) as holder:
        holder.execute("LOCK TABLE ledger_financialtransaction IN SHARE MODE")
        yield
        holder.rollback()


WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%financialtransaction%%'"


def test_chunks_of_a_killed_worker_are_taken_over_within_ten_seconds(service: Service, tmp_path):
    """All workers hold a chunk, one of them dies with its own; another does them again."""
    upload = service.client.upload(write_csv(tmp_path / "rows.csv", transactions(20_000)))
    with locked_accounts(service):
        operation = service.create({"chunkSize": 2_000}, financialTransactions={"file": {"uploadId": upload}})
        wait_for(lambda: len(service.sql(WAITING)) >= 3, 30, "the workers to wait")
        held = {chunk for (chunk,) in service.sql("SELECT id FROM bulkql_chunk WHERE leased_until > now()")}
        service.workers()[0].kill()
    killed = time.monotonic()
    recorded = "SELECT id FROM bulkql_chunk WHERE id = ANY(%s) AND recorded_at IS NOT NULL"
    wait_for(lambda: len(service.sql(recorded, list(held))) == len(held), 60, "the chunks to be done")
    took = time.monotonic() - killed

    taken_over = "SELECT count(*) > 0 FROM bulkql_chunk WHERE id = ANY(%s) AND attempts > 1"
    assert service.sql(taken_over, list(held)) == [(True,)]
    assert service.finished(operation["id"])["created"] == 20_000
    assert took < KILLED_WORKER_SECONDS


def test_the_work_goes_on_soon_where_all_workers_die_at_once(service: Service):
    """As where the one master of `bulkql work --processes 4` dies: its workers end with it, and it is started again."""
    with locked_accounts(service):
        operation_id = dispatched(service)
        wait_for(lambda: service.sql(WAITING), 30, "a worker to wait")
        workers = {one.pid for one in service.workers()}
        masters = [
            one for one in service.processes("dramatiq bulkql.server.processes.worker") if one.pid not in workers
        ]
        for master in masters:
            master.kill()
    began = time.monotonic()

    assert service.finished(operation_id)["created"] == 100
    # Ten seconds, of which three are a new process's start: beside other tests that takes longer.
    assert time.monotonic() - began < 2 * KILLED_WORKER_SECONDS


def test_flushed_redis_costs_three_seconds(service: Service):
    with service.suspended():
        operation_id = dispatched(service)
        service.redis().flushall()
    began = time.monotonic()

    assert service.finished(operation_id)["created"] == 100
    assert time.monotonic() - began < LOST_MESSAGES_SECONDS


def test_restarted_redis_costs_three_seconds(service: Service):
    with service.suspended():
        operation_id = dispatched(service)
        (server,) = service.processes("redis-server")
        server.kill()
        server.wait()
        wait_for(lambda: is_there(service), 30, "Redis to be back")
    began = time.monotonic()

    assert service.finished(operation_id)["created"] == 100
    assert time.monotonic() - began < LOST_MESSAGES_SECONDS


def is_there(service: Service) -> bool:
    try:
        return bool(service.redis().ping())
    except redis.ConnectionError:
        return False


def test_killed_backend_costs_five_seconds(service: Service):
    with locked_accounts(service):
        operation_id = dispatched(service)
        ((pid,),) = wait_for(lambda: service.sql(WAITING), 30, "the worker to wait")
        service.sql("SELECT pg_terminate_backend(%s)", pid)
    began = time.monotonic()

    assert service.finished(operation_id)["created"] == 100
    assert time.monotonic() - began < KILLED_BACKEND_SECONDS
