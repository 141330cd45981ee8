"""Model fields and their text: the fast path and the field itself agree."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

import polars as pl
import pytest
from django.contrib.postgres.fields import ArrayField
from django.core import validators
from django.core.exceptions import ValidationError
from django.db import models
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkql.examples.ledger.models import FinancialTransaction
from bulkql.examples.places.models import City, Country
from bulkql.workers.columns.cells import MARK, cells
from bulkql.workers.columns.column import choice_names, column_for, enum_name, graphql_name
from bulkql.workers.frames import given as is_given
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.validation.values import parsed
from tests.zoo.models import Animal, even


def parse(column, texts):
    """One column's values, whether rows give them, and its errors."""
    rows, errors = parsed([column], pl.DataFrame({column.name: texts}))
    return (rows[column.name], rows[is_given(column.name)]), errors


class Flag(models.BooleanField):
    """A subclass changes nothing, and nobody can know that."""


class Moment(models.DateTimeField):
    """Another one."""


class Grumpy(models.CharField):
    def clean(self, value, model_instance):
        raise ValidationError({"x": ["Never."], "y": ["Ever."]})


class Letters(models.TextChoices):
    SMALL_B = "b", "B"
    LARGE_B = "B", "b"
    THIRD = "b_2", "third"
    NONE = "", "nothing"


UTC = dt.UTC
NOON = dt.datetime(2024, 2, 29, 12, tzinfo=UTC)

#: Fields that the zoo does not have: odd limits, odd choices, odd classes.
ODD_FIELDS = {
    "auto": models.BigAutoField(primary_key=True),
    "small": models.SmallIntegerField(),
    "positive_big": models.PositiveBigIntegerField(),
    "limited_integer": models.IntegerField(
        validators=[validators.MinValueValidator(-5), validators.MaxValueValidator(7)]
    ),
    "integer_with_a_fraction_for_limit": models.IntegerField(validators=[validators.MaxValueValidator(6.5)]),
    "integer_with_a_decimal_limit": models.IntegerField(validators=[validators.MaxValueValidator(Decimal("6.5"))]),
    "integer_with_a_huge_limit": models.IntegerField(validators=[validators.MaxValueValidator(10**30)]),
    "integer_with_a_callable_limit": models.IntegerField(validators=[validators.MaxValueValidator(lambda: 6)]),
    "integer_in_steps": models.IntegerField(validators=[validators.StepValueValidator(2)]),
    "wide_decimal": models.DecimalField(max_digits=20, decimal_places=10),
    "huge_decimal": models.DecimalField(
        max_digits=60, decimal_places=20, validators=[validators.MaxValueValidator(Decimal("1e39"))]
    ),
    "fraction": models.DecimalField(max_digits=3, decimal_places=3),
    "whole_decimal": models.DecimalField(max_digits=3, decimal_places=0),
    "decimal_from_a_cent": models.DecimalField(
        max_digits=6, decimal_places=2, validators=[validators.MinValueValidator(0.01)]
    ),
    "decimal_between": models.DecimalField(
        max_digits=6,
        decimal_places=2,
        validators=[
            validators.MinValueValidator(Decimal("-0.015")),
            validators.MaxValueValidator(Decimal("1.505")),
        ],
    ),
    "stricter_decimal": models.DecimalField(
        max_digits=6, decimal_places=2, validators=[validators.DecimalValidator(3, 1)]
    ),
    "latitude": models.FloatField(validators=[validators.MinValueValidator(-90), validators.MaxValueValidator(90.5)]),
    "float_with_a_huge_limit": models.FloatField(validators=[validators.MaxValueValidator(2**53 + 1)]),
    "blank_text": models.CharField(max_length=5, blank=True, validators=[validators.MinLengthValidator(2)]),
    "unlimited": models.CharField(),
    "url": models.URLField(blank=True),
    "past": models.DateField(validators=[validators.MaxValueValidator(dt.date(2024, 2, 29))]),
    "until_noon": models.DateTimeField(validators=[validators.MaxValueValidator(NOON)]),
    "morning": models.TimeField(validators=[validators.MaxValueValidator(dt.time(12))]),
    "flag": Flag(),
    "moment": Moment(),
    "nullable_boolean": models.BooleanField(null=True),
    "grumpy": Grumpy(),
    "list": ArrayField(models.IntegerField()),
    "letter": models.CharField(max_length=3, choices=Letters, blank=True),
    "grade": models.IntegerField(choices=[("School", [(1, "one"), (2, "two")]), (None, "none"), ("", "nothing")]),
    "price": models.DecimalField(max_digits=4, decimal_places=2, choices=[(Decimal("1.50"), "low"), (Decimal(2), "x")]),
    "day": models.DateField(choices=[(dt.date(2024, 2, 29), "leap day")]),
    "which": models.UUIDField(choices=[(uuid.UUID(int=1), "one")]),
    "answer": models.BooleanField(choices=[(True, "yes"), (False, "no")]),
    "float_choice": models.FloatField(choices=[(0.5, "half")]),
    "odd_choice": models.IntegerField(choices=[(1, "one"), (2, "two")], validators=[even]),
}
for name, field in ODD_FIELDS.items():
    field.set_attributes_from_name(name)

