"""Workbooks as raw frames."""

from __future__ import annotations

import datetime as dt
import io
import re
import time
import zipfile
from dataclasses import replace

import openpyxl
import polars as pl
import pytest
import xlsxwriter
from openpyxl.worksheet.formula import ArrayFormula

from bulkql.workers.columns.cells import NULL
from bulkql.workers.columns.spelling import Spelling
from bulkql.workers.conf import limits
from bulkql.workers.errors import BadInput, UnreadableFile
from bulkql.workers.frames import INTAKE_ERRORS, LINE, errors_from_json, ignored
from bulkql.workers.readers import faults, workbooks
from bulkql.workers.readers.options import EmptyCells, FileFormat, FileOptions, UnknownColumns
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.validation.values import validate
from tests.fuzz.samples import documents, unzipped, zipped
from tests.plans import creating

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


def stored(book):
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def sheet(*rows):
    """A workbook of one sheet, by openpyxl."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    return book


def read_with_lines(data, **options):
    plan = creating(resource_named("animals"))
    found = list(workbooks.read(io.BytesIO(data), plan, FileOptions(format=FileFormat.XLSX, **options)))
    return pl.concat(found, how="diagonal")


def read(data, **options):
    return read_with_lines(data, **options).drop(LINE)


def cells(name, *values, **formats):
    """What the cells of one column are read as."""
    book = sheet([name], *([value] for value in values))
    for row, form in formats.items():
        book.active[row].number_format = form
    frame = read(stored(book))
    assert INTAKE_ERRORS not in frame.columns
    return frame[name].to_list()


def errors(frame):
    """Path, message and data of what is wrong with each row."""
    told = frame[INTAKE_ERRORS] if INTAKE_ERRORS in frame.columns else [None] * frame.height
    return [[(one.path, one.message, one.data) for one in errors_from_json(text or "[]")] for text in told]


def refused(data, **options):
    with pytest.raises(UnreadableFile) as caught:
        read(data, **options)
    return str(caught.value)


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


def test_empty_cells_are_missing_and_empty_rows_are_none():
    data = stored(sheet(["char", "integer"], ["a", None], [None, None], ["  ", None], [None, 4], ["NA", 5]))

    assert read(data).rows() == [("a", None), (None, "4"), ("NA", "5")]
    assert read(data, empty_cells=EmptyCells.NULL, null_values=("NA",)).rows() == [
        ("a", NULL),
        (NULL, "4"),
        (NULL, "5"),
    ]


def test_a_table_may_begin_anywhere():
    book = openpyxl.Workbook()
    for place, value in {"C4": "char", "E4": "integer", "C5": "a", "E5": 2, "C9": "b"}.items():
        book.active[place] = value

    assert read(stored(book)).rows() == [("a", "2"), ("b", None)]


def test_each_row_has_its_line_of_the_sheet():
    data = stored(sheet([], ["char", "integer"], ["a", 1], [], ["b", 2], ["=A1", None]))

    assert read_with_lines(data)[LINE].to_list() == [3, 5, 6]


def test_lines_above_the_header_are_passed_over():
    data = stored(sheet(["Animals of 2024"], [], ["char", "integer"], ["a", 2]))

    assert read(data, header_row=3).rows() == [("a", "2")]
    with pytest.raises(BadInput, match="None of the file's columns \\('Animals of 2024'\\) is a field of animals"):
        read(data)
    assert refused(data, header_row=2) == "Row 2 of the sheet 'Sheet' is empty; `headerRow` names the header's."
    assert refused(data, header_row=9) == (
        "The sheet 'Sheet' ends before row 9, where `headerRow` says that its header is."
    )


def test_hidden_sheets_are_read_by_name_alone():
    book = sheet(["char"], ["hidden"])
    book.active.sheet_state = "hidden"
    for name in ("Süd & <Nord>", "Last"):
        book.create_sheet(name).append(["char"])
        book[name].append([name])

    assert read(stored(book)).rows() == [("Süd & <Nord>",)]
    assert read(stored(book), sheet="last").rows() == [("Last",)]
    assert read(stored(book), sheet="Sheet").rows() == [("hidden",)]
    assert refused(stored(book), sheet="x") == (
        "The workbook has no sheet 'x'; it has 'Sheet' (hidden), 'Süd & <Nord>', 'Last'."
    )


def test_formulas_have_the_value_that_was_computed():
    data = io.BytesIO()
    book = xlsxwriter.Workbook(data)
    page = book.add_worksheet()
    page.write_row(0, 0, ["char", "integer", "text"])
    page.write_formula(1, 0, '="a"&"b"', None, "ab")
    page.write_formula(1, 1, "=1+1", None, 2)
    page.write_formula(1, 2, '=""', None, "")
    book.close()

    # XlsxWriter leaves out the kind of an empty text, so that some spreadsheets compute it.
    computed = rewritten(
        data.getvalue(), "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b'"C2">', b'"C2" t="str">')
    )

    assert read(computed).rows() == [("ab", "2", None)]


def test_a_cell_without_a_value_to_read_is_an_error_of_its_row():
    book = sheet(["char", "integer", "text"], ["a", 2, "x"], ["=1+1", 4, None], ["c", "#N/A", "#DIV/0!"], ["=A1"])
    book.active["C3"] = ArrayFormula("C3", "=SUM(A1:A2*1)")

    frame = read(stored(book))

    never = "has a formula that was never computed; open the file in a spreadsheet, and save it."
    assert errors(frame) == [
        [],
        [("char", f"The cell A3 {never}", "="), ("text", f"The cell C3 {never}", "=")],
        [
            ("integer", "The cell B4 has the error #N/A; fix its formula.", "#N/A"),
            ("text", "The cell C4 has the error #DIV/0!; fix its formula.", "#DIV/0!"),
        ],
        [("char", f"The cell A5 {never}", "=")],
    ]
    assert frame.drop(INTAKE_ERRORS).rows() == [
        ("a", "2", "x"), ("=", "4", "="), ("c", "#N/A", "#DIV/0!"), ("=", None, None),
    ]  # fmt: skip
    found = validate(creating(resource_named("animals")), frame).errors
    assert found.filter(pl.col("path") == "integer")["message"].to_list() == [
        "The cell B4 has the error #N/A; fix its formula."
    ]


def test_a_number_with_more_digits_than_a_cell_keeps_is_an_error():
    data = stored(sheet(["char", "number"], [2**53 - 1, 2**53], [9_007_199_254_740_993, 2**60]))

    frame = read(data)

    assert errors(frame) == [
        [],
        [("char", "Number cells keep 15 digits, and this one has more: format it as text, and type it again.",
          "9007199254740992")],
    ]  # fmt: skip
    assert frame["number"].to_list() == ["9007199254740992", "1152921504606846976"]


def test_merged_rows_share_their_value_and_merged_columns_are_errors(monkeypatch):
    book = sheet(["char", "integer", "text"], ["a", 1, "x"], [None, 2, "y"], ["b", 3, None], ["c", 4, "z"])
    book.active.merge_cells("A2:A3")
    book.active.merge_cells("B4:C5")

    frame = read(stored(book))

    assert frame["char"].to_list() == ["a", "a", "b", "c"]
    message = "The cells B4:C5 are merged over several columns; it is not clear which column has their value."
    assert errors(frame) == [[], [], [(None, message, None)], [(None, message, None)]]


def test_columns_without_a_name_are_passed_over_while_they_are_empty():
    data = stored(sheet(["char", None, "integer", " ", None], ["a", None, 1, None, None], ["b", None, 2, None, "note"]))

    frame = read(data)

    message = "The cell E3 has a value, and its column no name in the header (row 1)."
    assert errors(frame) == [[], [(None, message, "note")]]
    assert frame["integer"].to_list() == ["1", "2"]


def test_columns_are_those_of_any_file():
    data = stored(sheet(["Größe", "bulkql_row", "note"], [4, 0, "x"]))

    assert read(data, columns={"Größe": "integer"}, unknown_columns=UnknownColumns.IGNORE)["integer"].to_list() == ["4"]
    with pytest.raises(BadInput, match="animals has no field for the column 'note'"):
        read(data, columns={"Größe": "integer"})


def test_a_line_of_help_is_no_row():
    data = stored(sheet(["char", "integer"], ["ⓘ A name. Required.", "ⓘ A number."], ["a", 1], ["ⓘ x", 2]))

    assert read(data).rows() == [("a", "1"), ("ⓘ x", "2")]


def test_what_is_no_workbook_says_what_it_is():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as one:
        one.writestr("animals.csv", "char\na\n")
    plain = stored(sheet(["char"], ["a"]))

    assert refused(archive.getvalue()) == "This is a ZIP archive, but not a workbook."
    assert refused(b"char,integer\n") == "This is not a workbook: it is neither XLSX nor ODS."
    assert refused(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)) == (
        "This is a workbook with a password, or of Excel 97 (.xls); save it as .xlsx, without one."
    )
    assert refused(plain[: len(plain) // 2]) == "This is not a workbook: it is neither XLSX nor ODS."
    assert refused(stored(openpyxl.Workbook())) == "The sheet 'Sheet' is empty; a sheet begins with a header."


def rewritten(data, part, change):
    """A workbook with one of its parts changed."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == part else old.read(name))
    return changed.getvalue()


