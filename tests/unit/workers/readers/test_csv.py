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
from bulkql.workers.frames import INTAKE_ERRORS, LINE
from bulkql.workers.readers import csv
from bulkql.workers.readers.options import EmptyCells, FileFormat, FileOptions, ShortRecords, UnknownColumns, fields_of
from bulkql.workers.readers.text import blocks
from bulkql.workers.resources.registry import BulkResource, _registry, resource_named
from tests.plans import creating
from tests.zoo.models import Animal, Keeper

BOM = b"\xef\xbb\xbf"


class Animals(BulkResource):
    name = "animals"
    fields = ("char", "text", "born")


def read(data, resource=None, **options):
    """The rows of a file, as lists of cells by column."""
    frame = numbered(data, resource, **options)
    return frame.drop(LINE, strict=False)


def numbered(data, resource=None, **options):
    """The same, with their lines."""
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


WIDE = "Line {}: the record has {} cells, and the header {}; quote cells that contain the delimiter."
SHORT = (
    "Line {}: the record has {}, and the header {}; quote cells that contain line breaks, or set shortRecords: FILL."
)
UNDOUBLED = "text follows the quote that closes a cell; within a quoted cell, each quote is doubled."


def malformed(frame):
    """What is wrong with each row, and what it was: (message, text)."""
    return [found and (found[0][2], found[0][3]) for found in errors(frame)]


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


def test_fewer_cells_than_the_header_are_an_error_of_that_row_only():
    frame = read(b"char,text,born\nab\ncd,x\nef,,\n")

    assert frame["char"].to_list() == [None, None, "ef"]
    assert malformed(frame) == [(SHORT.format(2, "1 cell", 3), "ab"), (SHORT.format(3, "2 cells", 3), "cd,x"), None]


def test_fewer_cells_than_the_header_are_missing_if_the_options_say_so():
    found = rows(b'char,text,born\nab\n   \ncd,x\n"ef"\n', short_records=ShortRecords.FILL)

    assert found == [("ab", None, None), ("cd", "x", None), ("ef", None, None)]


def test_more_cells_than_the_header_are_an_error_of_that_row_only():
    frame = read(b'char,text\nab,x\ncd,y,"z\nz"\nef,u,v,w\ngh,,\nij,k\n')

    assert frame["char"].to_list() == ["ab", None, None, None, "ij"]
    assert malformed(frame) == [
        None,
        (WIDE.format("3 to 4", 3, 2).replace("Line", "Lines"), 'cd,y,"z\nz"'),
        (WIDE.format(5, 4, 2), "ef,u,v,w"),
        (WIDE.format(6, 3, 2), "gh,,"),
        None,
    ]


@pytest.mark.parametrize("place", [0, 1, 150, 299])
def test_the_row_with_too_many_cells_may_stand_anywhere(place):
    lines = [b"ab,x"] * 300
    lines[place] = b"cd,y,1,2,3,4"

    frame = read(b"char,text\n" + b"\n".join(lines))

    assert [index for index, found in enumerate(errors(frame)) if found] == [place]
    assert frame["char"].to_list() == [None if index == place else "ab" for index in range(300)]


def test_blank_lines_and_lines_of_empty_cells_are_no_rows():
    assert rows(b"char,text\n\nab,x\n\r\n\n,\ncd,y\n\n") == [("ab", "x"), ("cd", "y")]


def test_spaces_are_a_text():
    assert rows(b'char\n" "\n ab \n') == [(" ",), (" ab ",)]


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


