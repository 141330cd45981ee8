"""Raw frames as typed columns and row errors."""

from __future__ import annotations

import datetime as dt
import json

import polars as pl
import pytest

from bulkql.workers.columns.cells import MARK, NULL
from bulkql.workers.frames import ERRORS, INTAKE_ERRORS, RESERVED_PK, SUPERSEDED_BY, SUPERSEDED_KEY
from bulkql.workers.readers.objects import raw_frame
from bulkql.workers.resources.registry import BulkResource, resource_named
from bulkql.workers.validation.values import Validated, no_errors, validate, without
from tests.plans import creating
from tests.zoo.models import Animal, Keeper


class Few(BulkResource):
    """Columns enough to see each kind of error."""

    fields = ("char", "big", "date", "keeper")


@pytest.fixture
def few():
    return Few(Animal)


def errors_of(validated):
    """Index, path, code, message and data of each row error."""
    return validated.errors.select(list(ERRORS)).sort("__row", "path", maintain_order=True).rows()


def test_good_rows_become_typed_columns(few):
    raw = raw_frame(creating(few), [{"char": "ab", "big": 7, "date": "2024-02-29", "keeper": None}, {"char": "cd"}])

    validated = validate(creating(few), raw)

    assert validated.errors.is_empty()
    assert validated.rows.to_dicts() == [
        {
            "__row": 0, "char": "ab", "given:char": True, "big": 7, "given:big": True,
            "date": dt.date(2024, 2, 29), "given:date": True, "keeper": None, "given:keeper": True,
        },
        {
            "__row": 1, "char": "cd", "given:char": True, "big": None, "given:big": False,
            "date": None, "given:date": False, "keeper": None, "given:keeper": False,
        },
    ]  # fmt: skip
    assert dict(validated.rows.schema) == {
        "__row": pl.Int64, "char": pl.String, "given:char": pl.Boolean, "big": pl.Int64, "given:big": pl.Boolean,
        "date": pl.Date, "given:date": pl.Boolean, "keeper": pl.String, "given:keeper": pl.Boolean,
    }  # fmt: skip


def test_each_bad_row_is_named_and_its_neighbours_stay(few):
    rows = [
        {"char": "ab"},
        {"big": 1},
        {"char": None},
        {"char": "x" * 11, "big": "many", "date": "soon"},
        {"char": "cd", "big": 2**70},
        {"char": 5},
        {"char": "ef"},
    ]

    validated = validate(creating(few), raw_frame(creating(few), rows))

    assert validated.rows["__row"].to_list() == [0, 6]
    assert errors_of(validated) == [
        (1, "char", "REQUIRED", "This field is required.", None),
        (2, "char", "NULL_NOT_ALLOWED", "This field cannot be null.", "null"),
        (3, "big", "INVALID", "“many” value must be an integer.", "many"),
        (3, "char", "TOO_LONG", "Ensure this value has at most 10 characters (it has 11).", "x" * 11),
        (
            3, "date", "INVALID",
            "“soon” value has an invalid date format. It must be in YYYY-MM-DD format.", "soon",
        ),
        (
            4, "big", "OUT_OF_RANGE",
            "Ensure this value is less than or equal to 9223372036854775807.", str(2**70),
        ),
        (5, "char", "INVALID", "A string is expected here, not a number.", "5"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("char", "", "REQUIRED"),
        ("char", "x" * 11, "TOO_LONG"),
        ("char", "x", "INVALID"),
        ("positive", "-1", "OUT_OF_RANGE"),
        ("positive", "32768", "OUT_OF_RANGE"),
        ("decimal", "12345.67", "OUT_OF_RANGE"),
        ("decimal", "1.234", "OUT_OF_RANGE"),
        ("decimal", "-1", "OUT_OF_RANGE"),
        ("decimal", "NaN", "INVALID"),
        ("size", "3", "NOT_A_CHOICE"),
        ("integer", "3", "INVALID"),
        ("number", "inf", "INVALID"),
        ("json", "{", "INVALID"),
        ("binary", "AAE", "INVALID"),
        ("text", "a\0b", "INVALID"),
    ],
)
def test_django_codes_become_codes_of_row_errors(name, text, code):
    raw = pl.DataFrame({"char": ["ab"]}).with_columns(pl.Series(name, [text]))

    validated = validate(creating(resource_named("animals")), raw)

    assert [(path, found, data) for _, path, found, _, data in errors_of(validated)] == [(name, code, text)]


