"""Lines of JSON as raw frames."""

from __future__ import annotations

import io
import json
import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkql.workers import frames
from bulkql.workers.columns.cells import MARK, NULL
from bulkql.workers.conf import Limits
from bulkql.workers.errors import BadInput, UnreadableFile
from bulkql.workers.frames import INTAKE_ERRORS
from bulkql.workers.readers import ndjson
from bulkql.workers.readers.options import FileFormat, FileOptions, UnknownColumns
from bulkql.workers.readers.text import json_lines
from bulkql.workers.resources.registry import BulkResource, resource_named
from tests.plans import creating
from tests.zoo.models import Animal


class Animals(BulkResource):
    name = "animals"
    fields = ("char", "big", "decimal", "json")


def read(data, resource=None, **options):
    return numbered(data, resource, **options).drop(frames.LINE, strict=False)


def numbered(data, resource=None, **options):
    """The rows of a file, with their lines."""
    file_options, plan = FileOptions(format=FileFormat.NDJSON, **options), creating(resource or Animals(Animal))
    ndjson.NdjsonBeginning(io.BytesIO(data), file_options).check(plan)
    return pl.concat(ndjson.read(io.BytesIO(data), plan, file_options), how="diagonal")


def columns(data, **options):
    return read(data, **options).to_dict(as_series=False)


def errors(frame):
    """The row errors of each row."""
    return [found and json.loads(found) for found in frame[INTAKE_ERRORS]]


def unreadable(data, **options):
    with pytest.raises(UnreadableFile) as caught:
        read(data, **options)
    return str(caught.value)


def test_each_line_is_a_row():
    assert columns(b'{"char": "ab", "big": 1}\n{"char": "cd"}\n') == {"char": ["ab", "cd"], "big": ["1", None]}


def test_the_last_line_needs_no_end_and_lines_may_end_as_windows_ends_them():
    assert columns(b'{"char": "ab"}\r\n{"char": "cd"}') == {"char": ["ab", "cd"]}


def test_blank_lines_are_no_rows():
    assert columns(b'\n{"char": "ab"}\n\n  \r\n{"char": "cd"}\n\n') == {"char": ["ab", "cd"]}


def test_blank_lines_before_the_first_row_are_no_empty_file_however_many_they_are():
    assert columns(ndjson.BYTES_ASKED * b"\n" + b'{"char": "ab"}\n') == {"char": ["ab"]}


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_a_line_break_within_a_text_is_no_blank(end):
    frame = read(b'[\n{"char": "a' + end + b'b"},\n{"char":\n"c"}\n]')

    assert frame["char"].to_list() == [None, "c"]
    assert ["MALFORMED" in str(found) for found in errors(frame)] == [True, False]


def test_a_byte_order_mark_is_no_part_of_the_first_row():
    assert columns(b'\xef\xbb\xbf{"char": "ab"}\n') == {"char": ["ab"]}


def test_null_and_missing_are_two_things():
    assert columns(b'{"char": null}\n{"big": null}\n{"char": "null"}\n') == {
        "char": [NULL, None, "null"],
        "big": [None, NULL, None],
    }


def test_numbers_keep_their_digits():
    data = b'{"decimal": 1234567890123456.78}\n{"decimal": 0.10}\n{"decimal": 1e2}\n{"big": 9223372036854775808}\n'

    assert columns(data) == {
        "decimal": ["1234567890123456.78", "0.10", "1e2", None],
        "big": [None, None, None, "9223372036854775808"],
    }


def test_both_spellings_of_a_name_are_the_same_column():
    frame = read(
        b'{"financial_account": 1}\n{"financialAccount": 2}\n', resource=resource_named("financialTransactions")
    )

    assert frame.to_dict(as_series=False) == {"financial_account": ["1", "2"]}


def test_columns_of_other_names_are_mapped():
    assert columns('{"Größe": 5}\n'.encode(), columns={"Größe": "big"}) == {"big": ["5"]}


def malformed(frame):
    """What is wrong with each row, and what it was: (message, text)."""
    found = [found and found[0] for found in errors(frame)]
    assert all(one is None or one[:2] == [None, "MALFORMED"] for one in found)
    return [one and (one[2], one[3]) for one in found]


