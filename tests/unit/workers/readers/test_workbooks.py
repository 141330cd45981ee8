"""Workbooks as raw frames."""

from __future__ import annotations

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
from bulkql.workers.conf import limits
from bulkql.workers.errors import BadInput
from bulkql.workers.frames import INTAKE_ERRORS, LINE, ignored
from bulkql.workers.readers import faults, workbooks
from bulkql.workers.readers.options import EmptyCells, FileFormat, FileOptions, UnknownColumns
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.validation.values import validate
from tests.fuzz.samples import documents, unzipped, zipped
from tests.plans import creating
from tests.unit.workers.readers.sheets import SHEET, errors, read, read_with_lines, refused, rewritten, sheet, stored

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


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


def test_columns_that_are_left_out_keep_their_cells_for_the_failed_rows():
    data = stored(sheet(["char", "note", "bulkql_row", None], ["a", 2**60, 0, None]))

    frame = read(data, unknown_columns=UnknownColumns.IGNORE)

    assert frame.columns == ["char", ignored(1, "note")]
    assert frame.row(0) == ("a", "1152921504606846976")


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