def test_a_value_may_have_several_errors():
    raw = pl.DataFrame({"char": ["ab", "cd"], "decimal": ["-12345.678", None]})

    validated = validate(creating(resource_named("animals")), raw)

    assert [(index, code, message) for index, _, code, message, _ in errors_of(validated)] == [
        (0, "OUT_OF_RANGE", "Ensure this value is greater than or equal to 0."),
        (0, "OUT_OF_RANGE", "Ensure that there are no more than 6 digits in total."),
    ]


def test_the_same_bad_text_is_named_in_every_row(few):
    raw = pl.DataFrame({"char": ["ab"] * 5, "big": ["x", "1", "x", "y", "x"]})

    validated = validate(creating(few), raw)

    assert [(index, data) for index, _, _, _, data in errors_of(validated)] == [(0, "x"), (2, "x"), (3, "y"), (4, "x")]
    assert validated.rows.select("__row", "big").rows() == [(1, 1)]


def test_slow_values_land_in_their_own_rows(few):
    raw = pl.DataFrame(
        {"char": ["ab"] * 5, "big": ["1", " 2", None, "3", "1_0"], "date": ["20240229", None] * 2 + [NULL]}
    )

    validated = validate(creating(few), raw)

    assert validated.errors.is_empty()
    assert validated.rows["big"].to_list() == [1, 2, None, 3, 10]
    assert validated.rows["date"].to_list() == [dt.date(2024, 2, 29), None, dt.date(2024, 2, 29), None, None]
    assert validated.rows["given:date"].to_list() == [True, False, True, False, True]


def test_a_column_that_no_row_gives_is_missing_in_all(few):
    validated = validate(creating(few), pl.DataFrame({"big": ["1", "2"]}))

    assert [(index, path, code) for index, path, code, _, _ in errors_of(validated)] == [
        (0, "char", "REQUIRED"),
        (1, "char", "REQUIRED"),
    ]
    assert validated.rows.is_empty()


def test_errors_of_the_reader_are_row_errors(few):
    found = json.dumps([["colour", "UNKNOWN_FIELD", "There is no colour.", '"red"']])
    raw = pl.DataFrame({"char": ["ab", "cd", "ef"], INTAKE_ERRORS: [None, found, None]})

    validated = validate(creating(few), raw)

    assert errors_of(validated) == [(1, "colour", "UNKNOWN_FIELD", "There is no colour.", '"red"')]
    assert validated.rows["__row"].to_list() == [0, 2]


def test_a_row_that_could_not_be_read_has_that_one_error(few):
    validated = validate(creating(few), raw_frame(creating(few), [{"char": "ab"}, [1], {}]))

    assert errors_of(validated) == [
        (1, None, "INVALID", "A row is an object of fields and values.", "[1]"),
        (2, "char", "REQUIRED", "This field is required.", None),
    ]


def test_a_superseded_row_says_by_which_row_and_key(few):
    raw = pl.DataFrame(
        {
            "char": ["ab", "cd", "ef"],
            SUPERSEDED_BY: [4711, None, 12],
            SUPERSEDED_KEY: ["token", None, "keeper, bornAt"],
        }
    )

    validated = validate(creating(few), raw)

    assert errors_of(validated) == [
        (0, "token", "DUPLICATE_IN_REQUEST", "Row 4711 of this request has the same token; the last one counts.", None),
        (
            2, None, "DUPLICATE_IN_REQUEST",
            "Row 12 of this request has the same keeper, bornAt; the last one counts.", None,
        ),
    ]  # fmt: skip
    assert validated.rows["__row"].to_list() == [1]


def test_reserved_keys_stay_with_their_rows():
    class Keepers(BulkResource):
        fields = ("code",)

    raw = pl.DataFrame({"code": ["a", "no slug", "c"], RESERVED_PK: [10, 11, 12]})

    validated = validate(creating(Keepers(Keeper)), raw)

    assert validated.rows.select("__row", "code", RESERVED_PK).rows() == [(0, "a", 10), (2, "c", 12)]


def test_a_marked_cell_is_shown_without_its_mark(few):
    validated = validate(creating(few), pl.DataFrame({"char": [f"{MARK}[1, 2]"]}))

    assert errors_of(validated) == [(0, "char", "INVALID", "A string is expected here, not a list.", "[1, 2]")]


def test_rows_leave_together_with_their_errors(few):
    validated = validate(creating(few), pl.DataFrame({"char": ["ab", "cd", "ef"]}))
    found = pl.DataFrame(
        [(1, None, "CONSTRAINT", "No.", None), (1, "big", "INVALID", "No.", "x")], ERRORS, orient="row"
    )

    left = without(validated, found)

    assert left.rows["__row"].to_list() == [0, 2]
    assert left.errors.rows() == found.rows()
    assert without(left, no_errors()) is left
    assert isinstance(left, Validated)