def test_a_broken_line_is_an_error_of_its_row_and_names_the_line():
    found = numbered(
        b'{"char": "ab"}\n\n{"char": "cd"\n{"char": "ef"}\nnothing\n{"char": "\xff"}\n{"char": NaN}\n{"char": "gh"},\n'
    )

    assert found["char"].to_list() == ["ab", None, "ef", None, None, None, None]
    assert found[frames.LINE].to_list() == [1, 3, 4, 5, 6, 7, 8]
    assert malformed(found) == [
        None,
        ("Line 3 is not JSON: Input data was truncated.", '{"char": "cd"'),
        None,
        ("Line 5 is not JSON: JSON is malformed: invalid character (byte 4).", "nothing"),
        ("Line 6 is not JSON: it is not UTF-8 (byte 0xff); give the file's `encoding`.", '{"char": "�"}'),
        (
            "Line 7 is not JSON: JSON is malformed: invalid character (byte 9); NaN is not a valid number there.",
            '{"char": NaN}',
        ),
        (
            "Line 8 is not JSON: it ends with a comma; in NDJSON there are no commas between objects.",
            '{"char": "gh"},',
        ),
    ]


@pytest.mark.parametrize(
    ("text", "is_half"),
    [
        (rb"\ud83d", True),
        (rb"\uDE00", True),
        (rb"\ud83dx\ude00", True),
        (rb"\ud83d\ud83d\ude00", True),
        (rb"\\\ud83d", True),
        (rb"\ud83d\ude00", False),
        (rb"\\ud83d", False),
    ],
)
def test_half_a_character_is_an_error_of_its_row(text, is_half):
    found = read(b'{"char": "ab"}\n{"char": "%b"}\n' % text)

    reason = (
        "Line 2 is not JSON: it has half a surrogate pair, which is no character; write both of its halves, or U+FFFD."
    )
    if is_half:
        assert malformed(found) == [None, (reason, f'{{"char": "{text.decode()}"}}')]
    else:
        assert found["char"].to_list() == ["ab", json.loads(b'"%b"' % text)]


@pytest.mark.parametrize("first", [b'{"char": NaN}', b"5", b"nothing", b'{"char": "a'])
def test_the_first_line_may_be_broken_as_any_other(first):
    frame = read(first + b'\n{"char": "ab"}\n')

    assert frame["char"].to_list() == [None, "ab"]
    assert [found is None for found in malformed(frame)] == [False, True]


def test_a_line_nested_too_deeply_is_an_error_of_its_row():
    frame = read(b'{"char": "ab"}\n' + b"[" * 100_000 + b"\n" + b'{"char": "cd"}\n')

    assert frame["char"].to_list() == ["ab", None, "cd"]
    assert malformed(frame)[1] == (
        "Line 2 is not JSON: maximum recursion depth exceeded while deserializing an object.",
        "[" * 100_000,
    )


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        (b'{"char": "a"}\n{"char": "b"} {"char": "c"}\n{"char": "d"}\n', [None, '{"char": "b"} {"char": "c"}', None]),
        (b'{"char": "a"}\n{"char": "b"}1\n', [None, '{"char": "b"}1']),
        (b'{"char": "a"}\n\n{"char": "b"}\r{"char": "c"}\n', [None, '{"char": "b"}\r{"char": "c"}']),
        (b'{"char": "a"}\n{"char":\n"b"}{"char": "c"}\n', [None, '{"char":', '"b"}{"char": "c"}']),
    ],
    ids=["two objects", "an object and a number", "a blank line before", "one that goes on in the next line"],
)
@pytest.mark.parametrize("size", [1, 1_000_000])
def test_two_values_on_a_line_are_an_error_of_its_row(monkeypatch, data, texts, size):
    """Two rows would be taken for one, and all behind them for others than they are."""
    monkeypatch.setattr(json_lines, "FIRST_BYTES", size)

    frame = read(data)

    assert [found and (found[0][1], found[0][3]) for found in errors(frame)] == [
        text and ("MALFORMED", text) for text in texts
    ]


