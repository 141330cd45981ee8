"""What comes back is what was sent: mended and sent again, all rows arrive as they were meant."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
from dataclasses import replace
from decimal import Decimal
from itertools import product
from typing import Any

import openpyxl
import polars as pl
import pytest
from django.core.files.base import ContentFile

from bulkql.workers.columns.spelling import Spelling
from bulkql.workers.enums import OnError, State
from bulkql.workers.intake import accept
from bulkql.workers.intake.requests import InputRequest
from bulkql.workers.models import Operation
from bulkql.workers.operations import steering, steps
from bulkql.workers.operations.retry import retry
from bulkql.workers.operations.running import run
from bulkql.workers.readers.options import EmptyCells, FileFormat, FileOptions, UnknownColumns
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.uploads import uploads
from tests.integration.downloads import CSV, NDJSON, failed_objects, fetched, file, imported, objects, request, sent
from tests.zoo.models import Animal, Note, Tag

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


#: Cells of JSON fields that are no JSON, or that JSON has no value for.
NO_JSON = ["{broken", "text", "[1, 2", "NaN", "{'a': 1}", '"a" "b"', "", " ", "[" * 2_000, "01"]


@pytest.mark.parametrize("form", ["csv", "ndjson", "xlsx"])
def test_what_is_no_json_is_none_when_it_is_sent_again(user, form):
    content = pl.DataFrame({"char": ["x"] * len(NO_JSON), "json": NO_JSON}).write_csv(quote_style="always").encode()
    first = imported(user, content)
    options = FileOptions(format=FileFormat(form.upper()))

    for _ in range(2):
        again = imported(user, fetched(first, f"animals-failed.{form}"), options)

        assert sent(again, list(range(len(NO_JSON)))).equals(sent(first, list(range(len(NO_JSON)))))
        assert Animal.objects.count() == 0
        first = again


def test_a_cell_that_is_mended_is_one(user):
    first = imported(user, b'char,json\nab,"{broken"\ncd,[1\n')
    failed = failed_objects(first)
    assert [row["bulkql_cells"] for row in failed] == [{"json": "{broken"}, {"json": "[1"}]

    mended = [{**row, "json": {"a": 1}} for row in failed]
    imported(user, "\n".join(map(json.dumps, mended)).encode(), NDJSON)

    assert list(Animal.objects.values_list("json", flat=True)) == [{"a": 1}, {"a": 1}]


def test_a_moment_without_a_place_in_json_is_none_when_it_is_sent_again(user):
    moments = pl.Series("json", [1_500, 1], dtype=pl.Int64).cast(pl.Datetime("ns"))
    data = io.BytesIO()
    pl.DataFrame({"char": ["ab", "cd"], "json": moments.to_frame("at").to_struct("json")}).write_parquet(data)
    first = imported(user, data.getvalue(), FileOptions(format=FileFormat.PARQUET))

    for form in ("csv", "ndjson", "xlsx"):
        options = FileOptions(format=FileFormat(form.upper()))
        again = imported(user, fetched(first, f"animals-failed.{form}"), options)

        assert (again.chunks.get().failed, Animal.objects.count()) == (2, 0)


def test_lists_of_csv_are_lists_in_json(user):
    Tag.objects.bulk_create([Tag(name=name, number=place) for place, name in enumerate(["a", "b", "a, b"])])
    long = "too long a title to be one"
    content = f"""title,tags.name\n1 {long},"a, b"\n2 {long},"[""a, b""]"\n3 {long},\n4 {long},""\n5 {long},"[1"\n"""
    first = imported(user, content.encode(), resource="notes")
    mended = [{**row, "title": row["title"][:1]} for row in failed_objects(first, "notes")]

    again = imported(user, "\n".join(map(json.dumps, mended)).encode(), NDJSON, resource="notes")

    written = {one.title: sorted(one.tags.values_list("name", flat=True)) for one in Note.objects.all()}
    assert written == {"1": ["a", "b"], "2": ["a, b"], "3": [], "4": []}
    assert [row["bulkql_cells"] for row in failed_objects(again, "notes")] == [{"tags.name": "[1"}]


def test_a_row_that_is_no_object_is_none_when_it_is_sent_again(user):
    rows = ["no object", 5, ["a"]]
    first = run(request(user, InputRequest(resource=resource_named("animals"), rows=rows)))

    again = imported(user, fetched(first, "animals-failed.ndjson"), NDJSON)

    assert [row["bulkql_line"] for row in failed_objects(again)] == ['"no object"', "5", '["a"]']
    assert Animal.objects.count() == 0


#: What a row may say of a field: nothing, null, an empty text, or something else.
SAID = [..., None, "", "x"]
NULLS = [{}, {"null_values": ("NA",)}, {"null_values": ("", "NA")}]
ALL_NULLS = [*NULLS, *({**one, "empty_cells": EmptyCells.NULL} for one in NULLS)]


@pytest.mark.parametrize("form", ["csv", "ndjson", "xlsx"])
@pytest.mark.parametrize("options", ALL_NULLS)
def test_nothing_null_and_an_empty_text_stay_three_things(user, form, options):
    rows = [dict(zip(("text", "json"), said, strict=True)) for said in product(SAID, repeat=2)]
    rows = [{"char": "x", **{name: value for name, value in row.items() if value is not ...}} for row in rows]
    content = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    first = imported(user, content, FileOptions(format=FileFormat.NDJSON, **options), chunk_size=3)
    places = list(range(len(rows)))

    for _ in range(2):
        again = FileOptions(format=FileFormat(form.upper()), **options)
        second = imported(user, fetched(first, f"animals-failed.{form}"), again)

        cells = sent(second, places)
        assert cells.select("char", "text").equals(sent(first, places).select("char", "text"))
        given = [None if row.get("json") in options.get("null_values", ()) else row.get("json") for row in rows]
        assert [cell and json.loads(cell.lstrip("\0")) for cell in cells["json"]] == given
        assert cells["json"].is_null().to_list() == ["json" not in row for row in rows]
        first = second


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("options", ALL_NULLS)
def test_empty_texts_of_csv_stay_what_they_are(user, form, options):
    content = b'char,text,plate\nx,"",""\nx,,\nx,"",\nx,,""\nx,NA,y\n'
    first = imported(user, content, FileOptions(format=FileFormat.CSV, **options))

    again = FileOptions(format=FileFormat(form.upper()), **options)
    second = imported(user, fetched(first, f"animals-failed.{form}"), again)

    assert sent(second, list(range(5))).equals(sent(first, list(range(5))))


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_an_empty_cell_that_is_filled_in_counts(user, form):
    first = run(
        request(user, InputRequest(resource=resource_named("animals"), rows=[{"char": "x", "text": "", "plate": None}]))
    )
    content = fetched(first, f"animals-failed.{form}")
    if form == "csv":
        assert content.splitlines()[1].endswith(b',"{""plate"": null}"')
        content = content.replace(b"x,", b"xy,", 1).replace(b',,"",', b',,"",').replace(b"xy,,", b"xy,AB-1,", 1)
    else:
        book = openpyxl.load_workbook(io.BytesIO(content))
        assert [cell.value for cell in book.active[2]][-1] == '{"plate": null, "text": ""}'
        book.active["A2"], book.active["B2"] = "xy", "AB-1"
        content = io.BytesIO()
        book.save(content)
        content = content.getvalue()

    imported(user, content, FileOptions(format=FileFormat(form.upper())))

    assert Animal.objects.values_list("char", "plate", "text").get() == ("xy", "AB-1", "")


def first_request(user, ask, name, content, **options):
    """A file that is sent by the API under its name."""
    stored = uploads.fill(uploads.announce(user, name, None), ContentFile(content))
    given = {**options, "uploadId": str(stored.pk)}
    mutation = """
        mutation ($file: FileInput!) {
          bulkCreate(input: { animals: { file: $file } }, options: { mode: SYNC }) { id }
        }
    """
    return Operation.objects.get(pk=ask(user, mutation, file=given)["bulkCreate"]["id"])


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.tsv", b"char\ttext\nx\ta,b\n", {}),
        ("a.tsv.gz", gzip.compress(b"char\ttext\nx\ta,b\n", mtime=0), {}),
        ("a.csv", b"sep=;\nchar;text\nx;a,b\n", {}),
        ("a.csv", b"sep=|\nchar|text\nx|a,b\n", {"delimiter": "|"}),
        ("a.csv", b"char;text\nx;a,b\n", {"delimiter": ";"}),
        ("a.tsv", b"sep=;\nchar;text\nx;a,b\n", {}),
        ("a.csv", "\ufeffsep=;\nchar;text\nx;a,b\n".encode(), {}),
        ("a.csv", "\ufeffsep=;\nchar;text\nx;a,b\n".encode("utf-16-le"), {}),
        ("a.csv", b'char,text\nx,"a,b"\n', {}),
    ],
)
def test_failed_rows_are_read_with_the_options_of_the_first_request(user, ask, name, content, options):
    first = first_request(user, ask, name, content, **options)

    second = first_request(user, ask, "animals-failed.csv", fetched(first, "animals-failed.csv"), **options)

    assert sent(second, [0]).rows(named=True) == [{"char": "x", "text": "a,b"}]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "gb18030", "shift_jis", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_failed_rows_are_read_in_the_encoding_that_was_named(user, encoding, form):
    content = json.dumps({"char": "x", "text": "Größe \\"}, ensure_ascii=False)
    options = FileOptions(format=FileFormat.NDJSON, encoding=encoding)
    first = imported(user, f"{content}\n".encode(encoding, errors="replace"), options)

    second = imported(user, fetched(first, f"animals-failed.{form}"), replace(options, format=FileFormat(form.upper())))

    assert sent(second, [0]).equals(sent(first, [0]))


@pytest.mark.parametrize("options", [{"sheet": "Data"}, {"header_row": 3}, {"sheet": "data", "header_row": 2}, {}])
def test_failed_rows_of_a_workbook_stand_where_the_options_say(user, options):
    book = openpyxl.Workbook()
    book.active.title = "First" if "sheet" in options else "Data"
    sheet = book.create_sheet("Data") if "sheet" in options else book.active
    for _ in range(options.get("header_row", 1) - 1):
        sheet.append(["A title"])
    sheet.append(["char", "text"])
    sheet.append(["x", "a"])
    content = io.BytesIO()
    book.save(content)
    xlsx = FileOptions(format=FileFormat.XLSX, **options)
    first = imported(user, content.getvalue(), xlsx)

    second = imported(user, fetched(first, "animals-failed.xlsx"), xlsx)

    assert sent(second, [0]).rows() == [("x", "a")]


@pytest.mark.parametrize("form", ["csv", "ndjson", "xlsx"])
def test_an_empty_text_for_a_field_that_takes_none_is_an_error_still(user, form):
    first = imported(user, b'{"char": "ab", "boolean": "", "integer": "", "date": ""}\n', NDJSON)

    second = imported(user, fetched(first, f"animals-failed.{form}"), FileOptions(format=FileFormat(form.upper())))

    assert second.chunks.get().failed == 1
    paths = {error["path"] for error in failed_objects(second)[0]["bulkql_errors"]}
    assert paths == {"boolean", "integer", "date"}


def test_marks_of_empty_cells_and_null_characters_stand_side_by_side(user):
    rows = [{"char": "x", "text": None, "plate": "\0null"}, {"char": "x", "text": "\0", "plate": None}]
    first = run(request(user, InputRequest(resource=resource_named("animals"), rows=rows)))

    second = imported(user, fetched(first, "animals-failed.csv"))

    assert sent(second, [0, 1]).select("text", "plate").rows() == [
        ("\0null", '\0"\0null"'),
        ('\0"\0"', "\0null"),
    ]
