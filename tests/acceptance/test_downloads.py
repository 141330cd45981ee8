"""The failed rows of an import: fetched, mended and sent again as they are."""

from __future__ import annotations

import csv
import io
from typing import Any

import httpx
import polars as pl

from tests.acceptance.rows import transactions, write_csv
from tests.acceptance.service import Service
from tests.acceptance.test_access import user

ROWS = 3_000
BAD = range(50, ROWS, 100)
FILES = "query ($id: ID!) { operation(id: $id) { files { name format url rows bytes expiresAt } } }"


def files(service: Service, operation_id: str) -> dict[str, dict[str, Any]]:
    """An operation's files by name."""
    found = service.post(FILES, id=operation_id)["data"]["operation"]["files"]
    return {one["name"]: one for one in found}


def fetch(url: str, token: str | None) -> httpx.Response:
    return httpx.get(url, headers={"Authorization": f"Bearer {token}"} if token else {}, timeout=60)


def damaged(tmp_path: Any) -> Any:
    """A file of which each hundredth row has a bad amount."""
    rows = [row | {"amount": "=1+1"} if index in BAD else row for index, row in enumerate(transactions(ROWS))]
    return write_csv(tmp_path / "transactions.csv", rows)


def imported(service: Service, path: Any) -> dict[str, Any]:
    given = {"file": {"uploadId": service.client.upload(path)}}
    return service.finished(service.create({"chunkSize": 1_000}, financialTransactions=given)["id"])


def test_failed_rows_are_fetched_mended_and_sent_again(service, tmp_path):
    first = imported(service, damaged(tmp_path))
    offered = files(service, first["id"])["financialTransactions-failed.csv"]
    assert (first["failed"], int(offered["rows"]), offered["format"], offered["bytes"]) == (
        len(BAD),
        len(BAD),
        "CSV",
        None,
    )

    answer = fetch(offered["url"], service.token)
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["amount"] for row in rows] == ["'=1+1"] * len(BAD)
    assert [int(row["bulkql_row"]) for row in rows] == list(BAD)
    assert {(row["bulkql_code"], row["bulkql_path"]) for row in rows} == {("INVALID", "amount")}
    mended = write_csv(tmp_path / "mended.csv", [row | {"amount": "7.50"} for row in rows])
    second = imported(service, mended)

    assert (second["state"], second["created"], second["failed"]) == ("COMPLETED", len(BAD), 0)
    assert list(files(service, second["id"])) == ["results.csv", "results.ndjson", "results.parquet"]
    stored = dict(service.sql("SELECT description, amount::text FROM ledger_financialtransaction"))
    assert service.sql("SELECT count(*) FROM ledger_financialtransaction") == [(ROWS,)]
    assert stored == {
        row["description"]: "7.50" if index in BAD else row["amount"] for index, row in enumerate(transactions(ROWS))
    }


def test_results_are_streamed_in_three_formats(service, tmp_path):
    operation = imported(service, damaged(tmp_path))
    offered = files(service, operation["id"])
    answers = {name: fetch(one["url"], service.token) for name, one in offered.items() if name.startswith("results")}

    assert {name: answer.headers["content-type"] for name, answer in answers.items()} == {
        "results.csv": "text/csv; charset=utf-8",
        "results.ndjson": "application/x-ndjson",
        "results.parquet": "application/vnd.apache.parquet",
    }
    assert answers["results.csv"].headers["content-disposition"] == 'attachment; filename="results.csv"'
    found = pl.read_parquet(answers["results.parquet"].content)
    told = service.results(operation["id"])
    assert found.rows(named=True) == [{name: row[name] for name in found.columns} for row in told]
    assert pl.read_csv(answers["results.csv"].content, schema_overrides={"pk": pl.String}).equals(found)
    assert pl.read_ndjson(answers["results.ndjson"].content).equals(found)


def test_files_are_for_those_who_may_see_the_operation(service, tmp_path):
    operation = imported(service, damaged(tmp_path))
    url = files(service, operation["id"])["results.csv"]["url"]
    stranger = user(service, "other", "add_financialtransaction")

    for token, status, code in (
        (None, 401, "UNAUTHENTICATED"),
        ("wrong", 401, "UNAUTHENTICATED"),
        (stranger, 404, "NOT_FOUND"),
    ):
        answer = fetch(url, token)
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (status, code)
    assert fetch(url.replace("results.csv", "results.parquet"), service.token).status_code == 404


def test_the_last_event_of_a_subscription_offers_the_files(service, tmp_path):
    given = {"file": {"uploadId": service.client.upload(damaged(tmp_path))}}
    operation_id = service.create(financialTransactions=given)["id"]

    events = list(service.client.watch(operation_id, "state files { name url }"))

    assert [event["files"] for event in events if event["state"] in ("QUEUED", "RUNNING")] == [[]] * (len(events) - 1)
    urls = {one["name"]: one["url"] for one in events[-1]["files"]}
    assert set(urls) == set(files(service, operation_id))
    assert fetch(urls["results.csv"], service.token).status_code == 200
