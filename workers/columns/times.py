"""Texts of dates and times -> days and moments, a whole column at a time; null for all that is not certainly one."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import polars as pl
from django.utils import timezone

UTC_MICROSECONDS = pl.Datetime("us", "UTC")

#: Python's calendar from end to end, as polars counts: in days, and in microseconds, from 1970.
DAYS = ((date.min - date(1970, 1, 1)).days, (date.max - date(1970, 1, 1)).days)
MICROSECONDS = (DAYS[0] * 86_400_000_000, (DAYS[1] + 1) * 86_400_000_000 - 1)

# polars takes a 60th second for a leap second; Django does not.
SECOND = r"[0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]"
TIME = r"[0-9]{2}:[0-9]{2}(?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
MOMENT = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]{TIME}"
#: A minute past the hour's last is taken for one of the next hour by Django, and by nobody else.
OFFSET = "(?:Z|[+-][0-9]{2}(?::?[0-5][0-9])?)"


def parse_date(text: pl.Expr, field: Any) -> pl.Expr:
    is_date = text.str.contains(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
    return in_calendar(pl.when(is_date).then(text).str.to_date("%Y-%m-%d", strict=False), DAYS)


def parse_time(text: pl.Expr, field: Any) -> pl.Expr:
    is_time = text.str.contains(r"^[0-9]{2}:[0-9]{2}:[0-5][0-9]$")
    return pl.when(is_time).then(text).str.to_time("%H:%M:%S", strict=False)


def parse_time_with_fraction(text: pl.Expr, field: Any) -> pl.Expr:
    """With a fraction of the second, or without a second."""
    time = pl.when(text.str.contains(f"^{TIME}$")).then(text)
    return time.str.to_time("%H:%M:%S%.f", strict=False).fill_null(time.str.to_time("%H:%M", strict=False))


def parse_datetime(text: pl.Expr, field: Any) -> pl.Expr:
    """ISO 8601 in UTC by the second, from the year 1000 on: within anybody's calendar."""
    utc = pl.when(text.str.contains(rf"^[1-9]{SECOND}Z$")).then(text)
    value = utc.str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", strict=False)
    return value.dt.replace_time_zone("UTC")


def parse_datetime_with_offset(text: pl.Expr, field: Any) -> pl.Expr:
    """With an offset, and a fraction of the second or no second."""
    return text.map_batches(moments_with_offset, return_dtype=UTC_MICROSECONDS)


def parse_local_datetime(text: pl.Expr, field: Any) -> pl.Expr:
    """Without an offset, as spreadsheets and databases write moments: they are of the current time zone."""
    return text.map_batches(local_moments, return_dtype=UTC_MICROSECONDS)


def moments_with_offset(texts: pl.Series) -> pl.Series:
    return in_anybodys_calendar(moments_of(texts, f"^{MOMENT}{OFFSET}$", "%#z", "UTC"))


def local_moments(texts: pl.Series) -> pl.Series:
    return from_current_zone(in_anybodys_calendar(moments_of(texts, f"^{MOMENT}$")))


def moments_of(texts: pl.Series, pattern: str, offset: str = "", time_zone: str | None = None) -> pl.Series:
    """Texts that fit a pattern, as moments. A series, step by step: an expression is computed as often as it is named,
    and that reading takes longer than all the rest of a chunk's validation."""
    text = pl.lit(texts)
    fitting = pl.select(pl.when(text.str.contains(pattern)).then(text.str.replace(" ", "T", literal=True))).to_series()
    found = pl.Series([None], dtype=pl.Datetime("us", time_zone)).new_from_index(0, len(texts))
    for clock in ("%H:%M:%S%.f", "%H:%M"):
        if found.null_count() > fitting.null_count():
            spelling = f"%Y-%m-%dT{clock}{offset}"
            read = fitting.str.to_datetime(spelling, time_unit="us", time_zone=time_zone, strict=False)
            found = found.fill_null(read)
    return found


def from_current_zone(moments: pl.Series) -> pl.Series:
    """Moments of the current time zone in UTC; null on days on which clocks are set: then the field is asked.

    Offsets are Python's own: polars brings its rules of time zones with it, of another year perhaps.
    """
    days = moments.dt.date()
    known = days.unique().drop_nulls()
    offsets = pl.Series(map(offset_of_day, known), dtype=pl.Duration("us"))
    ahead = days.replace_strict(known, offsets, default=None, return_dtype=pl.Duration("us"))
    return in_anybodys_calendar((moments - ahead).dt.replace_time_zone("UTC"))


def offset_of_day(day: date) -> timedelta | None:
    """How far the current time zone is ahead of UTC from a day's first moment to its last, if that is one offset."""
    zone = timezone.get_current_timezone()
    first, last = (datetime.combine(day, at, tzinfo=zone).utcoffset() for at in (time.min, time.max))
    return first if first == last else None


def in_calendar(value: pl.Expr, numbers: tuple[int, int]) -> pl.Expr:
    """Python's calendar has the years 1 to 9999, also once a moment is told in UTC."""
    # Numbers are compared; the year of each value would have to be computed.
    return pl.when(value.to_physical().is_between(*numbers)).then(value)


def in_anybodys_calendar(moments: pl.Series) -> pl.Series:
    return pl.select(in_calendar(pl.lit(moments), MICROSECONDS)).to_series()
