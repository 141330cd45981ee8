"""Cells of lists -> their members."""

from __future__ import annotations

import json

import polars as pl
import pytest

from bulkql.workers.columns.cells import MARK, cell
from bulkql.workers.columns.lists import ListColumn, list_columns
from bulkql.workers.resources import registry
from bulkql.workers.validation.members import members_in, read_members
from tests.zoo.bulk import Notes, Tags
from tests.zoo.models import Note, Tag


@pytest.fixture
def columns():
    """The columns of Note.tags, by name."""
    return {column.name: column for column in registry.resource_named("notes").lists["tags"]}


def members(column: ListColumn, *cells: str | None) -> list[tuple[object, ...]]:
    """The list of each member, and the values of its keys."""
    frame = read_members(column, pl.Series(cells, dtype=pl.String)).frame
    return frame.select("text", *(one.name for one in column.parts)).rows()


def errors(column: ListColumn, *cells: str | None) -> list[tuple[object, ...]]:
    return read_members(column, pl.Series(cells, dtype=pl.String)).errors.rows()


def test_a_list_is_given_by_primary_keys_by_objects_or_by_the_values_of_a_key(columns):
    assert [(one.name, one.graphql_name) for one in columns.values()] == [
        ("tags", "tags"),
        ("tags_by", "tagsBy"),
        ("tags.name", "tagsBy.name"),
    ]
    assert [[one.name for one in key] for key in columns["tags_by"].keys] == [["name"], ["color", "number"]]


def test_targets_that_nobody_registered_have_no_keys():
    (only,) = list_columns(Note._meta.get_field("tags"), [])

    assert only.name == "tags"


def test_lists_are_no_columns_of_the_table():
    assert list(Notes(Note).columns) == ["title", "text"]
    assert list(Notes(Note).lists) == ["tags", "keepers"]
    assert Tags(Tag).lists == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["7", 8, 9.0]', [7, 8, 9]),
        ("[]", []),
        (" [7]", [7]),
        ("7", [7]),
        ("7,8", [7, 8]),
        (" 7 , 8,", [7, 8]),
        ("", []),
        (f"{MARK}7", [7]),
        (f'{MARK}"7"', [7]),
    ],
)
def test_primary_keys_come_as_json_or_between_commas(columns, text, expected):
    assert members(columns["tags"], text) == [(text, pk) for pk in expected]


def test_each_distinct_text_is_read_once(columns):
    assert members(columns["tags"], "7,8", None, "7,8", "9") == [("7,8", 7), ("7,8", 8), ("9", 9)]


def test_texts_between_commas_are_of_the_keys_type(columns):
    assert members(columns["tags.name"], "a, b", '["a, b", "c"]') == [
        ("a, b", "a"),
        ("a, b", "b"),
        ('["a, b", "c"]', "a, b"),
        ('["a, b", "c"]', "c"),
    ]


def test_objects_have_the_fields_of_one_key(columns):
    text = '[{"name": "a"}, {"color": "red", "number": 2, "name": null}]'

    assert members(columns["tags_by"], text) == [(text, "a", None, None), (text, None, "red", 2)]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("tags", ["x"], ("tags", "INVALID", "“x” value must be an integer.", "x")),
        ("tags", [None], ("tags", "NULL_NOT_ALLOWED", "A list cannot contain null.", "null")),
        ("tags", [[7]], ("tags", "INVALID", "A string or a number is expected here, not a list.", "[7]")),
        ("tags", False, ("tags", "INVALID", "A string or a number is expected here, not a boolean.", "false")),
        ("tags.name", [7], ("tagsBy.name", "INVALID", "A string is expected here, not a number.", "7")),
        ("tags.name", [""], ("tagsBy.name", "REQUIRED", "This field cannot be blank.", "")),
        ("tags_by", ["a"], ("tagsBy", "INVALID", "An object is expected here, not a string.", '"a"')),
        (
            "tags_by",
            [{"name": "a", "color": "red"}],
            (
                "tagsBy",
                "INVALID",
                "The fields of one key are expected here: name or color, number.",
                '{"name": "a", "color": "red"}',
            ),
        ),
        (
            "tags_by",
            [{}],
            ("tagsBy", "INVALID", "The fields of one key are expected here: name or color, number.", "{}"),
        ),
        (
            "tags_by",
            [{"nam": "a"}],
            ("tagsBy.nam", "UNKNOWN_FIELD", "The fields of its keys are name, color, number.", '"a"'),
        ),
    ],
)
def test_bad_members_are_named(columns, name, value, expected):
    text = cell(value, columns[name].accepts, columns[name].as_json)

    assert errors(columns[name], text) == [(text, *expected)]


def test_broken_json_is_no_list(columns):
    assert errors(columns["tags"], "[7") == [("[7", "tags", "INVALID", "This is not a JSON list.", "[7")]
    assert errors(columns["tags_by"], "a,b") == [("a,b", "tagsBy", "INVALID", "This is not a JSON list.", "a,b")]
    assert len(errors(columns["tags"], "[" * 100_000)) == 1


def test_half_a_surrogate_pair_is_an_error_of_its_member(columns):
    text = json.dumps([{"name": "\ud800"}])

    assert [code for _, _, code, _, _ in errors(columns["tags_by"], text)] == ["INVALID"]
    assert [one.path for one in members_in(columns["tags_by"], json.dumps([{"\ud800": 1}]))] == ["tagsBy.\\ud800"]
