"""What comes back is what was sent: mended and sent again, all rows arrive as they were meant."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from django.core.files.base import ContentFile

from bulkql.workers.columns.spelling import Spelling
from bulkql.workers.enums import OnError, State
from bulkql.workers.intake import accept
from bulkql.workers.models import Operation
from bulkql.workers.operations import steering, steps
from bulkql.workers.operations.retry import retry
from bulkql.workers.readers.options import FileFormat, FileOptions, UnknownColumns
from bulkql.workers.uploads import uploads
from tests.integration.downloads import CSV, NDJSON, failed_objects, fetched, file, imported, objects, request
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)

IGNORING = UnknownColumns.IGNORE


def rows_of(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))


def cut(content: bytes) -> bytes:
    """A CSV file without bulkql's columns."""
    header, *rows = rows_of(content)
    kept = [place for place, name in enumerate(header) if not name.startswith("bulkql_")]
    file = io.StringIO()
    csv.writer(file).writerows([row[place] for place in kept] for row in [header, *rows])
    return file.getvalue().encode()


#: Texts that a spreadsheet would run, or that look as if they were guarded already.
TEXTS = ["+49 30 1234", "@me", "=1+1", "'=1+1", "''@x", "-x", "'", "'plain", "\tx", "-5", "x"]


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_guard_never_gets_into_the_table_whether_or_not_our_columns_are_cut_away(user, is_cut):
    rows = [["char", "text", "integer"], *([f"c{place}", text, "BAD"] for place, text in enumerate(TEXTS))]
    sent = io.StringIO()
    csv.writer(sent).writerows(rows)
    failed = fetched(imported(user, sent.getvalue().encode()), "animals-failed.csv")
    mended = failed.replace(b",BAD,", b",2,")

    operation = imported(user, cut(mended) if is_cut else mended)

    assert operation.state == State.COMPLETED
    assert list(Animal.objects.order_by("pk").values_list("text", flat=True)) == TEXTS


def test_a_header_with_a_guard_goes_out_and_comes_back_as_often_as_anybody_likes(user):
    options = FileOptions(format=FileFormat.CSV, columns={"=Name": "char", "'Text": "text"})
    content = b"=Name,'Text,integer\n=1,@x,BAD\n"

    for _ in range(3):
        operation = imported(user, content, options)
        content = fetched(operation, "animals-failed.csv")
        assert content.startswith(b"'=Name,'Text,integer,',bulkql_row,")
        content = cut(content)
    imported(user, content.replace(b"BAD", b"2").replace(b"'=1", b"'=12"), options)

    assert list(Animal.objects.values_list("char", "text")) == [("=12", "@x")]


def test_a_plain_file_keeps_its_quotes(user):
    imported(user, b"char,text\nab,'=1+1\n'@,''x\n")

    assert list(Animal.objects.order_by("pk").values_list("char", "text")) == [("ab", "'=1+1"), ("'@", "''x")]


def test_columns_that_are_left_out_come_back(user):
    options = FileOptions(format=FileFormat.CSV, unknown_columns=IGNORING)

    first = imported(user, b"remark,char,=why,remark2\nask Anna,a,=1,'=2\n,ab,,\n", options)
    second = imported(user, fetched(first, "animals-failed.csv"), options)

    for operation in (first, second):
        failed = fetched(operation, "animals-failed.csv")
        assert rows_of(failed)[0][:4] == ["remark", "char", "'=why", "remark2"]
        assert rows_of(failed)[1][:4] == ["ask Anna", "a", "'=1", "''=2"]
        (row,) = failed_objects(operation)
        assert [row[name] for name in ("remark", "char", "=why", "remark2")] == ["ask Anna", "a", "=1", "'=2"]