def test_a_line_that_is_no_object_is_an_error_of_its_row():
    frame = read(b'{"char": "ab"}\n["cd"]\n5\nnull\n')

    assert frame["char"].to_list() == ["ab", None, None, None]
    assert malformed(frame) == [
        None,
        ("Line 2 is not a JSON object.", '["cd"]'),
        ("Line 3 is not a JSON object.", "5"),
        ("Line 4 is not a JSON object.", "null"),
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\r\n\nchar,text\n", "Line 3 is not JSON: JSON is malformed: invalid character (byte 0)."),
        (b"\n\nnull\n", "Line 3 is not a JSON object."),
        (b'\n\n"ab"', "Line 3 is not a JSON object."),
        (b"\n\n[5]\n", "Line 3 is not a JSON object."),
        (b'{"char": "\xfc"}', "Line 1 is not JSON: it is not UTF-8 (byte 0xfc); give the file's `encoding`."),
    ],
)
def test_a_file_without_an_object_is_refused(data, reason):
    assert unreadable(data) == f"This is not an NDJSON file. {reason}"


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "utf-8-sig"])
def test_other_encodings_are_read(encoding):
    assert columns('{"char": "ä"}\n'.encode(encoding), encoding=encoding) == {"char": ["ä"]}


OBJECTS = [{"char": 'a\n]}\\"', "json": {"a": [1, {}]}}, {}, {"big": 7}, {"char": "[", "json": []}]


@pytest.mark.parametrize("size", [1, 5, 1_000_000])
@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (json.dumps(OBJECTS), [1, 1, 1, 1]),
        (" [\n" + ",\n".join(map(json.dumps, OBJECTS)) + "\n]\n", [2, 3, 4, 5]),
        (json.dumps(OBJECTS, indent=2).replace("\n", "\r\n"), [2, 11, 12, 15]),
        ("".join(json.dumps(one, indent=1) + "\n" for one in OBJECTS), [1, 10, 11, 14]),
    ],
)
def test_arrays_and_objects_that_span_lines_are_read(monkeypatch, size, text, lines):
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", size)
    monkeypatch.setattr(json_lines, "FIRST_BYTES", max(size, 20))

    frame = numbered(text.encode())

    assert frame["char"].to_list() == ['a\n]}\\"', None, None, "["]
    assert frame["big"].to_list() == [None, None, "7", None]
    assert frame["json"].to_list() == ['{"a": [1, {}]}', None, None, "[]"]
    assert frame[frames.LINE].to_list() == lines


def test_what_is_no_object_in_an_array_is_an_error_of_its_row():
    frame = numbered(b'[{"char": "ab"},\n5, {"char": NaN},\n{"char": "cd"}]')

    assert frame["char"].to_list() == ["ab", None, None, "cd"]
    assert frame[frames.LINE].to_list() == [1, 2, 2, 3]
    assert [found and found[0].partition(":")[0] for found in malformed(frame)] == [
        None,
        "Line 2 is not a JSON object.",
        "Line 2 is not JSON",
        None,
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'[{"char": "ab"}', "The JSON array is never closed; the file may be cut off."),
        (b'[{"char": "ab"},\n{"char"', "The JSON value at line 2 is never closed; the file may be cut off."),
        (b'[{"char": "ab"}]\n{}', "Line 2 comes after the end of the JSON array; a file has only one array."),
    ],
)
def test_an_array_that_is_cut_off_is_refused(data, reason):
    assert unreadable(data) == reason


def test_a_column_that_is_mapped_must_be_there():
    found = unreadable_input(b'{"Name": "ab", "text": 1}\n{"big": 1}\n', columns={"Naem": "char"})

    assert found == (
        "`columns` maps 'Naem', but its first 1,000 rows have no such column (did you mean 'Name'?). "
        "It has 'Name', 'text', 'big'."
    )


def unreadable_input(data, **options):
    with pytest.raises(BadInput) as caught:
        read(data, **options)
    return str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\n \r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_an_empty_file_is_refused(data):
    assert unreadable(data) == "The file is empty; an NDJSON file has one JSON object per line."


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", 10)
    monkeypatch.setattr(json_lines, "FIRST_BYTES", max(10, 3))
    monkeypatch.setattr(json_lines, "limits", lambda: Limits(record_bytes=1000))

    assert unreadable(b'{"' + b"1," * 2000) == (
        "Line 1 is longer than 1,000 bytes (BULKQL_RECORD_BYTES): one JSON object per line is expected."
    )


