"""One row in a hundred is bad: exactly those rows fail, each with its index, path and code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.rows import Row, transactions, write_csv, write_ndjson

ROWS = 3_000
BAD = range(50, ROWS, 100)


def city(number: int, **changes: Any) -> Row:
    row = {
        "geonameId": number, "name": f"City {number}", "country": "LI", "latitude": 47.0, "longitude": 9.5,
        "population": 5, "timezone": "Europe/Vaduz",
    }  # fmt: skip
    return row | changes


def without(row: Row, name: str) -> Row:
    return {key: value for key, value in row.items() if key != name}


#: Verb of damage -> what it does to a transaction, and the path and code that name it.
DAMAGES: dict[str, tuple[Callable[[Row], Row], str | None, str]] = {
    "missing": (lambda row: without(row, "description"), "description", "REQUIRED"),
    "unparsable": (lambda row: row | {"datetime": "yesterday"}, "datetime", "INVALID"),
    "too many digits": (lambda row: row | {"amount": "12345678901234.00"}, "amount", "OUT_OF_RANGE"),
    "NaN": (lambda row: row | {"amount": "NaN"}, "amount", "INVALID"),
    "NUL": (lambda row: row | {"description": "a\0b"}, "description", "INVALID"),
    "unknown foreign key": (lambda row: row | {"financialAccount": "4711"}, "financialAccount", "REFERENCE_NOT_FOUND"),
    "duplicate in the request": (
        lambda row: row | {"datetime": "2019-01-01T00:00:00Z", "financialAccount": "7"},
        None,
        "DUPLICATE_IN_REQUEST",
    ),
    # Which of the rows in the table it is, the test decides.
    "already in the table": (lambda row: row, None, "ALREADY_EXISTS"),
}


def damaged(kind: str) -> list[Row]:
    """Rows of which each hundredth is damaged. Of the duplicates, the last is good: it counts."""
    damage = DAMAGES[kind][0]
    return [damage(row) if index in BAD else row for index, row in enumerate(transactions(ROWS))]


def guilty(kind: str) -> list[int]:
    return list(BAD)[:-1] if kind == "duplicate in the request" else list(BAD)


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("way", ["inline", "csv", "ndjson"])
def test_exactly_the_bad_rows_fail(service, tmp_path, kind, way):
    existing = transactions(len(BAD), start=1_000_000)
    assert service.create({"mode": "SYNC"}, financialTransactions={"rows": existing})["created"] == len(BAD)
    rows, expected = damaged(kind), guilty(kind)
    if kind == "already in the table":
        for index, row in zip(BAD, existing, strict=True):
            rows[index] = row | {"description": "again"}

    given: dict[str, Any] = {"rows": rows}
    if way == "csv":
        given = {"file": {"uploadId": service.client.upload(write_csv(tmp_path / "t.csv", rows))}}
    if way == "ndjson":
        given = {"file": {"uploadId": service.client.upload(write_ndjson(tmp_path / "t.ndjson", rows))}}
    operation = service.finished(service.create({"chunkSize": 1_100}, financialTransactions=given)["id"])

    _, path, code = DAMAGES[kind]
    assert operation["state"] == "COMPLETED"
    assert (operation["created"], operation["failed"]) == (ROWS - len(expected), len(expected))
    errors = [edge["node"] for edge in operation["rowErrors"]["edges"]]
    assert [(error["index"], error["path"], error["code"]) for error in errors] == [
        (index, path, code) for index in expected
    ]
    stored = service.sql("SELECT description FROM ledger_financialtransaction WHERE id > %s ORDER BY id", len(BAD))
    good = [row["description"] for index, row in enumerate(rows) if index not in expected]
    assert [text for (text,) in stored] == good


def test_text_that_is_too_long_and_a_violated_check(service):
    service.sql("TRUNCATE places_country CASCADE")
    country = {"iso": "LI", "iso3": "LIE", "name": "Liechtenstein", "continent": "EU"}
    rows = [city(number) for number in range(300)]
    rows[10] = city(10, name="x" * 201)
    rows[20] = city(20, population=-1)
    rows[30] = city(30, latitude=91)

    operation = service.create({"mode": "SYNC"}, countries={"rows": [country]}, cities={"rows": rows})

    errors = [edge["node"] for edge in service.operation(operation["id"])["rowErrors"]["edges"]]
    assert [(error["index"], error["path"], error["code"], error["data"]) for error in errors] == [
        (10, "name", "TOO_LONG", "x" * 201),
        (20, None, "CONSTRAINT", None),
        (30, "latitude", "OUT_OF_RANGE", "91"),
    ]
    assert operation["created"] == 1 + 297


def test_unknown_key_fails_its_row(service):
    rows = transactions(200)
    rows[50]["colour"] = "red"

    operation = service.create({"mode": "SYNC"}, financialTransactions={"rows": rows})

    (edge,) = service.operation(operation["id"])["rowErrors"]["edges"]
    assert edge["node"] == {
        "index": 50,
        "resource": "financialTransactions",
        "path": "colour",
        "code": "UNKNOWN_FIELD",
        "message": "financialTransactions has no field colour; it has amount, description, datetime, "
        "financialAccount, classificationStatus.",
        "data": '"red"',
    }
