"""Numbers, dates and durations of a workbook's cells as the texts of raw frames."""

from __future__ import annotations

import datetime as dt
import io
import re
from dataclasses import replace

import polars as pl
import pytest
import xlsxwriter

from bulkql.workers.columns.spelling import Spelling
from bulkql.workers.readers import faults
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.validation.values import validate
from tests.fuzz.samples import unzipped, zipped
from tests.plans import creating
from tests.unit.workers.readers.sheets import SHEET, cells, errors, read, rewritten, sheet, stored

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


@pytest.mark.parametrize(
    ("name", "values", "texts"),
    [
        ("char", ["00123", "1e5", "=", " a ", "ä\n'x", "x"], ["00123", "1e5", "=", " a ", "ä\n'x", "x"]),
        ("char", [5, "00123", 5.5, True, dt.date(2024, 2, 29), "x"], ["5", "00123", "5.5", "TRUE", "2024-02-29", "x"]),
        ("char", [dt.datetime(2024, 2, 29, 12, 30)], ["2024-02-29 12:30:00"]),
        ("char", ["2024-01-02 00:00:00", "1899-12-31 01:00:00"], ["2024-01-02 00:00:00", "1899-12-31 01:00:00"]),
        ("integer", [5, -7.0, 0, "7", 1e15], ["5", "-7", "0", "7", "1000000000000000"]),
        ("number", [1e-7, 1e22, 0.1 + 0.2, 1 / 3], ["0.0000001", "1" + "0" * 22, "0.3", "0.3333333333333333"]),
        ("decimal", [1.1, 100.25, "1.50"], ["1.1", "100.25", "1.50"]),
        ("boolean", [True, False, "yes"], ["TRUE", "FALSE", "yes"]),
        ("date", [dt.date(2024, 2, 29), dt.datetime(2024, 2, 29), "2024-02-29"], ["2024-02-29"] * 3),
        ("date", [dt.datetime(2024, 2, 29, 12)], ["2024-02-29 12:00:00"]),
        (
            "datetime",
            [dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, 1, 2, 3, 500_000)],
            ["2024-02-29T00:00:00", "2024-02-29T01:02:03.500000"],
        ),
        ("time", [dt.time(1, 2, 3), dt.timedelta(hours=1)], ["01:02:03", "01:00:00"]),
        (
            "duration",
            [dt.timedelta(hours=30, minutes=1), dt.time(1, 2, 3), dt.timedelta(0)],
            ["1 06:01:00", "01:02:03", "00:00:00"],
        ),
    ],
)
def test_a_cell_is_read_by_its_own_kind(name, values, texts):
    assert cells(name, *values) == texts


def test_what_a_cell_looks_like_is_not_its_value():
    assert cells("number", 0.25, 45350.5, A2="0%", A3="#,##0.00 €") == ["0.25", "45350.5"]


def test_days_of_the_other_calendar():
    data = io.BytesIO()
    book = xlsxwriter.Workbook(data, {"date_1904": True})
    page = book.add_worksheet()
    page.write_row(0, 0, ["date", "datetime"])
    page.write_datetime(1, 0, dt.datetime(2024, 2, 29), book.add_format({"num_format": "yyyy-mm-dd"}))
    page.write_datetime(1, 1, dt.datetime(2024, 2, 29, 12), book.add_format({"num_format": "d.m.yy h:mm"}))
    book.close()

    assert read(data.getvalue()).rows() == [("2024-02-29", "2024-02-29T12:00:00")]


def test_a_number_with_more_digits_than_a_cell_keeps_is_an_error():
    data = stored(sheet(["char", "number"], [2**53 - 1, 2**53], [9_007_199_254_740_993, 2**60]))

    frame = read(data)

    assert errors(frame) == [
        [],
        [("char", "Number cells keep 15 digits, and this one has more: format it as text, and type it again.",
          "9007199254740992")],
    ]  # fmt: skip
    assert frame["number"].to_list() == ["9007199254740992", "1152921504606846976"]


def test_numbers_are_numbers_whatever_stands_before_the_fraction_of_texts():
    data = stored(sheet(["decimal", "char"], [1.5, 1.5], ["1,5", "1,5"], [1234.5, "xx"], ["1.234,5", "xx"]))

    frame = read(data, spelling=Spelling(decimal=","))

    plan = replace(creating(resource_named("animals")), spelling=Spelling(decimal=","))
    rows = validate(plan, frame).rows
    assert rows["decimal"].to_list() == ["1.5", "1.5", "1234.5", "1234.5"]
    assert frame["char"].to_list() == ["1.5", "1,5", "xx", "xx"]


