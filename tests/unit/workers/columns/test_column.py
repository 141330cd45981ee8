"""Model fields and their text: the fast path and the field itself agree."""

from __future__ import annotations

import datetime as dt
import re
import uuid
import warnings
from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
from django.core import validators
from django.core.exceptions import ValidationError
from django.db import models
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkql.examples.ledger.models import FinancialTransaction
from bulkql.workers.columns.cells import MARK, cells
from bulkql.workers.columns.column import column_for, graphql_name
from tests.unit.workers.columns.samples import FIELDS, NOON, TEXTS, UTC, fast, parse
from tests.zoo.models import Animal


@pytest.fixture(params=FIELDS)
def column(request):
    return column_for(FIELDS[request.param])


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
    "animal.json": r'[{\[]?("[a-cé\\ue0]{0,3}": ?)?(-?0?[1-9.]{0,3}([eE]-?9{1,3})?|true|null|NaN|""|\{\})[}\]]?',
    "animal.address": r"([0-9]{1,3}\.){3}[0-9]{1,3}|[0-9a-f:]{2,8}",
    "email": r"[a-zA-Z.+_é-]{1,5}@([a-z-]{1,4}\.){0,2}[a-z]{1,3}",
    "url": r"(https?|ftp)://([a-z-]{1,4}\.){0,2}[a-z]{1,3}\.?(:[0-9]{0,6})?([/?#][!-~é ]{0,5})?",
    "slug": r"[a-zA-Z0-9_ é-]{0,6}",
    "code": r"[A-Za-z]{2}-?[0-9]{1,5}\n?",
    "part": r"(a|b[a-c\n]){0,3}[ x\nz]?",
    "any_case": r"[aAbBcK-]{1,4}",
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
        ("animal.datetime", "2024-02-29 12:00:00+00", NOON),
        ("animal.datetime", "2024-02-29 12:00:00", NOON),
        ("animal.datetime", "2024-02-29T12:00", NOON),
        ("animal.time", "10:11:12.5", dt.time(10, 11, 12, 500_000)),
        ("animal.token", "12345678-ABCD-5678-1234-567812345678", uuid.UUID("12345678-abcd-5678-1234-567812345678")),
        ("animal.token", "12345678ABCD56781234567812345678", uuid.UUID("12345678-abcd-5678-1234-567812345678")),
        ("animal.address", "10.0.0.255", "10.0.0.255"),
        ("animal.json", '{"a": [1, 2.5, "é", null]}', {"a": [1, 2.5, "é", None]}),
        ("email", "ada.l+x@mail.example.org", "ada.l+x@mail.example.org"),
        ("url", "https://www.example.org:8000/a/b?c=d#e", "https://www.example.org:8000/a/b?c=d#e"),
        ("slug", "a-slug_1", "a-slug_1"),
        ("code", "AB-123", "AB-123"),
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
    taken = fast(column_for(FIELDS[name]), [text])

    assert taken
    assert all(one == (text, value) for one in taken)


FRACTIONS = st.from_regex(r"[0-9]{1,12}", fullmatch=True)
CLOCKS = st.from_regex(r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]", fullmatch=True)


@settings(max_examples=60, deadline=None, database=None)
@given(clock=CLOCKS, digits=FRACTIONS, sign=st.sampled_from(".,"), offset=st.sampled_from(["", "Z", "+05:30"]))
@pytest.mark.parametrize("name", ["animal.time", "animal.datetime", "animal.duration", "moment"])
def test_no_moment_is_another_one_than_its_text_says(name, clock, digits, sign, offset):
    form = {"animal.time": "{}", "animal.duration": "3 {}"}.get(name, f"2024-02-29T{{}}{offset}")
    column = column_for(FIELDS[name])
    usual, micros = (form.format(f"{clock}{rest}") for rest in ("", f".{digits[:6]}"))
    text = form.format(f"{clock}{sign}{digits}")

    assert slow(column, usual) is not ValidationError
    assert slow(column, text) == (slow(column, micros) if not digits[6:].strip("0") else ValidationError)
    assert fast(column, [text]) in ([], [(text, slow(column, micros))])


@settings(max_examples=60, deadline=None, database=None)
@given(
    sign=st.sampled_from(["", "-", "+"]),
    parts=st.lists(st.from_regex(r"[0-9]{1,2}([.,][0-9]{1,9})?", fullmatch=True), min_size=4, max_size=4),
)
def test_no_duration_of_iso_8601_is_another_one_than_its_text_says(sign, parts):
    days, hours, minutes, seconds = parts
    text = f"{sign}P{days}DT{hours}H{minutes}M{seconds}S"
    units = (86_400, 3_600, 60, 1)
    exact = sum(Fraction(part.replace(",", ".")) * unit for part, unit in zip(parts, units, strict=True))
    micros = (-1 if sign == "-" else 1) * exact * 1_000_000

    value = slow(column_for(FIELDS["animal.duration"]), text)

    assert value is ValidationError or value // dt.timedelta(microseconds=1) == micros
    assert (value is ValidationError) == (micros.denominator != 1)


@pytest.mark.parametrize("name", ["no_digit", "any_case", "looks_ahead", "address_of_6", "text_of_4", "flag", "grumpy"])
def test_of_what_only_python_knows_the_field_is_asked(name):
    assert column_for(FIELDS[name]).parse == ()


#: What patterns are made of: what Python and polars read alike, and what they do not.
PIECES = [
    "a", "b", "-", r"\d", r"\w", r"\s", r"\S", r"\W", ".", "[ab]", "[^a]", "[a-c-]", "[-a]", r"[\w.]", r"[^\s-]",
    "(a|b)", "(?:ab)", "(", ")", "|", "^", "$", r"\Z", "*", "+", "?", "{2}", "{0,2}", "{,2}", r"\.", "[a&&b]", "[[a]]",
    "(?i)", "(?=a)", r"\\", "Z", r"\b", r"\1", "#", " ", "[a--b]", "{", "[]a]", "[a~~b]",
]  # fmt: skip


@settings(max_examples=300, deadline=None, database=None)
@given(
    pattern=st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join),
    texts=st.lists(st.text(alphabet="abAcKk-. _1éZz\\\n\x1c&[]~{},\u212a", max_size=5), min_size=5, max_size=20),
)
def test_a_pattern_takes_no_text_that_python_refuses(pattern, texts):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            field = models.CharField(validators=[validators.RegexValidator(pattern)])
            field.validators[-1].regex.search("")
        except re.error:
            return
        field.set_attributes_from_name("pattern")
        assert_paths_agree(column_for(field), texts)


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


@pytest.mark.parametrize(
    "zone", ["Europe/Vaduz", "America/Havana", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe"]
)
def test_local_moments_are_those_of_the_field_also_where_clocks_are_set(zone, settings):
    settings.TIME_ZONE = zone
    column, days = (
        column_for(FIELDS["animal.datetime"]),
        [f"{year}-01-01" for year in (1, 1883, 1969, 2011, 2024, 9999)],
    )
    halves = pl.datetime_range(dt.datetime(2024, 1, 1), dt.datetime(2025, 1, 1), "30m", eager=True)

    texts = [
        *halves.cast(pl.String).str.head(16),
        *(f"{day} {time}" for day in days for time in ("00:00", "23:59:59.9")),
    ]
    taken = fast(column, texts)

    assert taken == [(text, slow(column, text)) for text, _ in taken]
    assert len(taken) > 0.98 * len(halves)


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
