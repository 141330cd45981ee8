"""JSON values as text cells."""

from __future__ import annotations

import json

import pytest

from bulkql.workers.columns.cells import MARK, NULL, ExactFloat, cells, kind_of, shown

STRINGS = frozenset({str})
NUMBERS = frozenset({int, float})
ANYTHING = frozenset({str, int, float, bool, list, dict})


def test_strings_stay_as_they_are():
    assert cells(["a", "", " b\n", "ü"], STRINGS).to_list() == ["a", "", " b\n", "ü"]


def test_missing_and_null_are_two_things():
    assert cells([..., None, "null"], STRINGS).to_list() == [None, NULL, "null"]


def test_numbers_keep_their_digits():
    values = [7, 7.0, -0.5, ExactFloat("1234567890123456.78"), ExactFloat("1e3"), 2**70]

    assert cells(values, NUMBERS).to_list() == [
        "7",
        "7.0",
        "-0.5",
        "1234567890123456.78",
        "1e3",
        "1180591620717411303424",
    ]


def test_booleans_are_json():
    assert cells([True, False], frozenset({bool})).to_list() == ["true", "false"]


def test_a_boolean_is_no_number():
    assert cells([True], NUMBERS).to_list() == [f"{MARK}true"]


def test_values_of_a_wrong_kind_are_marked():
    assert cells([1, 1.5, True, [1], {"a": None}], STRINGS).to_list() == [
        f"{MARK}1",
        f"{MARK}1.5",
        f"{MARK}true",
        f"{MARK}[1]",
        f'{MARK}{{"a": null}}',
    ]


def test_lists_and_objects_are_json_where_they_are_accepted():
    assert cells([[1, "a", None], {"a": True}], ANYTHING).to_list() == ['[1, "a", null]', '{"a": true}']


def test_json_fields_take_every_value_as_json():
    assert cells(["a", 1, [None], {"a": 1}, ..., None], ANYTHING, as_json=True).to_list() == [
        '"a"',
        "1",
        "[null]",
        '{"a": 1}',
        None,
        NULL,
    ]


@pytest.mark.parametrize("others", [[], [None]])
def test_a_string_cannot_pass_for_a_mark(others):
    found = cells(["\0null", "a\0b", *others], STRINGS).to_list()

    assert found[:2] == [MARK + json.dumps("\0null"), "a\0b"]


@pytest.mark.parametrize("others", [[], [None]])
def test_half_a_surrogate_pair_is_marked(others):
    found = cells(["a\ud800", "b", *others], STRINGS).to_list()

    assert found[:2] == [MARK + '"a\\ud800"', "b"]


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        (f"{MARK}true", "a boolean"),
        (f"{MARK}1", "a number"),
        (f"{MARK}1.5", "a number"),
        (f"{MARK}[1]", "a list"),
        (f"{MARK}{{}}", "an object"),
        (f'{MARK}"5"', "a string"),
        (MARK + '"\\u0000a"', "text that begins with a null character"),
        (f'{MARK}"{MARK}a"', "text that begins with a null character"),
        (MARK + '"\\ud800"', "text with half a surrogate pair"),
    ],
)
def test_a_marked_cell_tells_its_kind(cell, kind):
    assert kind_of(cell) == kind


def test_a_cell_is_shown_without_its_mark():
    assert (shown(f"{MARK}[1]"), shown("[1]")) == ("[1]", "[1]")


def test_an_exact_float_is_a_float_in_all_else():
    number = ExactFloat("0.10")

    assert (number, number.text, json.dumps(number)) == (0.1, "0.10", "0.1")