def test_dates_of_strict_workbooks_are_dates():
    data = rewritten(
        stored(sheet(["date", "datetime"], ["x", "y"])),
        SHEET,
        lambda xml: re.sub(
            rb'<c r="A2".*?</c><c r="B2".*?</c>',
            b'<c r="A2" t="d"><v>2024-02-29</v></c><c r="B2" t="d"><v>2024-02-29T12:30:00</v></c>',
            xml,
        ),
    )

    rows = validate(creating(resource_named("animals")), read(data).with_columns(char=pl.lit("ab"))).rows
    assert rows["date"].to_list() == [dt.date(2024, 2, 29)]
    assert rows["datetime"].to_list() == [dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.UTC)]


def dated(fields, *values, form, date_1904=False):
    """A workbook with a row of these numbers, all of them formatted alike."""
    data = io.BytesIO()
    book = xlsxwriter.Workbook(data, {"date_1904": date_1904})
    page, style = book.add_worksheet(), book.add_format({"num_format": form})
    page.write_row(0, 0, fields)
    for place, value in enumerate(values):
        page.write_number(1, place, value, style)
    book.close()
    return data.getvalue()


@pytest.mark.parametrize("date_1904", [False, True])
@pytest.mark.parametrize("form", ["h:mm", "yyyy-mm-dd", "[h]:mm:ss"])
@pytest.mark.parametrize(
    ("days", "text"), [(0.25, "06:00:00"), (1.25, "1 06:00:00"), (59, "59 00:00:00"), (61.5, "61 12:00:00")]
)
def test_a_duration_is_what_its_cell_says_however_it_is_formatted(date_1904, form, days, text):
    assert read(dated(["duration"], days, form=form, date_1904=date_1904))["duration"].to_list() == [text]


@pytest.mark.parametrize("date_1904", [False, True])
@pytest.mark.parametrize("form", ["h:mm", "yyyy-mm-dd", "[$-407]d. mmmm yyyy", '"am" d.m.'])
@pytest.mark.parametrize("days", [-0.25, -1])
def test_a_negative_time_is_an_error_of_its_row(date_1904, form, days):
    names = ["time", "datetime", "duration", "text"]

    frame = read(dated(names, *[days] * 4, form=form, date_1904=date_1904))

    message = (
        f"The cell {{}}2 is formatted as a date or a time, and its number, {days}, is neither; correct it, or format a "
        f"number as one, and a duration as [h]:mm:ss."
    )
    assert errors(frame) == [
        [(name, message.format(letter), str(days)) for name, letter in zip(names, "ABCD", strict=True)]
    ]


@pytest.mark.parametrize("prefix", ["", "x:"])
def test_the_number_of_a_cell_is_what_is_no_date(prefix):
    dates = faults.Dates(frozenset({3}), faults.DATELESS)
    cells = [
        '<c r="A1" s="3"><f>IF(v>-1,1)</f><v>5</v></c>',
        '<c r="B1" s="3"><f>IF(v>-1,1)</f><v>-5</v></c>',
        '<c r="C1" s="2"><v>-5</v></c>',
        '<c r="D1" s="3" t="str"><v>-5</v></c>',
        '<c r="E1" s="3" t="n"><v>-5</v></c>',
        '<c r="F1" t="n" s="3"><v>5</v></c>',
    ]
    xml = re.sub("<(/?)", rf"<\1{prefix}", "".join(cells)).encode()

    assert faults.without_date(xml, dates) == {(0, 1): "-5", (0, 4): "-5"}


def test_the_day_that_only_excel_has_is_an_error_of_its_row():
    frame = read(dated(["date", "duration"], 60.5, 60, form="d.m.yyyy"))
    of_1904 = read(dated(["datetime"], 60.5, form="d.m.yyyy", date_1904=True))

    assert [[(path, data) for path, _, data in one] for one in errors(frame)] == [
        [("date", "60.5"), ("duration", "60")]
    ]
    assert of_1904["datetime"].to_list() == ["1904-03-01T12:00:00"]


@pytest.mark.parametrize("form", ["0.00", '0 "days"', "[Red]-0.00", "#,##0.00\\ \\d;-0_d", "General", "0.00E+00", "@"])
def test_negative_numbers_are_numbers(form):
    frame = read(dated(["number"], -0.25, form=form))

    assert errors(frame) == [[]]
    assert frame["number"].to_list() == ["-0.25"]


def test_a_negative_duration_is_one():
    assert read(dated(["duration"], -0.25, form="[h]:mm"))["duration"].to_list() == ["-1 18:00:00"]


@pytest.mark.parametrize("number", ["NaN", "INF", "-INF", "1e999"])
@pytest.mark.parametrize("name", ["char", "integer"])
def test_what_is_no_number_is_an_error_of_its_row(name, number):
    parts = unzipped(stored(sheet([name], [5])))
    xml = parts["xl/worksheets/sheet1.xml"].replace(b"<v>5</v>", b"<v>%b</v>" % number.encode())

    frame = read(zipped({**parts, "xl/worksheets/sheet1.xml": xml}, deflated=True))

    assert [message for ((_, message, _),) in errors(frame)] == ["This is no number; correct it."]
