"""No process of the service takes more than 600 MB, whatever it is sent."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.acceptance.service import Service
from tests.bombs import BOMBS
from tests.peaks import peak_bytes

MOST_BYTES = 600 * 1024 * 1024
CREATE = """
mutation ($id: ID!, $mode: Mode!) {
  bulkCreate(input: { financialAccounts: { file: { uploadId: $id } } }, options: { mode: $mode, dryRun: true }) { id }
}
"""
SENT = (
    "surplus-100000.csv",
    "surplus-1000000.csv",
    "surplus-empty.csv",
    "long-line.csv",
    "nested.ndjson",
    "objects.ndjson",
    "dictionary.parquet",
    "run.parquet",
    "list.parquet",
)


def peaks(service: Service) -> dict[str, int]:
    """The most that each web and worker process has taken so far."""
    processes = [*service.processes("bulkql.server"), *service.workers()]
    return {f"{process.pid} {' '.join(process.cmdline())[-60:]}": peak_bytes(process.pid) for process in processes}


def assert_small(service: Service) -> None:
    found = peaks(service)
    assert len(found) >= 2
    assert {name: size for name, size in found.items() if size > MOST_BYTES} == {}


@pytest.mark.parametrize("name", SENT)
def test_no_process_takes_600_mb_whatever_file_is_sent(service: Service, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    BOMBS[name](path)
    upload_id = service.client.upload(path)

    for mode in ("SYNC", "ASYNC"):
        answer = service.post(CREATE, id=upload_id, mode=mode)
        operation = (answer.get("data") or {}).get("bulkCreate")
        if operation is not None:
            service.finished(operation["id"])
        else:
            assert {error["extensions"]["code"] for error in answer["errors"]} <= {"BAD_INPUT", "LIMIT_EXCEEDED"}
    assert_small(service)


def test_an_honest_file_of_large_cells_is_written_in_chunks_bounded_by_bytes(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "honest.csv"
    rows = 2_000
    with path.open("w") as file:
        file.write("amount,description,datetime,financial_account,classification_status\n")
        for number in range(rows):
            text = f"{number:08}".ljust(100_000, "abcdefgh"[number % 8])
            file.write(f"1.00,{text},2024-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z,1,1\n")

    answer = service.create(financialTransactions={"file": {"uploadId": service.client.upload(path)}})

    operation = service.finished(answer["id"])
    assert (operation["state"], operation["created"]) == ("COMPLETED", rows)
    written = service.sql("SELECT count(*), min(length(description)), max(length(description)) FROM "
                          "ledger_financialtransaction")  # fmt: skip
    assert written == [(rows, 100_000, 100_000)]
    chunks = service.sql("SELECT count(*), sum(row_count) FROM bulkql_chunk WHERE operation_id = %s", answer["id"])
    assert chunks[0][0] > 10
    assert chunks[0][1] == rows
    assert_small(service)


ROWS = """
mutation ($input: BulkCreateInput!) {
  bulkCreate(input: $input, options: { mode: SYNC, dryRun: true }) { total failed }
}
"""
TEXT = "x" * 1_500


@pytest.mark.parametrize("name", ["description", "surplus"])
def test_no_process_takes_600_mb_however_many_large_requests_come_at_once(service: Service, name: str) -> None:
    """16 MB of rows each, the values of a field or of one that there is not: a row error for every row."""
    known = {"amount": "1.00", "description": "", "datetime": "2024-01-01T00:00:00Z", "financialAccount": {"id": 1}}
    rows = [{**known, name: f"{number:08}{TEXT}"} for number in range(9_900)]
    variables = {"input": {"financialTransactions": {"rows": rows}}}
    body = json.dumps({"query": ROWS, "variables": variables}).encode()
    headers = {"Authorization": f"Bearer {service.token}", "Content-Type": "application/json"}

    def send(_: int) -> int:
        answer = httpx.post(f"{service.url}/graphql", content=body, headers=headers, timeout=120)
        total: int = answer.json()["data"]["bulkCreate"]["total"]
        return total

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(send, range(24))) == [9_900] * 24
    assert_small(service)
