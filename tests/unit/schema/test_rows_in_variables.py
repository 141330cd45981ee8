"""Variables that stand in rows, and those that hold them."""

from __future__ import annotations

import pytest

from bulkql.schema.rows.variables import strip_input
from tests.unit.schema.answering import execute, refusal, rows_of

TWO = """
    mutation First($name: String!) { ...CreateFirst }
    mutation Second($name: String!) { ...CreateSecond renamed: rename(name: "x") }
    mutation Third($name: String!) { rename(name: $name) }
    fragment CreateFirst on Mutation { bulkCreate(input: {cats: {rows: [{name: $name, size: 1}]}}) { rows } }
    fragment CreateSecond on Mutation { bulkCreate(input: {cats: {rows: [{name: $name, size: 2}]}}) { rows } }
"""


def test_each_of_several_operations_has_its_own_rows():
    variables = {"name": 5}

    first = execute(TWO, variables, operation_name="First")
    second = execute(TWO, variables, operation_name="Second")

    assert first["bulkCreate"]["rows"] == {"cats": [{"name": 5, "size": 1}]}
    assert second["bulkCreate"]["rows"] == {"cats": [{"name": 5, "size": 2}]}
    assert execute(TWO, {"name": "x"}, operation_name="Third") == {"rename": "x"}


def test_a_variable_that_stood_in_rows_only_is_no_unused_one():
    query = """mutation ($name: String, $mode: String!, $also: String!) {
        bulkCreate(input: {cats: {rows: [{name: $name}, {name: $also}]}}, mode: $mode) { rows mode }
        rename(name: $also)
    }"""

    data = execute(query, {"name": "a", "mode": "SYNC", "also": "b"})

    assert data == {"bulkCreate": {"rows": {"cats": [{"name": "a"}, {"name": "b"}]}, "mode": "SYNC"}, "rename": "b"}


def test_a_variable_that_nobody_uses_is_refused_as_ever():
    query = 'mutation ($unused: Int) { bulkCreate(input: {cats: {rows: [{name: "a"}]}}) { rows } }'

    assert refusal(query) == ["Variable '$unused' is never used."]


def test_a_variable_that_nobody_defines_is_refused_as_ever():
    query = "mutation { bulkCreate(input: {cats: {rows: [{name: $name}]}}) { rows } }"

    assert refusal(query, {"name": "a"}) == ["Variable '$name' is not defined."]


def test_a_variable_that_is_not_given_takes_its_default_or_leaves_its_field_out():
    query = """mutation ($a: String, $b: String = "b", $c: String = null, $d: [String] = ["d"]) {
        bulkCreate(input: {cats: {rows: [{name: $a, size: 1}, {name: $b}, {name: $c}, {tags: $d}, {tags: [$a, $b]}]}}) {
            rows
        }
    }"""

    assert rows_of(query) == {
        "cats": [{"size": 1}, {"name": "b"}, {"name": None}, {"tags": ["d"]}, {"tags": [None, "b"]}]
    }


def test_what_is_given_goes_before_a_default():
    query = 'mutation ($rows: [Row!] = [{name: "a"}]) { bulkCreate(input: {cats: {rows: $rows}}) { rows } }'

    assert rows_of(query, {"rows": [{"name": "b"}]}) == {"cats": [{"name": "b"}]}
    assert rows_of(query, {"rows": None}) == {}


@pytest.mark.parametrize(
    ("value", "stripped", "rows"),
    [
        (
            {"cats": {"rows": [1]}, "dogs": {"file": {}}},
            {"cats": {"rows": []}, "dogs": {"file": {}}},
            {"cats": {"rows": [1]}},
        ),
        (
            {"cats": {"ids": ["1"], "keys": [{"a": 1}], "where": {"ids": [2]}}},
            {"cats": {"ids": [], "keys": [], "where": {"ids": [2]}}},
            {"cats": {"ids": ["1"], "keys": [{"a": 1}]}},
        ),
        ({"cats": {"rows": None}}, {"cats": {"rows": None}}, {}),
        ({"cats": 5, "dogs": [1]}, {"cats": 5, "dogs": [1]}, {}),
        ("text", "text", {}),
        (None, None, {}),
    ],
)
def test_a_variable_of_any_shape_is_stripped_of_rows_only(value, stripped, rows):
    assert strip_input(value) == (stripped, rows)