@pytest.mark.parametrize("size", [10, 40, 1000])
def test_an_object_whose_first_line_is_longer_than_a_piece(monkeypatch, size):
    monkeypatch.setattr(json_lines, "FIRST_BYTES", size)

    frame = read(b'{"char": "' + b"x" * 100 + b'",\n"big": 7}\n{"char": "b",\n"big": 8}\n')

    assert frame["big"].to_list() == ["7", "8"]


def test_unknown_fields_of_the_first_row_refuse_the_file():
    with pytest.raises(BadInput) as caught:
        read(b'{"char": "ab", "colour": "red"}\n')

    assert str(caught.value) == (
        "animals has no field for the column 'colour'. Its fields are char, big, decimal, json; "
        "map others with `columns`, or set unknownColumns: IGNORE."
    )


def test_a_file_of_unknown_fields_alone_is_refused():
    with pytest.raises(BadInput) as caught:
        read(b'{"colour": "red"}\n', unknown_columns=UnknownColumns.IGNORE)

    assert str(caught.value) == (
        "None of the file's columns ('colour') is a field of animals. Its fields are char, big, decimal, json."
    )


def test_unknown_fields_of_later_rows_are_their_errors():
    frame = read(b'{}\n{"char": "ab", "colour": "red"}\n')

    assert errors(frame) == [
        None,
        [["colour", "UNKNOWN_FIELD", "animals has no field colour; it has char, big, decimal, json.", '"red"']],
    ]


def test_unknown_fields_may_be_ignored():
    data = b'{"char": "ab", "colour": "red"}\n{"age": 5}\n'

    assert columns(data, unknown_columns=UnknownColumns.IGNORE) == {
        "char": ["ab", None],
        "__others": ['{"colour": "red"}', '{"age": 5}'],
    }


def test_texts_that_stand_for_null_are_null():
    data = b'{"char": "NA", "json": "NA"}\n{"char": "na", "json": ["NA"]}\n'

    assert columns(data, null_values=("NA",)) == {"char": [NULL, "na"], "json": [NULL, '["NA"]']}


def test_values_of_a_wrong_kind_are_kept_for_their_error():
    assert columns(b'{"char": 5, "big": [1]}\n') == {"char": [f"{MARK}5"], "big": [f"{MARK}[1]"]}


LINE = st.one_of(
    st.fixed_dictionaries({}, optional={"char": st.text(max_size=4), "big": st.integers(-5, 5) | st.none()}).map(
        json.dumps
    ),
    st.sampled_from(
        ["", " ", "\r", "{", "[1]", '{"char": "a\\nb"}', '{"char":\r"a"}', "NaN", '{"char": "ä"}', '{"char": 1.50}']
    ),
)


@settings(max_examples=100, deadline=None, database=None)
@given(lines=st.lists(LINE, max_size=10), block_bytes=st.integers(1, 40))
def test_rows_are_the_same_whatever_the_size_of_blocks(lines, block_bytes):
    data = "\n".join(['{"char": "ab"}', *lines]).encode()

    def outcome(size):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(json_lines, "BLOCK_BYTES", size)
            patch.setattr(json_lines, "FIRST_BYTES", max(size, 3))
            frame = read(data)
        missing = {"char", "big", INTAKE_ERRORS} - set(frame.columns)
        return (
            frame.with_columns(pl.lit(None).alias(name) for name in missing).select("char", "big", INTAKE_ERRORS).rows()
        )

    assert outcome(block_bytes) == outcome(1_000_000)


def test_the_keys_of_returned_rows_are_ignored_whatever_the_options_say():
    data = (
        b'{"bulkql_row": 0, "bulkql_errors": []}\n{"char": "ab", "bulkql_row": 7, "bulkql_errors": [{"path": null}]}\n'
    )

    frame = read(data, unknown_columns=UnknownColumns.REJECT)

    assert frame.to_dict(as_series=False) == {"char": [None, "ab"]}


