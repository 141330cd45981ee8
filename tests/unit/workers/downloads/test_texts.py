"""Cells go back to what was sent: read again, they are the same cells."""

from __future__ import annotations

import json

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkql.workers.columns.cells import MARK, NULL, BareText, ExactFloat, cells
from bulkql.workers.columns.cleaning import refuse_constant
from bulkql.workers.downloads import texts
from bulkql.workers.resources.registry import resource_named

COLUMNS = resource_named("animals").columns


def number_of_json(text):
    return json.loads(text, parse_float=ExactFloat)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: ExactFloat(repr(number))),
    st.from_regex(r"-?[1-9][0-9]{0,25}(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?", fullmatch=True).map(number_of_json),
    st.text(),
    st.text("\0\ud800a'\"=-5", max_size=5),
)
json_values = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3))
)


@pytest.mark.parametrize("name", COLUMNS)
@given(given=st.lists(st.one_of(st.just(...), json_values), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_json_that_is_written_again_is_read_as_the_same_cells(name, given):
    column = COLUMNS[name]
    found = cells(given, column.accepts, as_json=column.as_json)

    written = [value if value is ... else msgspec.json.encode(value) for value in texts.values(found, column)]

    again = [... if text is ... else json.loads(text, parse_float=ExactFloat) for text in written]
    assert cells(again, column.accepts, as_json=column.as_json).to_list() == found.to_list()


@pytest.mark.parametrize(
    ("name", "cell", "written"),
    [
        ("decimal", "1.50", '"1.50"'),
        ("integer", "1.0", "1.0"),
        ("integer", "007", "7"),
        ("integer", " +070 ", "70"),
        ("number", "-000.50e+1", "-0.50e+1"),
        ("integer", "0", "0"),
        ("integer", "0x7", '"0x7"'),
        ("integer", "1 2", '"1 2"'),
        ("positive", "12345678901234567890", "12345678901234567890"),
        ("big", "5", '"5"'),
        ("number", "-1e5", "-1e5"),
        ("boolean", "TRUE", "true"),
        ("boolean", "perhaps", '"perhaps"'),
        ("json", '{"a": [1.50]}', '{"a": [1.50]}'),
        ("char", NULL, "null"),
        ("char", f"{MARK}5", "5"),
        ("char", f'{MARK}"{MARK}of a file"', '"\\u0000of a file"'),
    ],
)
def test_a_cell_of_a_file_is_written_as_its_field_takes_it(name, cell, written):
    assert msgspec.json.encode(texts.value(cell, COLUMNS[name])).decode() == written


@given(text=st.text(min_size=1).filter(lambda text: not text.startswith(MARK)))
@settings(max_examples=200, deadline=None)
def test_json_that_is_none_comes_back_as_the_text_that_it_was(text):
    found = texts.value(text, COLUMNS["json"])

    assert isinstance(found, BareText) is not is_json(text)
    assert not isinstance(found, BareText) or cells([found], COLUMNS["json"].accepts, as_json=True).to_list() == [text]


def is_json(text):
    try:
        json.loads(text, parse_constant=refuse_constant)
    except ValueError:
        return False
    return True


def test_csv_has_texts_only():
    column = pl.Series([None, "", "a", NULL, f"{MARK}[1, 2]", f'{MARK}"\\u0000a"', f'{MARK}"\\ud800"', f"{MARK}1.50"])

    assert texts.texts(column, "NA").to_list() == [None, "", "a", "NA", "[1, 2]", "\0a", '"\\ud800"', "1.50"]
    assert texts.texts(column, None).to_list()[3] is None


def test_what_json_fields_could_not_take_is_no_json_in_csv_either():
    column = pl.Series(['{"a": 1}', f'{MARK}{{"unreadable": "x"}}', f'{MARK}"{MARK}a"', NULL])

    assert texts.texts(column, "NA", as_json=True).to_list() == [
        '{"a": 1}', 'unreadable: {"unreadable": "x"}', "\0a", "NA",
    ]  # fmt: skip
