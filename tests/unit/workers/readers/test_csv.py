"""CSV bytes as raw frames."""

from __future__ import annotations

import io
import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkql.workers.columns.cells import MARK, NULL
from bulkql.workers.conf import Limits
from bulkql.workers.errors import BadInput, UnreadableFile
from bulkql.workers.frames import INTAKE_ERRORS
from bulkql.workers.readers import csv
from bulkql.workers.readers.options import EmptyCells, FileFormat, FileOptions, UnknownColumns
from bulkql.workers.resources.registry import BulkResource, resource_named
from tests.plans import creating
from tests.zoo.models import Animal

BOM = b"\xef\xbb\xbf"


class Animals(BulkResource):
    name = "animals"
    fields = ("char", "text", "born")


def read(data, resource=None, **options):
    """The rows of a file, as lists of cells by column."""
    frames = list(
        csv.read(io.BytesIO(data), creating(resource or Animals(Animal)), FileOptions(format=FileFormat.CSV, **options))
    )
    return pl.concat(frames, how="diagonal") if frames else pl.DataFrame()


def rows(data, **options):
    return read(data, **options).rows()


def refusal(data, **options):
    """Why a file is not read."""
    with pytest.raises(BadInput) as caught:
        read(data, **options)
    return str(caught.value)


def unreadable(data, **options):
    with pytest.raises(UnreadableFile) as caught:
        read(data, **options)
    return str(caught.value)


def errors(frame):
    """The row errors of each row."""
    return [found and json.loads(found) for found in frame[INTAKE_ERRORS]]


TOO_MANY = "The row has more than the header's 2 cells; quote cells that contain the delimiter."


def test_cells_go_to_the_columns_of_the_header():
    frame = read(b"text,char\nx,ab\ny,cd\n")

    assert frame.to_dict(as_series=False) == {"text": ["x", "y"], "char": ["ab", "cd"]}


def test_the_last_line_needs_no_end():
    assert rows(b"char,text\nab,x") == [("ab", "x")]


def test_lines_may_end_as_windows_ends_them():
    assert rows(b'char,text\r\nab,x\r\ncd,\r\n"ef","y"\r\n') == [("ab", "x"), ("cd", None), ("ef", "y")]


def test_quoted_cells_hold_delimiters_quotes_and_line_breaks():
    data = b'char,text\n"a,b","say ""hi"""\n"a\nb","c\r\nd\r\n\r\n"\n'

    assert rows(data) == [("a,b", 'say "hi"'), ("a\nb", "c\r\nd\r\n\r\n")]


def test_the_header_may_be_quoted_and_spaced():
    assert read(b'"char", text \nab,x\n').columns == ["char", "text"]


def test_a_header_may_hold_line_breaks():
    assert rows(b'"Big\nName",text\nab,x\n', columns={"Big\nName": "char"}) == [("ab", "x")]


@pytest.mark.parametrize("header", ["financial_account", "financialAccount"])
def test_both_spellings_of_a_name_are_one_column(header):
    frame = read(f"{header}\n1\n".encode(), resource=resource_named("financialTransactions"))

    assert frame.to_dict(as_series=False) == {"financial_account": ["1"]}


def test_an_empty_cell_is_missing_and_a_quoted_one_is_an_empty_text():
    assert rows(b'char,text\nab,\ncd,""\n"",x\n') == [("ab", None), ("cd", ""), ("", "x")]


def test_an_empty_cell_is_null_if_the_options_say_so():
    found = rows(b'char,text\nab,\ncd,""\n', empty_cells=EmptyCells.NULL)

    assert found == [("ab", NULL), ("cd", "")]


def test_texts_that_stand_for_null_are_null():
    found = rows(b'char,text\nNA,n/a\n"NA",x\nna,\n', null_values=("NA", "n/a"))

    assert found == [(NULL, NULL), (NULL, "x"), ("na", None)]


def test_fewer_cells_than_the_header_are_missing():
    assert rows(b"char,text,born\nab\ncd,x\n") == [("ab", None, None), ("cd", "x", None)]