def test_keys_that_are_left_out_come_back(user):
    options = FileOptions(format=FileFormat.NDJSON, unknown_columns=IGNORING)
    lines = [
        {"char": "a", "colour": {"a": [None, "x"]}, "big number": 12345678901234567890123},
        {"char": "ab", "colour": 1},
        {"char": "b"},
    ]

    first = imported(user, "\n".join(map(json.dumps, lines)).encode() + b'\n{"char": "c", "exact": 1.50}\n', options)
    second = imported(user, fetched(first, "animals-failed.ndjson"), options)

    for operation in (first, second):
        failed = fetched(operation, "animals-failed.ndjson")
        given = [{name: row[name] for name in row if not name.startswith("bulkql_")} for row in objects(failed)]
        assert given == [lines[0], lines[2], {"char": "c", "exact": 1.5}]
        assert b'"exact":1.50' in failed


def test_the_byte_order_mark_comes_back(user):
    operation = imported(user, "char,text\na,Müller\n".encode("utf-8-sig"), FileOptions(
        format=FileFormat.CSV, encoding="utf-8-sig"
    ))  # fmt: skip

    assert fetched(operation, "animals-failed.csv").startswith("\N{BYTE ORDER MARK}char,text,".encode())


def test_blanks_come_back(user):
    operation = imported(user, b"char,text,integer\n ab , x ,BAD \n", FileOptions(
        format=FileFormat.CSV, spelling=Spelling(trim=True)
    ))  # fmt: skip

    assert fetched(operation, "animals-failed.csv").splitlines()[1].startswith(b" ab , x ,BAD ,0,")
    assert failed_objects(operation)[0]["text"] == " x "


def test_lines_that_are_no_objects_come_back_as_their_text_and_can_be_mended(user):
    first = imported(user, b'{"char": "ab"}\n{"char": "cd", "number": NaN}\n{"char": "ef",}\n', NDJSON)

    failed = failed_objects(first)
    assert [row["bulkql_line"] for row in failed] == ['{"char": "cd", "number": NaN}', '{"char": "ef",}']
    assert rows_of(fetched(first, "animals-failed.csv"))[0][-1] == "bulkql_line"
    mended = [{**row, "char": "mended"} for row in failed]
    imported(user, "\n".join(map(json.dumps, mended)).encode(), NDJSON)

    assert list(Animal.objects.order_by("pk").values_list("char", flat=True)) == ["ab", "mended", "mended"]


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_line_that_is_not_mended_is_no_row_when_it_is_sent_again(user, form):
    first = imported(user, b'{"char": "ab"}\n{"char": oops}\n', NDJSON)
    options = CSV if form == "csv" else NDJSON

    for _ in range(2):
        first = imported(user, fetched(first, f"animals-failed.{form}"), options)

        assert Animal.objects.count() == 1
        (row,) = failed_objects(first)
        assert [error["code"] for error in row["bulkql_errors"]] == ["MALFORMED"]
        assert row["bulkql_line"] == '{"char": oops}'


def hundred(bad: int = 50) -> bytes:
    return b"char,integer\n" + b"".join(b"c%d,%s\n" % (n, b"BAD" if n == bad else b"2") for n in range(100))


def assert_all_arrive(user: Any, operation: Operation) -> None:
    """The rows that an operation left are sent again, mended, in both forms."""
    before = set(Animal.objects.values_list("char", flat=True))
    left = {f"c{n}" for n in range(100)} - before
    failed = failed_objects(operation)
    codes = {row["char"]: [error["code"] for error in row["bulkql_errors"]] for row in failed}
    assert codes == {char: ["INVALID"] if char == "c50" else ["SKIPPED"] for char in left}
    content = fetched(operation, "animals-failed.csv")
    cells = {row[0]: row[3] for row in rows_of(content)[1:]}
    assert cells == {char: "INVALID" if char == "c50" else "SKIPPED" for char in left}

    imported(user, content.replace(b",BAD,", b",2,"), on_error=OnError.REJECT_ALL, chunk_size=30)

    assert sorted(Animal.objects.values_list("char", flat=True)) == sorted(f"c{n}" for n in range(100))