def test_rows_that_call_their_fields_as_earlier_ones_did_keep_each_value_as_it_was_given(monkeypatch):
    """Past the first block, rows are decoded by what is known of the file."""
    first = b'{"char": "ab", "big": 1, "decimal": 1.50, "json": {"a": 1.50}}\n'
    monkeypatch.setattr(json_lines, "FIRST_BYTES", len(first))
    rest = [
        (b'{"char": "a\\u00e4", "big": 12, "decimal": 0.10}', ("aä", "12", "0.10")),
        (b'{"decimal": 1e3}', (None, None, "1e3")),
        (b'{"char": null, "big": 7.0, "decimal": 12345678901234567890.5}', (NULL, "7.0", "12345678901234567890.5")),
        (b'{"char": 1.50, "big": true, "decimal": [1.5]}', (f"{MARK}1.50", f"{MARK}true", f"{MARK}[1.5]")),
        (b'{"char": "", "big": 9223372036854775808, "decimal": "2.0"}', ("", "9223372036854775808", "2.0")),
    ]

    for line, cells in rest:
        frame = read(first + line + b"\n")

        assert frame.select("char", "big", "decimal").row(1) == cells


def test_rows_of_one_shape_are_decoded_without_a_dictionary_for_each(monkeypatch):
    looked_at = []
    decode = ndjson.decode
    monkeypatch.setattr(json_lines, "FIRST_BYTES", 64)
    monkeypatch.setattr(ndjson, "decode", lambda block: looked_at.append(block.lines[0]) or decode(block))

    frame = read(b"".join(b'{"char": "a%d", "big": %d}\n' % (number, number) for number in range(1000)))

    assert frame.rows() == [(f"a{number}", f"{number}") for number in range(1000)]
    # The beginning is looked at, then the file's first block.
    assert looked_at[-1] == 1


@pytest.mark.parametrize("text", ["1234567890123456.78", "0.1234567890123456789", "12345678901234567890123.5", "1.50"])
def test_numbers_within_json_keep_their_digits(text):
    value = f'{{"a": [{text}, {{"b": {text}}}], "d": 99999999999999999999}}'

    assert columns(f'{{"json": {value}, "colour": {text}}}\n'.encode(), unknown_columns=UnknownColumns.IGNORE) == {
        "json": [value],
        "__others": [f'{{"colour": {text}}}'],
    }


@pytest.mark.parametrize("first", [b"", b'{"char": "ab", "text": "x"}\n' * 3])
@pytest.mark.parametrize(
    "line",
    [
        b'{"char": "a", "char": "b"}',
        b'{"char":"a","text":"x","char":"a"}',
        b'{"char" : "a", "char" :"b"}',
        b'{"char": "\\":", "char": "b"}',
        b'{"char": "a", "\\u0063har": "b"}',
        b'{"char": "a", "json": {"a": 1}, "json": {"a": 1}}',
        b'{"colour": 1, "char": "a", "colour": 2}',
    ],
)
def test_a_row_that_has_a_name_twice_is_none(first, line, monkeypatch):
    monkeypatch.setattr(json_lines, "FIRST_BYTES", len(first) or 1_000)
    data = first + line + b'\n{"char": "cd"}\n'

    frame = read(data, unknown_columns=UnknownColumns.IGNORE)

    *_, (error,), following = [found and json.loads(found) for found in frame[frames.INTAKE_ERRORS]]
    number = data[: data.index(line)].count(b"\n") + 1
    assert (error[1], error[3], following) == ("MALFORMED", line.decode(), None)
    assert re.match(rf"Line {number} has '\w+' twice; leave one of them out\.$", error[2])
    assert frame["char"].to_list()[-2:] == [None, "cd"]


def test_a_name_twice_within_json_is_the_sender_s_own():
    assert columns(b'{"char": "ab", "json": {"a": 1, "a": 1.5, "a": %b}}\n' % (b"1" * 19))["char"] == ["ab"]
    assert columns(b'{"json": {"a": 1, "b": {"a": 2}}, "char": "ab"}\n')["char"] == ["ab"]