@pytest.mark.parametrize("block_bytes", [7, 4096])
def test_another_encoding_than_was_said_names_the_line(monkeypatch, block_bytes):
    monkeypatch.setattr(csv, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(csv, "FIRST_BYTES", block_bytes)

    data = "char,text\nab,x\ncd,ä\n".encode("cp1252")

    assert unreadable(data) == (
        "Line 3 is not utf-8: invalid continuation byte (byte 0xe4). It would be 'cd,ä' in cp1252 or 'cd,д' in cp1251. "
        "Save the file as UTF-8, or name its encoding."
    )


def test_a_text_that_ends_in_the_middle_of_a_character_names_the_line():
    assert unreadable("char,text\nab,ä".encode()[:-1]) == (
        "Line 2 is not utf-8: unexpected end of data (byte 0xc3). It would be 'Ã' in cp1252 or 'Ă' in cp1250. "
        "Save the file as UTF-8, or name its encoding."
    )


BLOCKS = pytest.mark.parametrize("block_bytes", [1, 9, 4096])


@pytest.fixture
def small_blocks(monkeypatch, block_bytes):
    monkeypatch.setattr(csv, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(csv, "FIRST_BYTES", block_bytes)


@BLOCKS
@pytest.mark.parametrize(
    ("data", "line", "text", "lines"),
    [
        (b'char,text\nab,x\n"cd,y\nef,z\n', 3, '"cd,y\nef,z', "Lines 3 to 4"),
        (b'char,text\nab,"x\n', 2, 'ab,"x', "Line 2"),
        (b'char,text\nab,x\n"a\nb","\nx', 4, '"a\nb","\nx', "Lines 3 to 5"),
    ],
)
def test_a_quote_that_is_never_closed_is_an_error_of_its_row(small_blocks, data, line, text, lines):
    frame = read(data)

    assert malformed(frame)[-1] == (f"{lines}: the quote that opens a cell at line {line} is never closed.", text)
    assert all(found is None for found in malformed(frame)[:-1])


@BLOCKS
def test_text_behind_a_closed_quote_is_an_error_of_its_row(small_blocks):
    frame = read(b'char,text\nab,x\n"c"d,y\nef,"z\nz"\n')

    assert malformed(frame) == [None, (f"Line 3: {UNDOUBLED}", '"c"d,y'), None]
    assert frame["text"].to_list() == ["x", None, "z\nz"]


@BLOCKS
@pytest.mark.parametrize(
    "cell",
    [
        '"{"role": "cook", "shift": "8"}"',
        '"say "hi""',
        '"5" pipe"',
        '"a "b" c"',
        '"a "b\nc" d"',
        '"a "b\nx,y\nc"',
        "a\rb",
        '"a"\rb',
    ],
)
def test_a_malformed_record_is_one_error_whatever_its_neighbours_are(small_blocks, cell):
    before, behind = '"a ""b"" c","x\ny"\nab,\n', 'ef,""\n"i,j","""k"""\ngh,5"\n'

    frame = numbered(f"char,text\n{before}cd,{cell}\n{behind}".encode())

    assert [found and found[1] for found in malformed(frame)] == [None, None, f"cd,{cell}", None, None, None]
    assert frame.select("char", "text").rows() == [
        ('a "b" c', "x\ny"),
        ("ab", None),
        (None, None),
        ("ef", ""),
        ("i,j", '"k"'),
        ("gh", '5"'),
    ]
    last = 5 + cell.count("\n")
    assert frame[LINE].to_list() == [2, 4, 5, last + 1, last + 2, last + 3]


@BLOCKS
def test_lines_between_two_faults_are_no_rows_where_nobody_knows_of_which_record_they_are(small_blocks):
    """The quote before `role` is a fault whether the line before begins within the first broken cell or not."""
    frame = read(b'char,text\nab,"say "hi" to"\n"\nx,y\nz{"role": 1}",b\ncd,e\n')

    assert frame["char"].drop_nulls().to_list() == ["cd"]


def test_the_codes_of_malformed_records_say_so():
    assert {found[0][1] for found in errors(read(b'char,text\nab\n"c"d,x\nab,x,y\n'))} == {"MALFORMED"}


@BLOCKS
def test_a_quote_in_the_middle_of_an_unquoted_cell_is_an_inch_mark(small_blocks):
    assert rows(b'char,text\nab,x\n5" pipe,"y"\n 5" x 7","z\nz"\n') == [
        ("ab", "x"),
        ('5" pipe', "y"),
        (' 5" x 7"', "z\nz"),
    ]


@BLOCKS
def test_blank_lines_and_line_breaks_in_cells_do_not_shift_the_lines(small_blocks):
    found = numbered(b'char,"te\r\nxt"\n\nab,"x\n\ny"\n   \n,\r\ncd,z\nef,"a\rb"\n', columns={"te\r\nxt": "text"})

    assert found.rows() == [("ab", "x\n\ny", 4), ("cd", "z", 9), ("ef", "a\rb", 10)]


def test_a_record_without_an_end_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(csv, "BLOCK_BYTES", 8)
    monkeypatch.setattr(csv, "FIRST_BYTES", 8)
    monkeypatch.setattr(blocks, "limits", lambda: Limits(record_bytes=1000))

    unclosed = (
        "The quote that opens a cell at line {} is not closed within 1,000 bytes (BULKQL_RECORD_BYTES). Close it; or, "
        "if it is part of the text, put the cell in quotes and double it."
    )
    assert unreadable(b'char,text\nab,x\n"' + b"a\n" * 1000) == unclosed.format(3)
    assert unreadable(b'char,text\nab,x\n"a\nb","' + b"a\n" * 1000) == unclosed.format(4)
    assert unreadable(b'char,"te' + b"x\n" * 1000) == unclosed.format(1)
    assert (
        unreadable(b"char,text\nab," + b"a" * 2000)
        == "The record at line 2 is longer than 1,000 bytes (BULKQL_RECORD_BYTES)."
    )


def test_long_cells_are_read():
    text = "x" * 300_000

    assert rows(f'char,text\nab,{text}\ncd,5" x\n'.encode())[0][:2] == ("ab", text)


def test_lines_may_end_with_cr_alone():
    found = numbered(b'char,text\rab,x\r"c\rd",\r\ref,"y"')

    assert found.rows() == [("ab", "x", 2), ("c\rd", None, 3), ("ef", "y", 6)]


def test_lines_that_end_with_cr_and_later_with_lf_are_refused(monkeypatch):
    monkeypatch.setattr(csv, "FIRST_BYTES", 16)

    assert unreadable(b"char,text\rab,x\rcd,y\n") == (
        "The file's first lines end with a carriage return (CR) alone, and later ones with a line feed; save it with "
        "one kind of line ends."
    )


def test_line_ends_that_were_translated_twice_are_read():
    assert rows(b"char,text\r\r\nab,x\r\r\n") == [("ab", "x")]


def test_the_mark_at_the_end_of_a_dos_file_is_no_row():
    assert rows(b"char,text\r\nab,x\r\n\x1a") == rows(b"char,text\nab,x\n\x1a\x1a\r\n") == [("ab", "x")]
    assert rows(b"char,text\nab,\x1a") == [("ab", "\x1a")]


def test_a_line_before_the_header_may_say_the_delimiter():
    data = b"sep=;\r\nchar;text\r\nab;x,y\r\n"

    assert numbered(data, left_out=("delimiter",)).rows() == [("ab", "x,y", 3)]
    assert rows(data, delimiter=";") == [("ab", "x,y")]
    assert refusal(data, delimiter="|") == (
        "The file's first line says that its delimiter is ';' (sep=), and the option says that it is '|'; leave "
        "`delimiter` "
        "out."
    )


def test_columns_without_a_name_and_without_values_are_nothing():
    assert rows(b'char,text,,\nab,x,,\ncd,"y",,""\nef,z\n,,,\n') == [("ab", "x"), ("cd", "y"), ("ef", "z")]


def test_a_value_in_a_column_without_a_name_is_an_error_of_its_row():
    frame = read(b"char,text,\nab,x,\ncd,y,z\n")

    assert malformed(frame) == [
        None,
        (
            "Line 3: a cell has a value in a column that has no name in the header; name it, or set unknownColumns: "
            "IGNORE.",
            "z",
        ),
    ]


def test_a_broken_header_is_refused():
    assert unreadable(b'"char"s,text\nab,x\n') == f"Line 1 is not CSV: {UNDOUBLED}"


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
    found = refusal(b"char,tekst\nab,x\n")

    assert found.startswith("animals has no field for the column 'tekst' (did you mean 'text'?).")


def test_a_column_that_names_rows_without_a_resource_is_refused_with_what_is_missing(monkeypatch):
    monkeypatch.delitem(_registry, Keeper)
    kept = type("Kept", (BulkResource,), {"name": "animals", "fields": ("char", "keeper")})(Animal)

    with pytest.raises(BadInput, match=r"zoo\.Keeper can be named by a key once it is registered in a bulk\.py\.$"):
        fields_of(creating(kept), ["char", "keeper.code"], FileOptions(format=FileFormat.CSV))


def test_a_column_that_is_mapped_must_be_there():
    found = refusal("char,Größe\nab,x\n".encode(), columns={"Grösse": "text"}, unknown_columns=UnknownColumns.IGNORE)

    assert found == (
        "`columns` maps 'Grösse', but the file has no such column (did you mean 'Größe'?). It has 'char', 'Größe'."
    )


def test_unknown_columns_may_be_ignored():
    frame = read(b"colour,char,,char 2\nred,ab,x,y\n,,,\n,cd,,\nblue,,,\n", unknown_columns=UnknownColumns.IGNORE)

    assert frame.to_dict(as_series=False) == {
        "char": ["ab", "cd", None],
        "__ignored:0:colour": ["red", None, "blue"],
        "__ignored:2:": ["x", None, None],
        "__ignored:3:char 2": ["y", None, None],
    }


def test_a_file_of_unknown_columns_alone_is_refused():
    doubt = "; is the delimiter ',' right, and does the file have a header?"

    found = refusal(b"char;text\nab;x\n", unknown_columns=UnknownColumns.IGNORE)

    assert found == (
        f"None of the file's columns ('char;text') is a field of animals. {FIELDS}{doubt} With ',' the "
        "header is 'char;text', and the first row 'ab;x'; with ';' they would be 'char', 'text', and 'ab', 'x'. "
        "Give `delimiter`."
    )


def test_a_column_in_another_case_is_not_guessed_and_the_field_is_named():
    assert refusal(b"Char\nab\n").startswith(
        "None of the file's columns ('Char') is a field of animals (did you mean 'char'?). Its fields are "
    )


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
LINES = st.lists(st.sampled_from(["", "a", " ", '""', '"a"', '","', '"\n"', '"""\n,"', "a b"]), max_size=5).map(
    ",".join
)


@settings(max_examples=60, deadline=None, database=None)
@given(
    lines=st.lists(LINES, max_size=10), tail=st.sampled_from(["", '"a', '"a"b', 'a"\n']), block_bytes=st.integers(1, 30)
)
def test_ragged_and_broken_files_give_the_same_whatever_the_size_of_blocks(lines, tail, block_bytes):
    data = "\n".join(["char,text", *lines, tail]).encode()

    def outcome(size):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(csv, "BLOCK_BYTES", size)
            patch.setattr(csv, "FIRST_BYTES", size)
            frame = numbered(data)
        return [] if frame.is_empty() else frame.with_columns(pl.lit(None).alias("none")).to_dict(as_series=False)

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


@pytest.mark.parametrize("surplus", [b",x" * 100_000, b"," * 100_000 + b"y", b',"a,b"' * 10_000])
def test_a_record_with_many_cells_too_many_is_an_error_of_its_row(surplus):
    frame = read(b"char,text\nab,x\ncd,y" + surplus + b"\nef,z\n")

    assert frame["char"].to_list() == ["ab", None, "ef"]
    assert [found and found[0][1] for found in errors(frame)] == [None, "MALFORMED", None]


@pytest.mark.parametrize("blank", ["", " ", "   ", "\t", " \t ", "\v\f", "\r"])
@pytest.mark.parametrize("place", ["first", "between", "last", "end"])
@pytest.mark.parametrize("record", ["ab", '"ab"', 'a"b'])
@pytest.mark.parametrize(
    ("header", "delimiter"), [("char", ","), ("char,text", ","), ("char\ttext", "\t"), ("char,", ",")]
)
@pytest.mark.parametrize("short", ShortRecords)
def test_a_line_of_blanks_is_no_row_whatever_the_columns(blank, place, record, header, delimiter, short):
    if short == ShortRecords.REJECT and len(header) > 5:
        record += f"{delimiter}x"
    lines = [header, record, record]
    lines.insert({"first": 1, "between": 2}.get(place, 3), blank)
    data = "\n".join(lines) + ("" if place == "end" else "\n")

    frame = numbered(data.encode(), delimiter=delimiter, short_records=short)

    assert frame["char"].to_list() == [record.partition(delimiter)[0].strip('"')] * 2
    assert frame[LINE].to_list() == [number for number, line in enumerate(lines, 1) if line == record]


def test_blanks_in_quotes_are_a_text():
    assert rows(b'char\n"  "\n""\n" "\n') == [("  ",), ("",), (" ",)]