FIELDS = {
    **ODD_FIELDS,
    **{f"animal.{column.name}": column.field for column in resource_named("animals").columns.values()},
    **{
        f"{model.__name__.lower()}.{field.name}": field
        for model in (FinancialTransaction, City, Country)
        for field in model._meta.concrete_fields
    },
}

TEXTS = [
    "", " ", "a", "ab", "abc", "ÄÖÜẞ😀", "x" * 10, "x" * 11, "x" * 300, "AB-12", "ab-12", "a b", "a\nb", '"',
    "a\0b", "\\", "null", "None", "NULL", "NaN", "nan", "inf", "-Infinity", "infinity", "true", "True", "TRUE",
    "t", "T", "false", "False", "FALSE", "f", "yes", "no", "on", "0", "1", "2", "-1", "-0", "+1", "7", "8",
    "007", " 1", "1 ", "1_0", "٣", "１", "0x10", "1e2", "1E2", "1,5", "--1", "+", "-", "32767", "32768",
    "-32768", "2147483647", "2147483648", "-2147483649", "9223372036854775807", "9223372036854775808",
    "-9223372036854775808", "-9223372036854775809", "9" * 30, "9" * 5000, "1.0", "7.00", "-1.0", "1.", ".5",
    "0.5", "-.5", "1.5", "1.50", "1.505", "1.51", "6.5", "0.01", "0.00", "-0.01", "-0.02", "0.001", "0.999",
    "1.001", "123.4", "1234.56", "12345.67", "1234.567", "-1234.56", "0001.5", "+1.5", "1.5e0",
    "9999999999.9999999999", "99999999999.9", "1" * 40, "1" * 40 + "." + "1" * 20, "1" * 41, "90", "90.5",
    "90.50001", "-91", "9007199254740992", "9007199254740993", "1e400", "1e-400", "0.1", "0.30000000000000004",
    "1.7976931348623157e308", "2.2250738585072014e-308", "5e-324", "٣.٥", "0e999", "1e999999", "2024-02-29",
    "2024-03-01", "2023-02-29", "2024-2-9", "0000-01-01", "0001-01-01", "9999-12-31", "10000-01-01", "20240229",
    "2024-W09-4", "٢٠٢٤-٠٢-٢٩", "2024-02-29 ", "29.02.2024", "2024-02-30", "2024-13-01", "2024-00-10",
    "10:11:12", "10:11", "24:00:00", "23:59:59", "23:59:60", "10:11:12.5", "10:11:12.1234567", "12:00:00",
    "12:00:01", "1:2:3", "10:11:12+02:00", "101112", "٠١:٠٢:٠٣", "2024-02-29T12:00:00Z", "2024-02-29T12:00:01Z",
    "2024-02-29T12:00:00", "2024-02-29 12:00:00", "2024-02-29 12:00:00Z", "2024-02-29T12:00:00+00:00",
    "2024-02-29T14:00:00+02:00", "2024-02-29T14:00:01+02:00", "2024-02-29T12:00:00.5Z",
    "2024-02-29T11:59:59.999999Z", "2024-02-29T12:00:00.000001+00:00", "2024-02-29T12:00:00.1234567Z",
    "2024-02-29T12:00Z", "2024-02-29T12:00:00-00:00", "2024-02-29T12:00:00+14:00", "2024-02-29T12:00:00+23:59",
    "2024-02-29T12:00:00+24:00", "2024-02-29T12:00:00+14:60", "2024-02-29T12:00:00+14:99",
    "2024-02-29T12:00:00+02", "2024-02-29T12:00:00+0200", "2024-02-29t12:00:00z", "2023-02-29T12:00:00Z",
    "2024-02-29T24:00:00Z", "2024-02-29T23:59:60Z", "2016-12-31T23:59:60+00:00", "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-05:00",
    "9999-12-31T23:59:59.999999+00:00", "٢٠٢٤-٠٢-٢٩T12:00:00Z", "2024-02-29T12:00:00 Z", "1709208000",
    "12345678-1234-5678-1234-567812345678", "12345678-ABCD-5678-1234-567812345678",
    "{12345678-1234-5678-1234-567812345678}", "12345678123456781234567812345678",
    "12345678-1234-5678-1234-56781234567", "00000000-0000-0000-0000-000000000001", "a@b.org", "a@b",
    "https://example.org/", "javascript:x", "1.2.3.4", "::1", "0:0:0:0:0:0:0:1", "1.2.3", "AAEC", "AAE", "é==",
    "1 02:03:04", "P1DT2H", "-P1D", "99999999999999999", "999999999 days", "{}", "[]", "[1, 2]", '["a"]',
    '{"a": [1, null]}', "[NaN]", "1e999", '"\\u0000"', '"\\\\u0000"', '"\\ud800"', "[" * 5000, "{'a': 1}", "AF",
    "af", "AFRICA", "SMALL", "LARGE", "ONE", "TWO", "LOW", "X", "LEAP_DAY", "YES", "NO", "HALF", "B", "b",
    "B_1", "B_2", "b_2", "B_2_2",
]  # fmt: skip


