"""A value of a sheet's cell, as calamine reads it, and the kind of its column -> the text that CSV would have.

A kind is what workbooks.py calls it: text, float, date, time, datetime, duration or ignored, with "marked " before it
where texts spell their numbers in another way.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

#: Whole numbers from here on have no cells of their own: 9,007,199,254,740,993 is stored as ...992.
EXACT = 2.0**53
#: Before a number that is no text, where texts have a comma before their fraction; as it stands in cells of frames.
MARK = "\0"
#: The day of a time without a date, and that of the first date.
EPOCH, FIRST = datetime(1899, 12, 30), datetime(1900, 1, 1)
#: The day from which Excel counts until it comes to a 29 February 1900, and the other one from which it may count.
EARLY, MARCH, APPLE = datetime(1899, 12, 31), datetime(1900, 3, 1), datetime(1904, 1, 1)
#: A duration in a workbook that counts from 1900, or from 1904; in ODS dates are no numbers.
DURATION_OF_1900, DURATION_OF_1904 = "duration of 1900", "duration of 1904"
#: Digits of a number that spreadsheets show; what a sum has beyond them is noise.
SHOWN_DIGITS = 15
#: Digits up to which a number that loses its noise is one that somebody meant: 0.1 + 0.2.
MEANT_DIGITS = 12


def is_filled(value: Any) -> bool:
    return value != "" and not (isinstance(value, str) and not value.strip())


def column_texts(values: tuple[Any, ...], kind: str) -> list[str | None]:
    """The cells of a column; null where there is no value."""
    kinds = set(map(type, values))
    if kinds == {str}:
        return [value or None for value in values]
    if len(kinds - {str}) == 1:
        # Each value once. Where there are several kinds, True and 1.0 would be the same key.
        texts = {value: cell_text(value, kind) or None for value in set(values)}
        return [texts[value] for value in values]
    return [cell_text(value, kind) or None for value in values]


def cell_text(value: Any, kind: str) -> str:
    """A value as CSV would give it to a field of this kind."""
    write = WRITERS.get(type(value))
    return str(value) if write is None else write(value, kind)


def marked_number(value: float, kind: str) -> str:
    """A number for a field that takes numbers from texts of another spelling."""
    return f"{MARK if kind.startswith('marked') else ''}{number(value)}"


def number(value: float) -> str:
    """7.0 is 7, and has no exponent; sums lose what no spreadsheet shows of them."""
    if value.is_integer():
        return str(int(value))
    text = repr(value)
    if len(text) <= SHOWN_DIGITS and "e" not in text:
        return text
    exact = Decimal(text)
    if len(exact.as_tuple().digits) > SHOWN_DIGITS:
        shown = Decimal(f"{value:.{SHOWN_DIGITS}g}").normalize()
        exact = shown if len(shown.as_tuple().digits) <= MEANT_DIGITS else exact
    return format(exact, "f")


def boolean(value: bool, kind: str) -> str:
    return "TRUE" if value else "FALSE"


def moment(value: datetime, kind: str) -> str:
    """A date with a time, in the service's time zone. A duration of days is formatted as one by some spreadsheets."""
    if kind.startswith("duration"):
        return duration(value - first_day(value, kind), kind)
    if value < FIRST and kind == "time":
        return value.time().isoformat()
    return value.isoformat() if kind == "datetime" else value.isoformat(" ")


def first_day(value: datetime, kind: str) -> datetime:
    """The day from which a duration counts that is formatted as a date."""
    if kind == DURATION_OF_1904:
        return APPLE
    return EARLY if kind == DURATION_OF_1900 and value < MARCH else EPOCH


def day(value: date, kind: str) -> str:
    if kind.startswith("duration") or kind == "datetime":
        return moment(datetime.combine(value, time()), kind)
    return value.isoformat()


def hour(value: time, kind: str) -> str:
    return value.isoformat()


def duration(value: timedelta, kind: str) -> str:
    """As Django writes one, whatever its length: 1 06:01:00. A time of the day may be formatted as one."""
    if kind == "time" and timedelta() <= value < timedelta(days=1):
        return (datetime.min + value).time().isoformat()
    hours, rest = divmod(value.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    days = f"{value.days} " if value.days else ""
    fraction = f".{value.microseconds:06}" if value.microseconds else ""
    return f"{days}{hours:02}:{minutes:02}:{seconds:02}{fraction}"


WRITERS: dict[type, Callable[[Any, str], str]] = {
    float: marked_number,
    bool: boolean,
    datetime: moment,
    date: day,
    time: hour,
    timedelta: duration,
}
