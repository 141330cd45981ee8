"""An export on a running service: whole after a kill, and fetched in parts."""

from __future__ import annotations

import httpx
import psycopg

from tests.acceptance.rows import transactions, write_csv
from tests.acceptance.service import Service, wait_for

EXPORT = """mutation { bulkExport(
    input: { financialTransactions: { fields: ["amount", "datetime", "financialAccount.name"] } }
) { id } }"""
FILES = "query ($id: ID!) { operation(id: $id) { total exported files { rows bytes url } } }"
HELD = "SELECT attempts FROM bulkql_input WHERE operation_id = %s AND leased_until > now()"
#: All files that any attempt at an export has left.
STORED = """SELECT count(*) FROM bulkql_stored_file f JOIN bulkql_input i ON f.name LIKE 'exports/' || i.id || '-%%'
    WHERE i.operation_id = %s"""
ROWS = 20_000


def test_an_export_whose_worker_is_killed_is_whole_and_can_be_fetched_in_parts(service: Service, tmp_path):
    upload = service.client.upload(write_csv(tmp_path / "rows.csv", transactions(ROWS)))
    service.finished(service.create({}, financialTransactions={"file": {"uploadId": upload}})["id"])
    with psycopg.connect(service.state["DATABASE_URL"]) as holder:
        holder.execute("LOCK TABLE ledger_financialtransaction IN ACCESS EXCLUSIVE MODE")
        operation_id = service.post(EXPORT)["data"]["bulkExport"]["id"]
        wait_for(lambda: service.sql(HELD, operation_id), 30, "a worker to begin")
        for worker in service.workers():
            worker.kill()
        holder.rollback()

    service.finished(operation_id)
    told = service.post(FILES, id=operation_id)["data"]["operation"]

    (file,) = told["files"]
    assert (told["total"], told["exported"], file["rows"]) == (ROWS, ROWS, str(ROWS))
    assert service.sql("SELECT max(attempts) > 1 FROM bulkql_input WHERE operation_id = %s", operation_id) == [(True,)]
    assert service.sql(STORED, operation_id) == [(1,)]
    size = int(file["bytes"])
    parts = [fetched(service, file["url"], start, start + size // 3) for start in range(0, size, size // 3 + 1)]
    header, *lines = b"".join(parts).decode().splitlines()
    assert header == "amount,datetime,financialAccount.name"
    assert (len(lines), len(set(lines))) == (ROWS, ROWS)


def fetched(service: Service, url: str, first: int, last: int) -> bytes:
    """Some bytes of a file."""
    headers = {"Authorization": f"Bearer {service.token}", "Range": f"bytes={first}-{last}"}
    answer = httpx.get(url, headers=headers, verify=False)
    assert answer.status_code == 206
    return answer.content
