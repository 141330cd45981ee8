"""A field's own rules and messages count, whatever its code raises."""

from __future__ import annotations

import polars as pl
import pytest
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.dateparse import parse_duration

from bulkql.workers.columns.cells import cells
from bulkql.workers.columns.column import column_for
from tests.unit.workers.columns.samples import FIELDS, parse


@pytest.mark.parametrize(
    ("name", "text", "messages"),
    [
        ("animal.big", "x", ["“x” value must be an integer."]),
        ("animal.char", "x", ["Ensure this value has at least 2 characters (it has 1)."]),
        ("animal.char", "x" * 11, ["Ensure this value has at most 10 characters (it has 11)."]),
        ("animal.text", "a\0b", ["Null characters are not allowed."]),
        ("animal.number", "nan", ["A finite number is expected here."]),
        ("animal.integer", "3", ["3 is not even."]),
        ("animal.binary", "AAE", ["This value cannot be read; base64 is expected here."]),
        ("animal.duration", "99999999999999999", ["This value is out of range."]),
        ("animal.duration", "P1DT0.0000001S", [
            "“P1DT0.0000001S” is finer than a microsecond, and would be rounded; send at most six digits of a fraction."
        ]),
        ("animal.duration", "PT300000000.1M", [
            "“PT300000000.1M” has too many digits for a duration in this form; write “208333 08:00:06”."
        ]),
        ("animal.duration", "-PT9999999999.123456S", [
            "“-PT9999999999.123456S” has too many digits for a duration in this form; write “-115741 06:13:20.876544”."
        ]),
        ("animal.datetime", "9999-12-31T23:59:59-05:00", ["This value is out of range."]),
        ("list", "1, 2", ['This value cannot be read; a JSON list is expected here, such as ["a", "b"].']),
        ("animal.json", "{", [
            "This is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)."
        ]),
        ("animal.json", "[NaN]", ["This is not JSON: NaN is not a JSON value."]),
        ("animal.json", '"\\u0000"', ["Null characters are not allowed."]),
        ("animal.size", "3", ["Value 3 is not a valid choice."]),
    ],
)  # fmt: skip
def test_the_fields_own_messages_count(name, text, messages):
    with pytest.raises(ValidationError) as caught:
        column_for(FIELDS[name]).clean(text)

    assert caught.value.messages == messages


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("animal.char", 5, "A string is expected here, not a number."),
        ("animal.date", True, "A string is expected here, not a boolean."),
        ("animal.integer", "5", "A number is expected here, not a string."),
        ("animal.boolean", "true", "A boolean is expected here, not a string."),
        ("animal.boolean", 1, "A boolean is expected here, not a number."),
        ("animal.decimal", [1], "A string or a number is expected here, not a list."),
        ("animal.size", {}, "One of SMALL, LARGE is expected here, not an object."),
        ("animal.char", "\0a", "A string is expected here, not text that begins with a null character."),
        ("animal.char", "\ud800", "A string is expected here, not text with half a surrogate pair."),
    ],
)
def test_json_of_another_kind_is_named(name, value, message):
    column = column_for(FIELDS[name])

    (cell,) = cells([value], column.accepts, as_json=column.as_json)

    with pytest.raises(ValidationError) as caught:
        column.clean(cell)
    assert caught.value.messages == [message]


@pytest.mark.parametrize("text", ["208333 08:00:06", "-115741 06:13:20.876544", "PT0.1H", "-P1DT2H0.5S"])
def test_a_duration_is_what_its_text_says(text):
    column = column_for(FIELDS["animal.duration"])

    assert column.clean(text) == parse_duration(text)


class Brittle(models.CharField):
    """Its code raises whatever it likes."""

    def to_python(self, value):
        if value == "gone":
            raise FileNotFoundError(value)
        return value

    def get_prep_value(self, value):
        return {"x": 1}[value] if value == "lost" else value or None


def test_whatever_a_field_raises_is_an_error_of_that_value_alone(caplog):
    column = column_for(field_of_name(Brittle(max_length=10, blank=True)))

    (values, _), errors = parse(column, ["good", "gone", "lost"])

    assert values.to_list() == ["good", None, None]
    assert errors.select("__row", "code").rows() == [(1, "INVALID"), (2, "INVALID")]
    assert "FileNotFoundError" in caplog.text
    assert "gone" not in caplog.text


def test_text_of_which_a_field_makes_null_is_equal_to_no_other():
    column = column_for(field_of_name(Brittle(max_length=10, blank=True)))

    assert column.comparable(pl.Series(["a", "", "a"])).to_list() == ["a", None, "a"]


def field_of_name(field):
    field.set_attributes_from_name("brittle")
    return field