@pytest.fixture(params=FIELDS)
def column(request):
    return column_for(FIELDS[request.param])


def fast(column, texts):
    """What the fast paths alone make of texts, each by itself."""
    frame = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)})
    return [
        (text, value)
        for parse in column.parse
        for text, value in zip(texts, column.python(values_of(column, parse, frame)), strict=True)
        if value is not None
    ]


def values_of(column, parse, frame):
    return frame.select(parse(pl.col("text")).cast(column.dtype)).to_series()


def slow(column, text):
    """What the field itself makes of a text: a value, or the exception's class."""
    try:
        return column.clean(text)
    except ValidationError:
        return ValidationError


def assert_paths_agree(column, texts):
    taken = fast(column, texts)
    assert taken == [(text, slow(column, text)) for text, _ in taken]


def test_fast_paths_and_field_agree(column):
    assert_paths_agree(column, TEXTS)


def test_no_fast_path_takes_a_marked_cell(column):
    assert fast(column, [f"{MARK}{text}" for text in TEXTS]) == []


def test_every_text_has_a_value_or_an_error_and_never_an_exception(column):
    given_cells = pl.Series(TEXTS, dtype=pl.String)

    (values, given_rows), errors = parse(column, given_cells)

    verdicts = [slow(column, text) for text in TEXTS]
    failed = [index for index, verdict in enumerate(verdicts) if verdict is ValidationError]
    assert given_rows.all()
    assert errors["__row"].unique(maintain_order=True).to_list() == failed
    assert values.dtype == column.dtype
    expected = [None if verdict is ValidationError else verdict for verdict in verdicts]
    assert list(map(plain, column.python(values))) == list(map(plain, expected))


def plain(value):
    """A value that is equal to its equals, which memoryviews of two buffers are not everywhere."""
    return bytes(value) if isinstance(value, memoryview) else value