def test_more_cells_than_the_header_are_an_error_of_that_row_only():
    frame = read(b'char,text\nab,x\ncd,y,"z\nz"\nef,u,v,w\ngh,,,w\nij,k,\n')

    assert frame["char"].to_list() == ["ab", "cd", "ef", "gh", "ij"]
    assert errors(frame) == [
        None,
        [[None, "INVALID", TOO_MANY, "z\nz"]],
        [[None, "INVALID", TOO_MANY, "v"]],
        [[None, "INVALID", TOO_MANY, "w"]],
        None,
    ]


@pytest.mark.parametrize("place", [0, 1, 150, 299])
def test_the_row_with_too_many_cells_may_stand_anywhere(place):
    lines = [b"ab,x"] * 300
    lines[place] = b"cd,y,1,2,3,4"

    frame = read(b"char,text\n" + b"\n".join(lines))

    assert [index for index, found in enumerate(errors(frame)) if found] == [place]
    assert frame["char"].to_list() == ["cd" if index == place else "ab" for index in range(300)]


def test_blank_lines_and_lines_of_empty_cells_are_no_rows():
    assert rows(b"char,text\n\nab,x\n\r\n\n,\ncd,y\n\n") == [("ab", "x"), ("cd", "y")]


def test_spaces_are_a_text():
    assert rows(b"char\n  \n ab \n") == [("  ",), (" ab ",)]


def test_a_header_alone_has_no_rows():
    assert rows(b"char,text") == rows(b"char,text\r\n") == rows(b"char,text\n\n\n") == []


@pytest.mark.parametrize("data", [b"", BOM])
def test_an_empty_file_is_refused(data):
    assert unreadable(data) == "The file is empty; a CSV file begins with a header."


@pytest.mark.parametrize("data", [b"\nchar\nab\n", b" , \nab,x\n", b"\r\n"])
def test_an_empty_header_is_refused(data):
    assert unreadable(data) in (
        "Line 1 is empty; a CSV file begins with a header.",
        "The file is empty; a CSV file begins with a header.",
    )


def test_a_byte_order_mark_is_no_part_of_the_header():
    assert read(BOM + b"char,text\nab,x\n").columns == ["char", "text"]


def test_a_byte_order_mark_further_on_is_a_text():
    assert rows(b"char,text\n" + BOM + b"ab,x\n") == [("\ufeffab", "x")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "latin1"])
def test_other_encodings_are_read(encoding):
    data = 'char,text\näé,"ö\nü"\n'.encode(encoding)

    assert rows(data, encoding=encoding) == [("äé", "ö\nü")]


