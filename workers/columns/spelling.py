"""How a file spells its values -> the spelling that fields take, a whole column of text at a time.

One rule for all types: blanks around a value do not count, but in texts. Zeros behind a decimal's last place, and the
time of a date that is midnight, say nothing. The rest is as the file's options say: nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import Any

import polars as pl
from django.db import models

from bulkql.workers.columns.cells import MARK
from bulkql.workers.columns.rules import Parse
from bulkql.workers.errors import BadInput

#: The fields whose values keep their blanks, unless `trim` is asked for: nobody knows what they mean there.
TEXTS = (models.CharField, models.TextField, models.FileField)
NUMBERS = (models.IntegerField, models.DecimalField, models.FloatField)
#: What stands between thousands: blanks of three kinds, two apostrophes, and the one of these two that is no decimal.
SEPARATORS = (" ", "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}", "'", "\N{RIGHT SINGLE QUOTATION MARK}")
DECIMALS = {",": ".", ".": ","}
MIDNIGHT = r"^([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]00:00(?::00(?:\.0+)?)?(?:Z|[ ]?\+00:?00)?$"
ISO_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
#: Years of two digits, as POSIX reads them: from 1969 to 2068.
PIVOT = 69


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """The options of GraphQL's FileInput that say how values are spelled."""

    #: Blanks around texts and keys do not count either.
    trim: bool = False
    #: What stands before a number's fraction; then thousands may be separated.
    decimal: str | None = None
    #: As in %d.%m.%Y, or in DD.MM.YYYY.
    date_format: str | None = None
    true_values: tuple[str, ...] = ()
    false_values: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Spelling:
        return cls(
            **{
                **stored,
                "true_values": tuple(stored.get("true_values", ())),
                "false_values": tuple(stored.get("false_values", ())),
            }
        )

    def concerns(self, field: models.Field[Any, Any]) -> bool:
        """Whether texts of this field are read otherwise than without options."""
        if field.choices or is_text(field):
            return self.trim and is_text(field)
        return (
            (isinstance(field, models.BooleanField) and bool(self.booleans))
            or (isinstance(field, NUMBERS) and self.decimal is not None)
            or (isinstance(field, models.DateField) and self.date_format is not None)
        )

    @property
    def booleans(self) -> dict[str, str]:
        """The texts that stand for true and false, in small letters."""
        return {
            **{text.strip().lower(): "true" for text in self.true_values},
            **{text.strip().lower(): "false" for text in self.false_values},
        }


def check_spelling(spelling: Spelling) -> None:
    """Whether values can be spelled so; raises BadInput."""
    if spelling.decimal is not None and spelling.decimal not in DECIMALS:
        raise BadInput(f"decimal is {spelling.decimal!r}; give ',' or '.', which stands before a number's fraction.")
    if spelling.date_format is not None:
        DateFormat.of(spelling.date_format)
    true, false = ({text.strip().lower() for text in texts} for texts in (spelling.true_values, spelling.false_values))
    if both := sorted(true & false):
        raise BadInput(f"trueValues and falseValues both have {', '.join(map(repr, both))}; give it in one of them.")


def tidy(field: models.Field[Any, Any], spelling: Spelling) -> Parse | None:
    """Text -> the text that the field takes, null where the options do not allow its spelling; None if all may stay."""
    found = list(steps(field, spelling))
    if not found:
        return None

    def expression(text: pl.Expr) -> pl.Expr:
        for step in found:
            text = step(text)
        return text

    return expression


def steps(field: models.Field[Any, Any], spelling: Spelling) -> Iterator[Parse]:
    """What is done to a text of this field, in this order."""
    if spelling.trim or not is_text(field):
        yield lambda text: text.str.strip_chars()
    if field.choices:
        return
    if isinstance(field, models.BooleanField) and (booleans := spelling.booleans):
        yield lambda text: text.str.to_lowercase().replace_strict(booleans, default=text, return_dtype=pl.String)
    if isinstance(field, NUMBERS) and (decimal := spelling.decimal) is not None:
        yield lambda text: with_point(text, decimal)
    if isinstance(field, models.DecimalField) and (places := field.decimal_places) is not None:
        yield lambda text: without_zeros(text, places)
    if isinstance(field, models.DateField):
        if spelling.date_format is not None:
            yield DateFormat.of(spelling.date_format).iso
        if not isinstance(field, models.DateTimeField):
            yield lambda text: text.str.replace(MIDNIGHT, "$1")


def is_text(field: models.Field[Any, Any]) -> bool:
    """Whether blanks may be part of a value. A choice that has some itself is a text, others are not."""
    if field.choices:
        return any(str(value) != str(value).strip() for value, _ in field.flatchoices)
    return isinstance(field, TEXTS) or field.get_internal_type() in ("CharField", "TextField")


