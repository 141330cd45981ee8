"""The whole service behind PgBouncer, which gives each transaction one of two connections; what may die, dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.acceptance.conftest import create_parents
from tests.acceptance.rows import transactions, write_csv
from tests.acceptance.service import Service, running, wait_for
from tests.pooler import MISSING, PGBOUNCER, pooled

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason=MISSING)

ROWS = 30_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("pooled")
    for above in (directory, *directory.parents[:3]):
        above.chmod(0o755)
    direct = os.environ["DATABASE_URL"]
    with psycopg.connect(direct, autocommit=True) as connection:
        connection.execute("CREATE DATABASE pooled")
    pooler = pooled(direct.replace("/postgres?", "/pooled?"), directory)
    with pooler as url, running(directory / "data", DATABASE_URL=url) as started:
        create_parents(started)
        yield started


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("files") / "transactions.csv", transactions(ROWS))


@pytest.mark.parametrize("victim", ["worker", "web", "redis"])
def test_nothing_is_lost_behind_a_pooler(service: Service, file: Path, victim: str):
    service.sql("TRUNCATE ledger_financialtransaction RESTART IDENTITY")
    upload = service.client.upload(file)
    operation = service.create({"chunkSize": 2_000}, financialTransactions={"file": {"uploadId": upload}})
    written = "SELECT count(*) > 0 FROM ledger_financialtransaction"
    wait_for(lambda: service.sql(written) == [(True,)], 30, "the first rows")

    match victim:
        case "worker":
            service.workers()[0].kill()
        case "web":
            service.processes("uvicorn")[0].kill()
        case "redis":
            service.redis().flushall()

    wait_for(lambda: is_answering(service), 30, "the service to answer")
    finished = service.finished(operation["id"])
    assert (finished["state"], finished["created"], finished["failed"]) == ("COMPLETED", ROWS, 0)
    assert service.sql("SELECT count(*), count(DISTINCT description) FROM ledger_financialtransaction") == [
        (ROWS, ROWS)
    ]


def is_answering(service: Service) -> bool:
    try:
        return bool(service.post("{ bulkResources { name } }"))
    except httpx.HTTPError:
        return False


def test_commits_of_the_web_are_durable_although_workers_commit_at_leisure(service: Service):
    for _ in range(20):
        assert service.sql("SHOW synchronous_commit") == [("on",)]