def test_after_reject_all_every_row_arrives_once_the_bad_one_is_mended(user):
    operation = imported(user, hundred(), on_error=OnError.REJECT_ALL, chunk_size=30)

    assert Animal.objects.count() == 0
    assert rows_of(fetched(operation, "animals-failed.csv"))[1] == [
        "c0", "2", "0", "SKIPPED", "",
        "Not written: 1 of 100 rows is bad; nothing was written, as onError: REJECT_ALL asks.",
    ]  # fmt: skip
    assert_all_arrive(user, operation)


def test_after_reject_all_and_a_retry_every_row_arrives(user):
    operation = imported(user, hundred(), on_error=OnError.REJECT_ALL, chunk_size=30)
    again = retry(operation, user)
    steps.write_operation(again.pk)

    assert_all_arrive(user, Operation.objects.get(pk=again.pk))


def test_after_a_cancel_every_row_that_was_left_arrives(user):
    operation, _ = accept.accept(request(user, file(user, hundred(), CSV), chunk_size=30))
    (stored,) = operation.inputs.all()
    steps.read_input(stored.pk, dispatches=False)
    first, second, *_ = operation.chunks.order_by("number")
    steps.write_chunk(first.pk, dispatches=False)
    steps.write_chunk(second.pk, dispatches=False)

    steering.cancel(operation.pk)

    operation.refresh_from_db()
    assert operation.state == State.CANCELED
    assert Animal.objects.count() == 59
    assert_all_arrive(user, operation)


def test_the_options_of_a_file_tell_how_its_values_are_spelled(user, ask):
    content = (
        b"char;decimal;date;boolean;integer\n A ;1.234,50;31.12.2024;Yes; 2 \nB1;1.5;2024-12-31;no;4\nC1;;;maybe;2\n"
    )
    upload = uploads.fill(uploads.announce(user, "german.csv", None), ContentFile(content))
    options = (
        'delimiter: ";", trim: true, decimal: ",", dateFormat: "%d.%m.%Y", trueValues: ["yes"], falseValues: ["No"]'
    )

    told = ask(user, f"""mutation {{
        bulkCreate(
            input: {{ animals: {{ file: {{ uploadId: "{upload.pk}", {options} }} }} }}, options: {{ mode: SYNC }}
        ) {{
            created failed rowErrors {{ edges {{ node {{ index path message }} }} }}
        }}
    }}""")["bulkCreate"]  # fmt: skip

    errors = [tuple(edge["node"].values()) for edge in told["rowErrors"]["edges"]]
    assert errors == [
        (0, "char", "Ensure this value has at least 2 characters (it has 1)."),
        (1, "decimal", "A number is expected here, with ',' before its fraction (`decimal`). "
         'With `decimal: "."` it is 1.5.'),
        (2, "boolean", "“maybe” means neither true (true, True, TRUE, t, 1, yes) nor false (false, False, FALSE, f, 0, "
         "No); `trueValues` and `falseValues` name others."),
    ]  # fmt: skip
    assert Animal.objects.count() == 0


FLOATS = pl.DataFrame(
    {
        "char": ["a1", "b2", "c3"],
        "text": [123.0, None, 2.0**60],
        "decimal": pl.Series(["1.50", "2.25", "3"]).cast(pl.Decimal(38, 18)),
        "date": [dt.datetime(2024, 12, 31), None, None],
    }
)


def test_typed_columns_of_parquet_are_what_they_mean(user):
    buffer = io.BytesIO()
    FLOATS.write_parquet(buffer)

    operation = imported(user, buffer.getvalue(), FileOptions(
        format=FileFormat.PARQUET, spelling=Spelling(decimal=",", date_format="%d.%m.%Y")
    ))  # fmt: skip

    assert list(Animal.objects.order_by("pk").values_list("char", "text", "decimal", "date")) == [
        ("a1", "123", Decimal("1.50"), dt.date(2024, 12, 31)),
        ("b2", "", Decimal("2.25"), None),
    ]
    (row,) = failed_objects(operation)
    assert row["bulkql_errors"][0]["message"] == "A string is expected here, not a number."
    assert b",3,000000000000000000," in fetched(operation, "animals-failed.csv").replace(b'"', b"")