#: Texts that are almost what a field wants, where mistakes are likely.
NEARLY = {
    "animal.big": r"[+-]?[0-9]{1,20}(\.[0-9]{0,3})?",
    "limited_integer": r"[+-]?[0-9]{1,2}(\.0{0,2})?",
    "animal.decimal": r"[+-]?[0-9]{0,6}(\.[0-9]{0,4})?(e[0-9])?",
    "decimal_from_a_cent": r"[+-]?0?(\.0[0-9]{0,3})?",
    "decimal_between": r"-?[01](\.[0-5]{0,3})?",
    "fraction": r"[+-]?[01]?(\.[0-9]{0,4})?",
    "huge_decimal": r"-?[19]{30,45}(\.[0-9]{0,25})?",
    "animal.number": r"[+-]?[0-9]{0,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?",
    "animal.date": r"[0-9]{3,5}-[0-3]?[0-9]-[0-9]{1,2}",
    "animal.time": r"[0-2]?[0-9]:[0-6][0-9](:[0-6][0-9])?(\.[0-9]{0,8})?",
    "animal.datetime": r"[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,8})?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})?",
    "animal.token": r"\{?[0-9a-fA-F]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\}?",
    "animal.char": r".{0,12}",
}


@pytest.mark.parametrize("name", NEARLY)
@settings(max_examples=15, deadline=None, database=None)
@given(data=st.data())
def test_paths_agree_on_texts_that_are_nearly_right(name, data):
    texts = data.draw(st.lists(st.from_regex(NEARLY[name], fullmatch=True), min_size=20, max_size=60))

    assert_paths_agree(column_for(FIELDS[name]), texts)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("animal.big", "7", 7),
        ("animal.big", "7.0", 7),
        ("animal.boolean", "true", True),
        ("animal.char", "ÄÖ", "ÄÖ"),
        ("animal.date", "2024-02-29", dt.date(2024, 2, 29)),
        ("animal.datetime", "2024-02-29T12:00:00Z", NOON),
        ("animal.datetime", "2024-02-29T14:00:00.000000+02:00", NOON),
        ("animal.decimal", "1.50", Decimal("1.50")),
        ("decimal_from_a_cent", "0.02", Decimal("0.02")),
        ("animal.number", "-1.5e3", -1500.0),
        ("animal.time", "10:11:12", dt.time(10, 11, 12)),
        ("animal.token", "12345678-ABCD-5678-1234-567812345678", uuid.UUID("12345678-abcd-5678-1234-567812345678")),
        ("animal.text", "text", "text"),
        ("animal.keeper", "code", "code"),
        ("animal.size", "LARGE", 2),
        ("animal.size", "2", 2),
        ("country.continent", "AF", "AF"),
        ("price", "LOW", Decimal("1.50")),
        ("city.latitude", "47.14", 47.14),
        ("financialtransaction.financial_account", "12", 12),
    ],
)
def test_usual_texts_take_a_fast_path(name, text, value):
    column = column_for(FIELDS[name])

    if name == "animal.keeper":  # a slug, whose pattern only Python knows
        assert column.parse == ()
    else:
        assert set(fast(column, [text])) == {(text, value)}


@pytest.mark.parametrize(
    ("name", "text", "messages"),
    [
        ("animal.big", "x", ["“x” value must be an integer."]),
        ("animal.char", "x", ["Ensure this value has at least 2 characters (it has 1)."]),
        ("animal.char", "x" * 11, ["Ensure this value has at most 10 characters (it has 11)."]),
        ("animal.text", "a\0b", ["Null characters are not allowed."]),
        ("animal.number", "nan", ["A finite number is expected here."]),
        ("animal.integer", "3", ["3 is not even."]),
        ("animal.binary", "AAE", ["This value cannot be read."]),
        ("animal.duration", "99999999999999999", ["This value cannot be read."]),
        ("animal.datetime", "9999-12-31T23:59:59-05:00", ["This value cannot be read."]),
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


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("animal.big", "12", 12),
        ("animal.big", 12, 12),
        ("animal.integer", 4.0, 4),
        ("animal.decimal", 1.5, Decimal("1.5")),
        ("animal.size", 2, 2),
        ("animal.size", "LARGE", 2),
        ("animal.json", "text", "text"),
        ("animal.json", "\\u0000", "\\u0000"),
        ("animal.json", [1.5, None, {"a": "b"}], [1.5, None, {"a": "b"}]),
        ("financialtransaction.financial_account", 12, 12),
        ("financialtransaction.financial_account", "12", 12),
        ("flag", True, True),
        ("list", [1, 2], [1, 2]),
        ("animal.duration", "P1D", dt.timedelta(days=1)),
        ("animal.address", "0:0:0:0:0:0:0:1", "::1"),
    ],
)
def test_json_values_reach_the_model(name, value, expected):
    column = column_for(FIELDS[name])

    (values, _), errors = parse(column, cells([value], column.accepts, as_json=column.as_json))

    assert errors.is_empty()
    assert column.python(values) == [expected]