@pytest.mark.parametrize("place", ["XFD1048576", "XFD900000"])
def test_one_cell_far_away_ends_with_words_and_not_with_the_memory(place):
    book = sheet(["char"], ["a"])
    book.active[place] = "x"

    assert re.match(
        r"The workbook takes more than 1,073,741,824 bytes of memory to read \(BULKQL_WORKBOOK_MEMORY_BYTES\): is there"
        r" a cell far below the others, or far to their right",
        refused(stored(book)),
    )


def test_a_cell_far_to_the_right_alone_is_an_error_of_its_row():
    book = sheet(["char"], ["a"], ["b"])
    book.active["XFD2"] = "x"

    assert [len(found) for found in errors(read(stored(book)))] == [1, 0]


def test_a_cell_beyond_all_columns_is_refused():
    """One damaged letter more in the place of a cell makes a sheet of 246,818 columns."""
    far = rewritten(
        stored(sheet(["char"], ["a"])), "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b"A2", b"NABZ2")
    )

    assert "has 246,818 columns; no spreadsheet has over 16,384" in refused(far)


def test_xml_that_unpacks_to_more_than_the_memory_is_refused(monkeypatch):
    most = replace(limits(), workbook_memory_bytes=64 * 1024 * 1024)
    monkeypatch.setattr(workbooks, "limits", lambda: most)
    blanks = b" " * (4 * most.workbook_memory_bytes)
    bomb = rewritten(stored(sheet(["char"], ["a"])), "xl/styles.xml", lambda xml: xml + blanks)

    assert len(bomb) < 512 * 1024
    assert "takes more than 67,108,864 bytes of memory" in refused(bomb)