@pytest.mark.parametrize("block_bytes", [1, 7, 4096])
def test_another_encoding_than_was_said_names_the_line(monkeypatch, block_bytes):
    monkeypatch.setattr(csv, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(csv, "FIRST_BYTES", block_bytes)

    data = "char,text\nab,x\ncd,ä\n".encode("cp1252")

    assert unreadable(data) == (
        "Line 3 is not utf-8: invalid continuation byte (byte 0xe4). Save the file as UTF-8, or name its encoding."
    )


def test_a_text_that_ends_in_the_middle_of_a_character_names_the_line():
    assert unreadable("char,text\nab,ä".encode()[:-1]) == (
        "Line 2 is not utf-8: unexpected end of data (byte 0xc3). Save the file as UTF-8, or name its encoding."
    )


def test_utf_16_without_its_name_is_refused():
    assert unreadable("char\nab\n".encode("utf-16")) == (
        "Line 1 is not utf-8: invalid start byte (byte 0xff). Save the file as UTF-8, or name its encoding."
    )


@pytest.mark.parametrize("block_bytes", [1, 9, 4096])
@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b'char,text\nab,x\n"cd,y\nef,z\n', 3),
        (b'char,text\nab,"x\n', 2),
        (b'char,text\n"a\nb",x\ncd,"', 4),
    ],
)
def test_a_quote_that_is_never_closed_names_the_line(monkeypatch, block_bytes, data, line):
    monkeypatch.setattr(csv, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(csv, "FIRST_BYTES", block_bytes)

    assert unreadable(data) == f"The record at line {line} is not CSV: unexpected end of data."


@pytest.mark.parametrize("block_bytes", [1, 9, 4096])
def test_text_behind_a_closed_quote_names_the_line(monkeypatch, block_bytes):
    monkeypatch.setattr(csv, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(csv, "FIRST_BYTES", block_bytes)

    assert unreadable(b'char,text\nab,x\n"c"d,y\n') == """The record at line 3 is not CSV: ',' expected after '"'."""


def test_a_quote_in_the_middle_of_a_cell_names_the_line():
    assert unreadable(b'char,text\nab,x\n5" pipe,y\ncd,z\n') == (
        "The record at line 3 is not CSV: a cell with a quote in it stands in quotes, and doubles its own."
    )


def test_a_record_without_an_end_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(csv, "BLOCK_BYTES", 8)
    monkeypatch.setattr(csv, "FIRST_BYTES", 8)
    monkeypatch.setattr(csv, "limits", lambda: Limits(record_bytes=1000))

    assert unreadable(b'char,text\nab,x\n"' + b"a\n" * 1000) == (
        "The record at line 3 is longer than 1,000 bytes (BULKQL_RECORD_BYTES): is a quote never closed?"
    )


def test_long_cells_are_read():
    text = "x" * 300_000

    assert rows(f"char,text\nab,{text}\ncd,y,too,many\n".encode())[0][:2] == ("ab", text)


def test_lines_that_end_with_cr_alone_are_refused():
    assert unreadable(b"char,text\rab,x\r") == (
        "Line 1 has a carriage return in its middle; lines end with LF or CRLF."
    )


def test_a_broken_header_is_refused():
    assert unreadable(b'"char"s,text\nab,x\n') == """Line 1 is not CSV: ',' expected after '"'."""


def test_null_characters_cannot_pass_for_marks():
    found = rows(b"char,text\n\0null,a\0b\ncd,\0\n")

    assert found == [(f'{MARK}"{MARK}null"', "a\0b"), ("cd", f'{MARK}"{MARK}"')]


def test_a_binary_file_is_refused():
    assert unreadable(b"PAR1\0\0\0,\n") == "This is not a CSV file: line 1 has null characters."


FIELDS = "Its fields are char, text, born"


def test_unknown_columns_are_refused():
    assert refusal(b"char,colour,age\nab,red,5\n") == (
        f"animals has no field for the columns 'colour', 'age'. {FIELDS}; map others with `columns`, "
        "or set unknownColumns: IGNORE."
    )
    assert refusal(b"char,text,\nab,x,\n") == (
        f"animals has no field for the column ''. {FIELDS}; map others with `columns`, or set unknownColumns: IGNORE."
    )


def test_unknown_columns_may_be_ignored():
    frame = read(b"colour,char,,char 2\nred,ab,x,y\n,,,\n,cd,,\nblue\n", unknown_columns=UnknownColumns.IGNORE)

    assert frame.to_dict(as_series=False) == {"char": ["ab", "cd", None]}


def test_a_file_of_unknown_columns_alone_is_refused():
    doubt = "; is the delimiter ',' right, and does the file have a header?"

    found = refusal(b"char;text\nab;x\n", unknown_columns=UnknownColumns.IGNORE)

    assert found == f"None of the file's columns ('char;text') is a field of animals. {FIELDS}{doubt}"


def test_a_column_that_comes_twice_is_refused():
    assert refusal(b"char,char\nab,cd\n") == "The file has more than one column for char."
    assert refusal(b"char,Name\nab,cd\n", columns={"Name": "char"}) == "The file has more than one column for char."


def test_columns_of_other_names_are_mapped():
    frame = read("Größe,x\nab,y\n".encode(), columns={" Größe ": "char", "x": "text"})

    assert frame.to_dict(as_series=False) == {"char": ["ab"], "text": ["y"]}


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " "])
def test_other_delimiters_are_read(delimiter):
    data = f'char{delimiter}text\nab{delimiter}"x{delimiter}y"\ncd{delimiter}1,5\n'.encode()

    assert rows(data, delimiter=delimiter) == [("ab", f"x{delimiter}y"), ("cd", "1,5")]


CELL = st.one_of(
    st.sampled_from(
        ["", " ", "a", ",", ";", '"', "\n", "\r\n", '""', ',"\n', "ä", "😀", "\ufeff", "\t", "'", "#", "a\nb", "\\"]
    ),
    st.text(alphabet='ab,"\n\r ü\ufeff', max_size=6),
)
MAYBE = st.one_of(st.none(), CELL)