def test_naive_moments_are_of_the_current_time_zone(settings):
    settings.TIME_ZONE = "Europe/Vaduz"

    for name in ("animal.datetime", "moment"):
        column = column_for(FIELDS[name])
        (values, _), _ = parse(column, pl.Series(["2024-07-01 12:00"]))
        assert column.python(values) == [dt.datetime(2024, 7, 1, 10, tzinfo=UTC)]


def test_equal_values_are_the_same_where_they_are_compared():
    def compared(name, texts):
        column = column_for(FIELDS[name])
        return column.comparable(parse(column, pl.Series(texts))[0][0]).n_unique()

    assert compared("animal.decimal", ["1.5", "1.50", "+1.5", "01.5", "15e-1"]) == 1
    assert compared("animal.address", ["::1", "0:0:0:0:0:0:0:1", "0::1"]) == 1
    assert compared("animal.shout", [" hey", "HEY ", "hey"]) == 1
    assert compared("animal.big", ["7", "7.0", "+7", "007"]) == 1
    assert compared("animal.token", ["12345678-ABCD-5678-1234-567812345678", "12345678abcd56781234567812345678"]) == 1
    assert compared("animal.datetime", ["2024-02-29T12:00:00Z", "2024-02-29 14:00:00+02:00", "2024-02-29T12:00"]) == 1
    assert compared("animal.char", ["ab", "AB"]) == 2


def test_a_created_row_owes_what_nobody_else_gives():
    animal = {field.name: column_for(field).is_required for field in Animal._meta.concrete_fields}

    assert [name for name, is_required in animal.items() if is_required] == ["char"]
    assert column_for(FIELDS["auto"]).is_required is False
    assert column_for(FIELDS["small"]).is_required is True
    assert column_for(FIELDS["nullable_boolean"]).is_required is False
    assert column_for(FIELDS["blank_text"]).is_required is False
    assert [column_for(field).is_required for field in FinancialTransaction._meta.concrete_fields] == [
        False, True, True, True, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("name", "name"),
        ("financial_account", "financialAccount"),
        ("area_km2", "areaKm2"),
        ("a_1", "a1"),
        ("iPhone_model", "iPhoneModel"),
    ],
)
def test_names_are_in_camel_case(name, expected):
    assert graphql_name(name) == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [("north america", "NORTH_AMERICA"), ("a-b", "A_B"), ("1", None), ("é", None), ("true", None), ("Null", None)],
)
def test_enum_names_are_upper_snake_or_none(text, name):
    assert enum_name(text) == name


def test_choices_are_named_by_their_values_or_else_their_labels_and_each_once():
    field = models.CharField(
        choices=[("1", "First!"), ("true", "-"), ("b", "x"), ("B", "y"), ("b_3", "z"), ("b-3", "")]
    )

    assert choice_names(field) == {
        "FIRST": "1",
        "CHOICE_1": "true",
        "B": "b",
        "B_3": "B",
        "B_3_4": "b_3",
        "B_3_5": "b-3",
    }
    assert choice_names(ODD_FIELDS["letter"]) == {"B": "b", "B_1": "B", "B_2": "b_2"}


def test_an_enum_name_means_its_choice_also_where_another_choice_is_written_so():
    column = column_for(ODD_FIELDS["letter"])

    assert fast(column, ["B", "b", "B_1", "", "c"]) == [("B", "b"), ("b", "b"), ("B_1", "B"), ("", "")]


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