def test_a_workbook_that_its_library_reads_for_ever_is_refused():
    """An element of ODS that is closed by another name: calamine goes round in circles at the file's end."""
    parts = documents()[0]
    broken = parts["content.xml"].replace(b"</table:table>", b"</taMle:table>")

    assert refused(zipped({**parts, "content.xml": broken}, deflated=True)) == (
        "The workbook takes more than 4 seconds to decode; is it damaged? Save it again in a spreadsheet, or send it "
        "as "
        "CSV."
    )


def test_damaged_parts_are_told():
    data = rewritten(stored(sheet(["char"], ["a"])), "xl/worksheets/sheet1.xml", lambda xml: xml[: len(xml) // 2])

    assert refused(data).startswith("The workbook cannot be read: syntax error")


def test_names_are_asked_of_the_header_alone():
    beginning = workbooks.WorkbookBeginning(
        io.BytesIO(stored(sheet(["char", None, "integer"], ["a", None, 1]))), FileOptions(format=FileFormat.XLSX)
    )

    assert beginning.names() == ["char", "integer"]


def test_numbers_are_numbers_whatever_stands_before_the_fraction_of_texts():
    data = stored(sheet(["decimal", "char"], [1.5, 1.5], ["1,5", "1,5"], [1234.5, "xx"], ["1.234,5", "xx"]))

    frame = read(data, spelling=Spelling(decimal=","))

    plan = replace(creating(resource_named("animals")), spelling=Spelling(decimal=","))
    rows = validate(plan, frame).rows
    assert rows["decimal"].to_list() == ["1.5", "1.5", "1234.5", "1234.5"]
    assert frame["char"].to_list() == ["1.5", "1,5", "xx", "xx"]


def test_columns_that_are_left_out_keep_their_cells_for_the_failed_rows():
    data = stored(sheet(["char", "note", "bulkql_row", None], ["a", 2**60, 0, None]))

    frame = read(data, unknown_columns=UnknownColumns.IGNORE)

    assert frame.columns == ["char", ignored(1, "note")]
    assert frame.row(0) == ("a", "1152921504606846976")


SHEET = "xl/worksheets/sheet1.xml"


def test_other_writers_spell_xml_otherwise():
    book = sheet(["char", "integer"], ["ab", "=1+1"], ["cd", "#N/A"])

    def prefixed(xml):
        return re.sub(rb"<(/?)(?=[a-z])", rb"<\1x:", xml).replace(b'xmlns="', b'xmlns:x="')

    data = rewritten(rewritten(stored(book), SHEET, prefixed), SHEET, lambda xml: xml.replace(b't="e"', b"t='e'"))

    assert [[message for _, message, _ in found] for found in errors(read(data))] == [
        ["The cell B2 has a formula that was never computed; open the file in a spreadsheet, and save it."],
        ["The cell B3 has the error #N/A; fix its formula."],
    ]


def test_cells_that_do_not_say_where_they_are_cannot_be_told():
    book = sheet(["char", "integer"], ["ab", "#N/A"])
    data = rewritten(stored(book), SHEET, lambda xml: re.sub(rb' r="[A-Z]+\d+"', b"", xml))

    assert refused(data) == (
        "The sheet has cells with errors, or formulas without values; save it again in a spreadsheet."
    )


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


@pytest.mark.parametrize(
    "xml",
    [
        b"<c " * 1_000_000,
        b'<c r="A1"><f/>' + b" " * 3_000_000,
        b'<c r="A1"><f>' + b"x" * 3_000_000,
        b' t="e"' * 500_000 + b"<f",
        b"<" + b"a:" * 1_500_000 + b'<f t="e"',
        b'<c t="e" r="A1">' * 200_000,
        b"<" + b"a" * 3_000_000 + b'<f t="e"',
        b"<c " + b"<v>-" * 1_000_000,
        b'<c s="1"><f>' * 300_000 + b"<v>-",
        b"<c s='1'>" + b":c v>-" * 500_000,
    ],
)
def test_no_xml_takes_longer_than_its_length(xml):
    started = time.process_time()

    faults.in_piece(xml)
    faults.without_date(xml, faults.Dates(frozenset({1}), faults.DATELESS))

    assert time.process_time() - started < 5


def test_a_sheet_of_nothing_but_errors_is_refused(monkeypatch):
    monkeypatch.setattr(faults, "MOST_FAULTS", 2)
    data = stored(sheet(["char"], ["#N/A"], ["#N/A"], ["#N/A"]))

    assert refused(data).startswith("The sheet 'Sheet' has more than 2 cells with errors, or with formulas")


def ods(*rows, before=""):
    """A workbook in ODS, of the XML of the rows of its sheet; `before` is that of others."""
    begin, _, rest = documents()[0]["content.xml"].partition(b"<table:table-row>")
    begin = begin.replace(b"<table:table ", f"{before}<table:table ".encode())
    xml = begin + "".join(rows).encode() + rest[rest.index(b"</table:table>") :]
    return zipped({**documents()[0], "content.xml": xml}, deflated=True)


def ods_row(*cells, repeated=1):
    times = f' table:number-rows-repeated="{repeated}"' if repeated > 1 else ""
    return f"<table:table-row{times}>{''.join(cells)}</table:table-row>"


def ods_cell(attributes='office:value-type="string"', text="", inside=""):
    return f"<table:table-cell {attributes}>{inside}{f'<text:p>{text}</text:p>' if text else ''}</table:table-cell>"


def ods_texts(*texts):
    return ods_row(*(ods_cell(text=text) for text in texts))


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


def test_parts_are_found_in_any_case():
    parts = unzipped(stored(sheet(["char"], ["ab"], ["#N/A"])))
    parts["XL/Worksheets/SHEET1.xml"] = parts.pop("xl/worksheets/sheet1.xml")

    frame = read(zipped(parts, deflated=True))

    assert errors(frame) == [[], [("char", "The cell A3 has the error #N/A; fix its formula.", "#N/A")]]


def test_a_workbook_that_cannot_be_read_says_what_helps():
    parts = unzipped(stored(sheet(["char"], ["#N/A"])))
    xml = parts["xl/worksheets/sheet1.xml"].replace(b"#N/A", b"#SPILL!")

    assert refused(zipped({**parts, "xl/worksheets/sheet1.xml": xml}, deflated=True)) == (
        "The workbook cannot be read: Unsupported cell error value '#SPILL!'. Save it again in a spreadsheet, or send "
        "it as CSV."
    )


def deflated(parts):
    """Its parts as tools pack them that treat the MIME type as any other."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return sink.getvalue()


@pytest.mark.parametrize("names", [["mimetype", "content.xml"], ["content.xml", "mimetype"]])
def test_ods_is_told_by_its_parts_however_they_are_packed(names):
    parts = unzipped(ods(ods_texts("char"), ods_texts("a<text:tab/>b")))

    frame = read(deflated({**{name: parts[name] for name in names}, **parts}))

    assert frame["char"].to_list() == ["a\tb"]


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        ("a<text:tab/>b", "a\tb"),
        ("a<text:tab></text:tab>b", "a\tb"),
        ('a<text:tab text:tab-ref="1"/>b', "a\tb"),
        ("a<text:line-break/>b</text:p><text:p>c", "a\nb\nc"),
        ('a<text:s text:c="3"/>b<text:s/>c', "a   b c"),
        ("<text:span>a<text:line-break/></text:span><text:tab/><text:a>b</text:a>", "a\n\tb"),
        ("a<![CDATA[<b> & \n]]>c<![CDATA[]]>", "a<b> & \nc"),
    ],
)
def test_a_text_of_ods_keeps_its_tabs_line_breaks_and_blanks(xml, text):
    assert read(ods(ods_texts("char"), ods_texts(xml)))["char"].to_list() == [text]


IMAGE = '<draw:frame table:z-index="0"><draw:image xlink:href="a.png"><text:p/></draw:image></draw:frame>'
GROUP = "<draw:g><draw:custom-shape><text:p>boxed</text:p></draw:custom-shape><draw:line/></draw:g>"


@pytest.mark.parametrize("drawn", [IMAGE, GROUP, "<draw:control/>", f"{IMAGE}{GROUP}"])
def test_what_is_drawn_in_a_cell_of_ods_is_none_of_its_text(drawn):
    shapes = f"<table:shapes>{drawn}</table:shapes>"

    frame = read(ods(shapes, ods_texts("char", "text"), ods_row(ods_cell(text="a", inside=drawn), ods_cell(text="b"))))

    assert frame.rows() == [("a", "b")]


def test_how_a_text_of_ods_is_spoken_is_none_of_it():
    ruby = "<text:ruby><text:ruby-base>a</text:ruby-base><text:ruby-text>b</text:ruby-text></text:ruby>c"

    assert read(ods(ods_texts("char"), ods_texts(ruby)))["char"].to_list() == ["ac"]


def test_a_workbook_without_a_sheet_that_can_be_read_says_so():
    parts = unzipped(ods(ods_texts("char"), ods_texts("a")))
    xml = parts["content.xml"].replace(b"table:", b"t:").replace(b"xmlns:table=", b"xmlns:t=")

    assert refused(deflated({**parts, "content.xml": xml})) == (
        "The workbook has no sheet that can be read; save it again in a spreadsheet, or send it as CSV."
    )


def test_a_cell_of_ods_without_a_type_is_a_text():
    data = ods(
        ods_texts("char"), ods_row('<table:table-cell table:style-name="a"><text:p>x</text:p></table:table-cell>')
    )

    assert read(data)["char"].to_list() == ["x"]


@pytest.mark.parametrize(
    ("name", "kind", "value", "text"),
    [
        ("time", "time", "PT01H02M02.999999998S", "01:02:03"),
        ("time", "time", "PT01H59M59.9999999S", "02:00:00"),
        ("time", "time", "PT01H02M03.000000002S", "01:02:03"),
        ("time", "time", "PT01H02M03.500000S", "01:02:03.500000"),
        ("datetime", "date", "2024-02-29T23:59:59.99999997", "2024-03-01T00:00:00"),
        ("datetime", "date", "2024-02-29T12:00:00.1234564999", "2024-02-29T12:00:00.123456"),
    ],
)
def test_moments_of_ods_lose_the_noise_of_their_sums(name, kind, value, text):
    cell = ods_cell(f'office:value-type="{kind}" office:{kind}-value="{value}"', "shown")

    assert read(ods(ods_texts(name), ods_row(cell)))[name].to_list() == [text]


FORMULA = 'table:formula="of:=1+1"'
NEVER = "The cell {} has a formula that was never computed; open the file in a spreadsheet, and save it."


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (ods_cell(f'{FORMULA} office:value-type="float" office:value="2"', "2"), "2"),
        (ods_cell(f'{FORMULA} office:value-type="string"', "ab"), "ab"),
        (ods_cell(f'{FORMULA} office:value-type="string" office:string-value=""'), None),
    ],
)
def test_formulas_of_ods_have_the_value_that_was_computed(cell, value):
    frame = read(ods(ods_texts("char", "text"), ods_row(cell, ods_cell(text="x"))))

    assert errors(frame) == [[]]
    assert frame["char"].to_list() == [value]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (ods_cell(FORMULA), "="),
        (f"<table:table-cell {FORMULA}/>", "="),
        (ods_cell(FORMULA, "2"), "="),
        (ods_cell(f'{FORMULA} office:value-type="float"', "2"), "="),
        (ods_cell(f'{FORMULA} office:value-type="void"'), "="),
        (ods_cell(f'{FORMULA} calcext:value-type="error" office:value-type="string" office:string-value=""', "#N/A"),
         "#N/A"),
        (ods_cell('calcext:value-type="error" office:value-type="string" office:string-value=""'), "#ERROR!"),
        (ods_cell(f'{FORMULA} office:value-type="float" office:value="0"', "Err:502"), "Err:502"),
        (ods_cell(FORMULA, inside="<office:annotation><text:p>a note</text:p></office:annotation>"), "="),
    ],
)  # fmt: skip
def test_a_cell_of_ods_without_a_value_to_read_is_an_error_of_its_row(cell, shown):
    rows = [ods_texts("char", "text"), ods_texts("a", "b"), ods_row(cell, ods_cell(text="x"))]
    other = f'<table:table table:name="Other">{ods_row(cell)}</table:table>'

    frame = read(ods(*rows, before=other), sheet="Rows")

    message = NEVER.format("A3") if shown == "=" else f"The cell A3 has the error {shown}; fix its formula."
    assert errors(frame) == [[], [("char", message, shown)]]
    assert frame.drop(INTAKE_ERRORS).rows() == [("a", "b"), (shown, "x")]


def test_cells_of_ods_are_counted_whatever_stands_for_several():
    broken = f"<table:table-cell {FORMULA}/>"
    data = ods(
        '<table:table-row table:number-rows-repeated="2"><table:table-cell table:number-columns-repeated="9"/>'
        "</table:table-row>",
        ods_row(
            '<table:table-cell table:number-columns-repeated="2"/>', *(ods_cell(text=name) for name in ("char", "text"))
        ),
        ods_row('<table:table-cell table:number-columns-repeated="2"/>', ods_cell(text="a"), broken, repeated=2),
        ods_row("<table:covered-table-cell/><table:table-cell/>", ods_cell(text="b"), ods_cell(text="y")),
        ods_row(
            "<table:table-cell/><table:table-cell/>", broken.replace(" ", ' table:number-columns-repeated="2" ', 1)
        ),
    )

    frame = read_with_lines(data)

    assert [[(path, message) for path, message, _ in found] for found in errors(frame)] == [
        [("text", NEVER.format("D4"))],
        [("text", NEVER.format("D5"))],
        [],
        [("char", NEVER.format("C7")), ("text", NEVER.format("D7"))],
    ]
    assert frame[LINE].to_list() == [4, 5, 6, 7]


def test_a_sheet_of_ods_of_nothing_but_errors_is_refused():
    data = ods(ods_texts("char"), ods_row(f"<table:table-cell {FORMULA}/>", repeated=1_000_000))

    assert refused(data).startswith("The sheet 'Rows' has more than 50,000 cells with errors, or with formulas")


def test_cells_of_ods_that_are_merged_are_read_as_those_of_xlsx():
    covered = "<table:covered-table-cell/>"
    spanned = 'office:value-type="string" table:number-rows-spanned="2" table:number-columns-spanned="{}"'
    data = ods(
        ods_texts("char", "integer", "text"),
        ods_row(ods_cell(spanned.format(1), "a"), ods_cell(text="1"), ods_cell(text="x")),
        ods_row(covered, ods_cell(text="2"), ods_cell(text="y")),
        ods_row(ods_cell(text="b"), ods_cell(spanned.format(2), "3"), covered),
        ods_row(ods_cell(text="c"), covered, covered),
    )

    frame = read(data)

    assert frame["char"].to_list() == ["a", "a", "b", "c"]
    message = "The cells B4:C5 are merged over several columns; it is not clear which column has their value."
    assert errors(frame) == [[], [], [(None, message, None)], [(None, message, None)]]