def with_point(text: pl.Expr, decimal: str) -> pl.Expr:
    """Numbers with this decimal separator, as fields take them; JSON's and Parquet's own numbers are marked."""
    typed = text.str.contains(rf"^{MARK}-?[0-9][0-9.eE+-]*$")
    plain = text.str.replace_all(f"[{''.join(separators(decimal))}]", "").str.replace(decimal, ".", literal=True)
    return (
        pl.when(typed)
        .then(text.str.strip_prefix(MARK))
        .when(text.str.contains(number_pattern(decimal)))
        .then(plain)
        .when(text.str.starts_with(MARK))
        .then(text)
    )


def separators(decimal: str) -> tuple[str, ...]:
    return (*SEPARATORS, DECIMALS[decimal])


def number_pattern(decimal: str) -> str:
    """The pattern of numbers with this decimal separator, whose thousands may be separated by one and the same sign."""
    groups = "|".join(rf"[0-9]{{1,3}}(?:{re.escape(one)}[0-9]{{3}})+" for one in separators(decimal))
    point = re.escape(decimal)
    return rf"^[+-]?(?:(?:[0-9]+|{groups})(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?$"


def without_zeros(text: pl.Expr, places: int) -> pl.Expr:
    """1.5000 for two places is 1.5."""
    if places == 0:
        return text.str.replace(r"^([+-]?[0-9]+)\.0+$", "$1")
    return text.str.replace(rf"^([+-]?[0-9]*\.[0-9]{{1,{places}}}?)0+$", "$1")


@dataclass(frozen=True, slots=True)
class DateFormat:
    """The order of a date's parts, and what stands between them."""

    #: Y (four digits), y (two), m and d, in their order.
    order: str
    pattern: str

    @classmethod
    @lru_cache(maxsize=1_000)
    def of(cls, text: str) -> DateFormat:
        """What %d.%m.%Y, or DD.MM.YYYY, says; raises BadInput."""
        # A time behind it is read as ISO 8601 has it, and need not be told.
        day = re.sub(r"[T ]+(?:%H|HH|hh).*$", "", text.strip())
        pattern = r"%[dmYy]" if "%" in day else r"[dD]{1,2}|[mM]{1,2}|[yY]{4}|[yY]{2}"
        parts = list(re.finditer(pattern, day))
        order = "".join(sign_of(part[0]) for part in parts)
        between = re.split(pattern, day)
        if order.lower() not in map("".join, permutations("ymd")) or re.search(r"[\w%]", "".join(between)):
            raise BadInput(
                f"dateFormat is {text[:100]!r}; give the places of day, month and year, such as %d.%m.%Y, %m/%d/%y or "
                f"DD.MM.YYYY."
            )
        digits = {"Y": r"[0-9]{4}", "y": r"[0-9]{2}", "m": r"[0-9]{1,2}", "d": r"[0-9]{1,2}"}
        if "" in between[1:-1]:  # where nothing stands between them, each has all of its digits
            digits |= {"m": r"[0-9]{2}", "d": r"[0-9]{2}"}
        ways = zip(map(re.escape, between), (f"(?P<{one}>{digits[one]})" for one in order), strict=False)
        return cls(order, f"^{''.join(map(''.join, ways))}{re.escape(between[-1])}(?P<rest>[T ].*)?$")

    @property
    def is_like_iso(self) -> bool:
        """Whether an ISO date may be meant by this format otherwise: 2024-02-01 is the second of January."""
        return re.match(self.pattern, "2024-12-12") is not None

    @property
    def directives(self) -> str:
        """The same for strftime, where a dash stands between the parts."""
        return "-".join(f"%{one}" for one in self.order)

    def iso(self, text: pl.Expr) -> pl.Expr:
        """Dates of this format as ISO 8601 has them, with what follows them; ISO's own where none can be mistaken."""
        parts = text.str.extract_groups(self.pattern)
        year, month, day = (parts.struct.field(one) for one in (self.order[self.order.lower().index("y")], "m", "d"))
        if "y" in self.order:
            century = pl.when(year.cast(pl.Int64, strict=False) >= PIVOT).then(pl.lit("19")).otherwise(pl.lit("20"))
            year = century + year
        found = year + "-" + month.str.zfill(2) + "-" + day.str.zfill(2) + parts.struct.field("rest").fill_null("")
        others = text.str.starts_with(MARK) if self.is_like_iso else text.str.contains(f"{ISO_DATE}|^{MARK}")
        return pl.coalesce(found, pl.when(others).then(text))


def sign_of(part: str) -> str:
    """The letter of a date's part: Y, y, m or d."""
    if part.startswith("%"):
        return part[1]
    return part[0].lower() if part[0] in "dDmM" else {4: "Y", 2: "y"}[len(part)]
