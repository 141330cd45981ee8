"""How files spell values: one rule for all types, and options for the rest."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkql.workers.columns.column import spelled
from bulkql.workers.columns.spelling import DateFormat, Spelling, check_spelling
from bulkql.workers.errors import BadInput
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.validation.values import parsed

COLUMNS = resource_named("animals").columns
GERMAN = Spelling(
    trim=True, decimal=",", date_format="%d.%m.%Y", true_values=("Ja", "wahr"), false_values=("Nein", "falsch")
)


def read(name: str, texts: list[str], spelling: Spelling | None = None) -> tuple[list[object], list[str]]:
    """The values of a column, and the messages of the others."""
    column = spelled(COLUMNS[name], spelling)
    rows, errors = parsed([column], pl.DataFrame({name: pl.Series(texts, dtype=pl.String)}))
    return column.python(rows[name]), errors["message"].to_list()


#: A value of each type that is no free text.
VALUES = {
    "big": ("7", 7),
    "boolean": ("true", True),
    "date": ("2024-12-31", dt.date(2024, 12, 31)),
    "datetime": ("2024-12-31T10:00:00Z", dt.datetime(2024, 12, 31, 10, tzinfo=dt.UTC)),
    "decimal": ("1.50", Decimal("1.50")),
    "duration": ("P1D", dt.timedelta(days=1)),
    "address": ("1.2.3.4", "1.2.3.4"),
    "json": ("[1]", [1]),
    "number": ("1.5", 1.5),
    "positive": ("3.0", 3),
    "size": ("LARGE", 2),
    "time": ("10:00:00", dt.time(10)),
    "binary": ("AAEC", b"\0\1\2"),
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("spelling", [None, Spelling(), Spelling(trim=True)])
def test_blanks_around_a_value_do_not_count_whatever_its_type(name, spelling):
    text, value = VALUES[name]
    around = [text, f" {text}", f"{text} ", f"\t{text}\r", f"\N{NO-BREAK SPACE}{text}\N{NO-BREAK SPACE}"]

    assert read(name, around, spelling) == ([value] * len(around), [])


@pytest.mark.parametrize("name", ["char", "text", "shout", "keeper"])
def test_blanks_belong_to_texts_unless_the_file_says_otherwise(name):
    assert read("text", [" a b "], None) == ([" a b "], [])
    assert read("text", [" a b "], Spelling()) == ([" a b "], [])
    assert read(name, [" ab ", "ab"], Spelling(trim=True)) == (["ab", "ab"], [])


@pytest.mark.parametrize("spelling", [None, Spelling(), Spelling(decimal=".")])
@given(number=st.decimals(-9999, 9999, places=2), zeros=st.integers(0, 20))
@settings(max_examples=30, deadline=None)
def test_zeros_behind_a_decimals_last_place_say_nothing(spelling, number, zeros):
    number = abs(number)  # the zoo's decimals are positive

    assert read("decimal", [f"{number}{'0' * zeros}"], spelling) == ([number], [])


def test_another_digit_behind_a_decimals_last_place_is_an_error():
    values, messages = read("decimal", ["1.5010", "5.000", "1.505000"])

    assert values == [None, Decimal(5), None]
    assert messages == [
        "Ensure that there are no more than 2 decimal places.",
        "Ensure that there are no more than 6 digits in total.",
    ]


@pytest.mark.parametrize("time", [
    "T00:00:00", " 00:00:00", " 00:00", "T00:00:00.000", "T00:00:00Z", " 00:00:00+00:00", " 00:00:00.000 +0000",
])  # fmt: skip
def test_midnight_is_a_date(time):
    assert read("date", [f"2024-12-31{time}", f" 2024-12-31{time}"]) == ([dt.date(2024, 12, 31)] * 2, [])


@pytest.mark.parametrize("time", ["T00:00:01", " 10:00", "T00:00:00.001", "T00:00:00+01:00", "T23:00:00Z"])
def test_any_other_time_is_none(time):
    values, messages = read("date", [f"2024-12-31{time}"], Spelling())

    assert values == [None]
    assert messages[0].endswith(" A date cannot have a time other than midnight.")


@pytest.mark.parametrize(
    ("name", "texts", "values"),
    [
        ("decimal", ["1,5", "1.234,50", "1 234,5", "1'234,50", "+1\N{NARROW NO-BREAK SPACE}234,500", "7", " 7,0 "],
         ["1.5", "1234.50", "1234.5", "1234.50", "1234.5", "7", "7"]),
        ("big", ["1.234.567", "5,0", "-1.000", "12"], [1234567, 5, -1000, 12]),
        ("number", ["1,5e3", "-0,5", ",5", "1.000,25"], [1500.0, -0.5, 0.5, 1000.25]),
        ("boolean", ["Ja", "JA ", "nein", "falsch", "true", "0"], [True, True, False, False, True, False]),
        ("date", ["31.12.2024", "1.2.2024", "2024-12-31", "01.02.2024 00:00:00"],
         [dt.date(2024, 12, 31), dt.date(2024, 2, 1), dt.date(2024, 12, 31), dt.date(2024, 2, 1)]),
        ("datetime", ["31.12.2024 10:00:00Z", "2024-12-31T10:00:00Z"],
         [dt.datetime(2024, 12, 31, 10, tzinfo=dt.UTC)] * 2),
    ],
)  # fmt: skip
def test_the_options_of_a_file_tell_how_its_values_are_spelled(name, texts, values):
    expected = [Decimal(one) for one in values] if name == "decimal" else values

    assert read(name, texts, GERMAN) == (expected, [])


@pytest.mark.parametrize("text", ["1.5", "1.23,4", "1,234.5", "12.34", "1.234 567", "1,2,3", "a", "", "1 23"])
@pytest.mark.parametrize("name", ["big", "decimal", "number"])
def test_a_number_that_is_spelled_otherwise_is_never_another_one(name, text):
    values, messages = read(name, [text], Spelling(decimal=","))

    assert values == [None]
    assert messages[0].startswith("A number is expected here, with ',' before its fraction (`decimal`).")


@pytest.mark.parametrize("text", ["12/31/2024", "31.12.24", "31-12-2024", "soon", "31.02.2024", "31.12.2024 10:00"])
def test_a_date_that_is_spelled_otherwise_is_never_another_one(text):
    values, messages = read("date", [text], Spelling(date_format="%d.%m.%Y"))

    assert (values, len(messages)) == ([None], 1)


@pytest.mark.parametrize(
    ("date_format", "text"),
    [
        ("%d.%m.%Y", "03.02.2024"),
        ("DD.MM.YYYY", "3.2.2024"),
        ("dd/mm/yyyy", "03/02/2024"),
        ("%m/%d/%y", "2/3/24"),
        ("%Y-%d-%m", "2024-03-02"),
        ("%Y%m%d", "20240203"),
        ("d. m. yyyy", "3. 2. 2024"),
        ("%d.%m.%Y %H:%M", "03.02.2024"),
    ],
)
def test_dates_have_their_parts_in_any_order(date_format, text):
    assert read("date", [text], Spelling(date_format=date_format)) == ([dt.date(2024, 2, 3)], [])


def test_years_of_two_digits_are_those_of_posix():
    values, _ = read("date", ["01.01.69", "01.01.68"], Spelling(date_format="%d.%m.%y"))

    assert values == [dt.date(1969, 1, 1), dt.date(2068, 1, 1)]


@pytest.mark.parametrize("date_format", ["", "x", "%d.%m", "%d.%m.%Y.%d", "%B %d %Y", "DMY", "%d%m"])
def test_a_format_that_tells_no_date_is_refused(date_format):
    with pytest.raises(BadInput, match="give the places of day, month and year"):
        DateFormat.of(date_format)


@pytest.mark.parametrize(
    ("spelling", "words"),
    [
        (Spelling(decimal=";"), "decimal is ';'; give ',' or '.'"),
        (Spelling(true_values=("Yes", "1"), false_values=("1", "no")), "trueValues and falseValues both have '1'"),
        (Spelling(date_format="soon"), "dateFormat is 'soon'"),
    ],
)
def test_options_that_contradict_themselves_are_refused(spelling, words):
    with pytest.raises(BadInput, match=words):
        check_spelling(spelling)


def test_given_texts_go_before_the_usual_ones():
    assert read("boolean", ["0", "1"], Spelling(true_values=("0",), false_values=("1",))) == ([True, False], [])


FILE = Spelling()


@pytest.mark.parametrize(
    ("name", "text", "spelling", "message"),
    [
        ("boolean", "Yes", FILE,
         "“Yes” means neither true (true, True, TRUE, t, 1) nor false (false, False, FALSE, f, 0); `trueValues` and "
         "`falseValues` name others."),
        ("boolean", "Yes", None,
         "“Yes” means neither true (true, True, TRUE, t, 1) nor false (false, False, FALSE, f, 0)."),
        ("size", "Large one", FILE, "“Large one” is none of the choices: SMALL or 1, LARGE or 2."),
        ("decimal", "1,5", FILE, "“1,5” value must be a decimal number. With `decimal: \",\"` it is 1.5."),
        ("decimal", "1.234,50", FILE,
         "“1.234,50” value must be a decimal number. With `decimal: \",\"` it is 1234.50."),
        ("big", "1,234", FILE,
         "“1,234” value must be an integer. With `decimal: \",\"` it is 1.234, with `decimal: \".\"` it is 1234."),
        ("big", "1.5", FILE, "“1.5” value must be an integer."),
        ("decimal", "1,5", None, "“1,5” value must be a decimal number."),
        ("date", "31/12/2024", FILE,
         "“31/12/2024” value has an invalid date format. It must be in YYYY-MM-DD format. `dateFormat` sets another "
         "order, such as %d/%m/%Y."),
        ("date", "soon", FILE, "“soon” value has an invalid date format. It must be in YYYY-MM-DD format."),
    ],
)  # fmt: skip
def test_a_refusal_tells_what_is_taken_and_which_option_helps(name, text, spelling, message):
    assert read(name, [text], spelling) == ([None], [message])


@pytest.mark.parametrize("spelling", [GERMAN, Spelling(decimal=".", date_format="%m/%d/%Y"), FILE])
@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("big", ["1.234,56", "1,234.56", " 12.5 ", "1,5", "1.5"]),
        ("number", ["1.234,56,7", "1e400"]),
        ("date", ["31.02.2024", "02/31/2024", "2024-02-31", "31.12.2024 10:00", "12/31/2024T10:00"]),
        ("datetime", ["31.02.2024 10:00", "02/31/2024 10:00", "31.12.2024 10:00:00.0000001"]),
        ("datetime", ["12/31/2024 10:00:00.1234567Z"]),
        ("time", [" 25:00 ", "10:00:00.1234567"]),
        ("duration", [" soon ", "00:00:00.1234567"]),
        ("token", [" 1234 "]),
    ],
)  # fmt: skip
def test_what_a_refusal_quotes_is_what_was_sent(name, texts, spelling):
    for text in texts:
        values, (message,) = read(name, [text], spelling)

        quoted = re.findall("“(.*?)”", message)
        assert values == [None]
        assert quoted in ([], [text]) or message.startswith("A number is expected here")