def written(records, delimiter, end):
    """CSV of a careful writer: null is nothing, and text stands in quotes."""
    lines = [delimiter.join(["char", "text", "born"])]
    for record in records:
        lines.append(delimiter.join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in record))
    return "".join(line + end for line in lines)


@settings(max_examples=150, deadline=None, database=None)
@given(
    records=st.lists(st.tuples(MAYBE, MAYBE, MAYBE), max_size=12),
    delimiter=st.sampled_from([",", ";", "\t"]),
    end=st.sampled_from(["\n", "\r\n"]),
    block_bytes=st.integers(1, 40),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_was_written_is_read_whatever_the_size_of_blocks(records, delimiter, end, block_bytes, encoding):
    data = written(records, delimiter, end).encode(encoding)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv, "BLOCK_BYTES", block_bytes)
        patch.setattr(csv, "FIRST_BYTES", block_bytes)
        found = rows(data, delimiter=delimiter, encoding=encoding)

    assert found == [record for record in records if record != (None, None, None)]


#: Lines of any number of cells, in which quotes stand where they belong.
LINE = st.lists(st.sampled_from(["", "a", " ", '""', '"a"', '","', '"\n"', '"""\n,"', "a b"]), max_size=5).map(",".join)


@settings(max_examples=60, deadline=None, database=None)
@given(
    lines=st.lists(LINE, max_size=10), tail=st.sampled_from(["", '"a', '"a"b', 'a"\n']), block_bytes=st.integers(1, 30)
)
def test_ragged_and_broken_files_give_the_same_whatever_the_size_of_blocks(lines, tail, block_bytes):
    data = "\n".join(["char,text", *lines, tail]).encode()

    def outcome(size):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(csv, "BLOCK_BYTES", size)
            patch.setattr(csv, "FIRST_BYTES", size)
            try:
                frame = read(data)
            except UnreadableFile:
                return "unreadable"
        has_errors = INTAKE_ERRORS in frame.columns
        return frame.rows() if has_errors or not frame.height else [(*row, None) for row in frame.rows()]

    assert outcome(block_bytes) == outcome(1_000_000)


RETURNED = b"bulkql_row,bulkql_code,bulkql_path,bulkql_message"


def test_the_columns_of_returned_rows_are_ignored_whatever_the_options_say():
    frame = read(b"char,text," + RETURNED + b"\nab,x,7,INVALID,char,wrong\n", unknown_columns=UnknownColumns.REJECT)

    assert frame.to_dict(as_series=False) == {"char": ["ab"], "text": ["x"]}


def test_a_header_of_nothing_but_those_is_an_error():
    assert refusal(RETURNED + b"\n7,INVALID,char,wrong\n").startswith("None of the file's columns ('bulkql_row', ")


def test_a_file_of_returned_rows_gets_its_formulas_back():
    data = b"'=a,text,bulkql_row\n'=1,''@,7\n'x,-5,8\n"

    assert rows(data, columns={"=a": "char"}) == [("=1", "'@"), ("'x", "-5")]


def test_other_files_are_taken_at_their_word():
    assert rows(b"char,text\n'=1,''@\n") == [("'=1", "''@")]


def test_a_text_for_null_may_look_like_a_formula():
    assert rows(b"char,bulkql_row\n'-,7\n", null_values=("-",)) == [(NULL,)]


def test_utf_16_without_its_mark_is_refused():
    assert unreadable(b"na\x11e\n", encoding="utf-16") == (
        "The file is not utf-16: UTF-16 stream does not start with BOM. Save it as UTF-8, or name its encoding."
    )


@pytest.mark.parametrize("surplus", [b",x" * 100_000, b"," * 100_000 + b"y", b',"a,b"' * 10_000])
def test_a_record_with_many_cells_too_many_is_an_error_of_its_row(surplus):
    frame = read(b"char,text\nab,x\ncd,y" + surplus + b"\nef,z\n")

    assert frame["char"].to_list() == ["ab", "cd", "ef"]
    assert [found and found[0][2] for found in errors(frame)] == [None, TOO_MANY, None]
