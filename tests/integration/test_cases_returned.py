"""Files of the world whose failed rows come back: what was sent is in them, and mended they can be sent again."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from bulkql.workers.downloads.files import downloads
from tests.integration.cases import Case, sent, table_rows

pytestmark = pytest.mark.django_db(transaction=True)

Returned = Callable[..., bytes]


@pytest.fixture
def returned(ask: Any, user: Any) -> Returned:
    """Send a file whose rows fail, and fetch them as a file of a format."""

    def perform(case: Case, ending: str = "csv") -> bytes:
        operation = UUID(sent(ask, user, case)["id"])
        (found,) = [one for one in downloads(operation) if one.name == f"items-failed.{ending}"]
        return b"".join(found.pieces())

    return perform


@pytest.fixture
def send(ask: Any, user: Any) -> Callable[..., Any]:
    """Send a file again; gives how many rows were created, and how many failed."""

    def perform(name: str, data: bytes, **options: Any) -> tuple[int, int]:
        operation = sent(ask, user, Case(name, data, options=options))
        return operation["created"], operation["failed"]

    return perform


def cut(data: bytes) -> bytes:
    """A file of CSV as somebody leaves it who deletes all columns that are called bulkql_something."""
    rows = list(csv.reader(io.StringIO(data.decode())))
    kept = [place for place, name in enumerate(rows[0]) if not name.startswith("bulkql_")]
    out = io.StringIO()
    csv.writer(out).writerows([row[place] for place in kept] for row in rows)
    return out.getvalue().encode()


def test_bom_utf8_failed_file_begins_with_the_same_mark(returned, send):
    sent_file = "\ufeffcode,name,qty\r\nM1,Müller,BAD\r\n".encode()

    failed = returned(Case("bom-utf8-failed-file.csv", sent_file))

    assert failed.startswith("\ufeffcode,name,qty,".encode())
    assert send("again.csv", failed.replace(b"BAD", b"1", 1)) == (1, 0)
    assert table_rows() == [{"code": "M1", "name": "Müller", "qty": 1}]


def test_guard_without_bulkql_columns_leaves_no_apostrophe_in_the_table(returned, send):
    failed = returned(Case("guard-without-bulkql-columns.csv", b"code,name,qty\nP1,+49 30 1234,BAD\nP2,@me,BAD\n"))

    assert b"'+49 30 1234" in failed
    assert b"'@me" in failed
    assert send("again.csv", cut(failed.replace(b",BAD,", b",1,"))) == (2, 0)
    assert [row["name"] for row in table_rows()] == ["+49 30 1234", "@me"]


def test_overflow_two_cells_keeps_every_cell(returned):
    case = Case("overflow-two-cells.csv", b"code,name,qty\nA2,Smith, John, Jr.,5\n")

    (row,) = list(csv.reader(io.StringIO(returned(case).decode())))[1:]
    (line,) = returned(case, "ndjson").splitlines()

    assert [cell for cell in row if cell in ("A2", "Smith", " John", " Jr.", "5")] == [
        "A2",
        "Smith",
        " John",
        " Jr.",
        "5",
    ]
    assert json.loads(line)["bulkql_line"] == "A2,Smith, John, Jr.,5"


def test_ndjson_broken_line_failed_file_gives_the_sent_text_back(returned):
    case = Case("ndjson-broken-line-failed-file.ndjson", b'{"code":"A","ratio":1}\n{"code":"B","ratio":NaN}\n5\n')

    as_ndjson = [json.loads(line) for line in returned(case, "ndjson").splitlines()]

    assert [row["bulkql_line"] for row in as_ndjson] == ['{"code":"B","ratio":NaN}', "5"]
    assert table_rows() == [{"code": "A", "ratio": 1.0}]


def test_ignored_columns_failed_file_has_the_senders_header(returned, send):
    failed = returned(
        Case(
            "ignored-columns-failed-file.csv",
            b"code,name,qty,remark\nA,x,BAD,ask Anna\n",
            options={"unknownColumns": "IGNORE"},
        )
    )

    header, row = list(csv.reader(io.StringIO(failed.decode())))
    assert (header[:4], row[:4]) == (["code", "name", "qty", "remark"], ["A", "x", "BAD", "ask Anna"])
    assert send("again.csv", failed.replace(b"BAD", b"1", 1), unknownColumns="IGNORE") == (1, 0)


def test_formulas_round_trip_to_the_same_texts(returned, send):
    failed = returned(Case("formulas-round-trip.csv", b"code,name,qty\n=A1,=SUM(1),BAD\n'=q,''@x,BAD\n-5,-x,BAD\n"))

    assert send("again.csv", failed.replace(b",BAD,", b",1,")) == (3, 0)
    assert [(row["code"], row["name"]) for row in table_rows()] == [("=A1", "=SUM(1)"), ("'=q", "''@x"), ("-5", "-x")]
