"""Kinds of Django fields -> their fast paths: a whole column of text at a time.

A fast path yields a value only for text that the field itself would certainly take, and the very value that the
field would give; for all other text, that of marked cells too, it yields null.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any, TypeAlias

import polars as pl
from django.core import validators
from django.db import models
from django.utils import timezone

from bulkql.workers.columns.cells import MARK

Parse: TypeAlias = Callable[[pl.Expr], pl.Expr]
ParseField: TypeAlias = Callable[[pl.Expr, Any], pl.Expr]

UTC_MICROSECONDS = pl.Datetime("us", "UTC")

#: Python's calendar from end to end, as polars counts: in days, and in microseconds, from 1970.
DAYS = ((date.min - date(1970, 1, 1)).days, (date.max - date(1970, 1, 1)).days)
MICROSECONDS = (DAYS[0] * 86_400_000_000, (DAYS[1] + 1) * 86_400_000_000 - 1)

BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE", "t", "1"), True),
    **dict.fromkeys(("false", "False", "FALSE", "f", "0"), False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOfField:
    """Fields that are read alike. Only Django's own classes: a subclass may change anything, and is asked itself."""

    fields: frozenset[type]
    dtype: pl.DataType
    #: The usual spelling first. Columns of which it leaves something are asked for the next one.
    parse: tuple[ParseField, ...]
    #: The JSON kinds whose text is the value.
    accepts: frozenset[type]


def kind_of_field(field: models.Field[Any, Any]) -> KindOfField:
    """The kind of a field; SLOW for classes that are unknown here."""
    return next((kind for kind in KINDS if type(field) in kind.fields), SLOW)


def fast_paths(field: models.Field[Any, Any]) -> tuple[Parse, ...]:
    """A kind's own paths, the usual one first, each followed by the field's validators; none if one is unknown here."""
    kind, rules = kind_of_field(field), rules_of(field)
    return () if rules is None else tuple(followed(parse, rules, field) for parse in kind.parse)


def followed(parse: ParseField, rules: list[Parse], field: models.Field[Any, Any]) -> Parse:
    """A kind's path with the field's validators behind it."""
    stays_text = kind_of_field(field).dtype == pl.String

    def expression(text: pl.Expr) -> pl.Expr:
        value = parse(text, field)
        # polars computes an expression as often as it is named.
        subject = text if stays_text else value
        return pl.when(pl.all_horizontal(rule(subject) for rule in rules)).then(value) if rules else value

    return expression


def rules_of(field: models.Field[Any, Any]) -> list[Parse] | None:
    """A field's validators as expressions that are true for certainly valid values; None if one has no expression."""
    rules: list[Parse] = []
    if type(field) in TEXTS and not field.blank:
        rules.append(lambda value: value != "")
    for validator in field.validators:
        if is_in_parse(validator, field):
            continue
        rule = rule_of(validator, field)
        if rule is None:
            return None
        rules.append(rule)
    return rules


def is_in_parse(validator: Any, field: models.Field[Any, Any]) -> bool:
    """Whether the kind's own path has looked after this validator already."""
    if type(validator) is validators.ProhibitNullCharactersValidator:
        return type(field) in TEXTS
    if type(validator) is validators.DecimalValidator and isinstance(field, models.DecimalField):
        return (validator.max_digits, validator.decimal_places) == (field.max_digits, field.decimal_places)
    return False


def rule_of(validator: Any, field: models.Field[Any, Any]) -> Parse | None:
    """One validator as an expression."""
    limit = getattr(validator, "limit_value", None)
    if type(validator) in LENGTHS and type(field) in TEXTS and type(limit) is int:
        return LENGTHS[type(validator)](limit)
    if type(validator) not in BOUNDS:
        return None
    if isinstance(field, models.DecimalField):
        return bound_of_decimals(validator, field, limit)
    if not is_comparable(limit, kind_of_field(field).dtype):
        return None
    return BOUNDS[type(validator)](limit)


LENGTHS: dict[type, Callable[[Any], Parse]] = {
    validators.MaxLengthValidator: lambda limit: lambda value: value.str.len_chars() <= limit,
    validators.MinLengthValidator: lambda limit: lambda value: value.str.len_chars() >= limit,
}
BOUNDS: dict[type, Callable[[Any], Parse]] = {
    validators.MaxValueValidator: lambda limit: lambda value: value <= limit,
    validators.MinValueValidator: lambda limit: lambda value: value >= limit,
}


def is_comparable(limit: Any, dtype: pl.DataType) -> bool:
    """Whether polars compares a column with this limit exactly as Python does."""
    if dtype == pl.Int64:
        return type(limit) is int and -(2**63) <= limit < 2**63
    if dtype == pl.Float64:
        return (type(limit) is float and math.isfinite(limit)) or (type(limit) is int and abs(limit) <= 2**53)
    if dtype == UTC_MICROSECONDS:
        return type(limit) is datetime and timezone.is_aware(limit)
    return (dtype == pl.Date and type(limit) is date) or (dtype == pl.Time and type(limit) is time)


def bound_of_decimals(validator: Any, field: models.DecimalField[Any, Any], limit: Any) -> Parse | None:
    """Decimals stay text in frames; they are compared as what they are.

    Between two neighbouring values of the field a limit may stand anywhere: it moves to the one that is still valid.
    """
    places = field.decimal_places
    if places is None or type(limit) not in (int, float, Decimal) or not abs(limit) < 10 ** (36 - places):
        return None
    is_max = type(validator) is validators.MaxValueValidator
    context = Context(prec=100, rounding=ROUND_FLOOR if is_max else ROUND_CEILING)
    exact = pl.Decimal(38, places)
    bound = pl.lit(Decimal(limit).quantize(Decimal(1).scaleb(-places), context=context), dtype=exact)
    compare = BOUNDS[type(validator)](bound)
    return lambda value: compare(value.cast(exact, strict=False))


def parse_text(text: pl.Expr, field: Any) -> pl.Expr:
    return pl.when(~text.str.contains(MARK, literal=True)).then(text)


def parse_integer(text: pl.Expr, field: Any) -> pl.Expr:
    return text.cast(pl.Int64, strict=False)


def parse_integer_with_zeros(text: pl.Expr, field: Any) -> pl.Expr:
    """Spreadsheets write 7.0 where they mean 7, and GraphQL's Int takes it too."""
    return text.str.replace(r"^([+-]?[0-9]+)\.0+$", "$1").cast(pl.Int64, strict=False)


def parse_decimal(text: pl.Expr, field: Any) -> pl.Expr:
    if field.max_digits is None or field.decimal_places is None:
        return pl.when(pl.lit(False)).then(text)
    whole, places = field.max_digits - field.decimal_places, field.decimal_places
    fraction = rf"\.[0-9]{{1,{places}}}"
    # Where no digit may stand before the point, Django takes 0.5 and 0.0, but no 0.
    digits = rf"[0-9]{{1,{whole}}}({fraction if places else ''})?" if whole else f"0{fraction}"
    return pl.when(text.str.contains(f"^[+-]?{digits}$")).then(text)


def parse_float(text: pl.Expr, field: Any) -> pl.Expr:
    value = text.cast(pl.Float64, strict=False)
    return pl.when(value.is_finite()).then(value)


def parse_boolean(text: pl.Expr, field: Any) -> pl.Expr:
    return text.replace_strict(BOOLEANS, default=None, return_dtype=pl.Boolean)


def parse_date(text: pl.Expr, field: Any) -> pl.Expr:
    is_date = text.str.contains(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
    return in_calendar(pl.when(is_date).then(text).str.to_date("%Y-%m-%d", strict=False), DAYS)


def parse_time(text: pl.Expr, field: Any) -> pl.Expr:
    is_time = text.str.contains(r"^[0-9]{2}:[0-9]{2}:[0-5][0-9]$")
    return pl.when(is_time).then(text).str.to_time("%H:%M:%S", strict=False)


# polars takes a 60th second for a leap second; Django does not.
SECOND = r"[0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]"


def parse_datetime(text: pl.Expr, field: Any) -> pl.Expr:
    """ISO 8601 in UTC by the second, from the year 1000 on: within anybody's calendar."""
    utc = pl.when(text.str.contains(rf"^[1-9]{SECOND}Z$")).then(text)
    value = utc.str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", strict=False)
    return value.dt.replace_time_zone("UTC")


def parse_datetime_with_offset(text: pl.Expr, field: Any) -> pl.Expr:
    """ISO 8601 with an offset and a fraction: a pattern that costs more than all the rest."""
    offset = text.str.contains(rf"^[0-9]{SECOND}(?:\.[0-9]{{1,6}})?(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})$")
    value = (
        pl.when(offset)
        .then(text)
        .str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", time_zone="UTC", strict=False)
    )
    return in_calendar(value, MICROSECONDS)


def in_calendar(value: pl.Expr, numbers: tuple[int, int]) -> pl.Expr:
    """Python's calendar has the years 1 to 9999, also once a moment is told in UTC."""
    # Numbers are compared; the year of each value would have to be computed.
    return pl.when(value.to_physical().is_between(*numbers)).then(value)


def parse_uuid(text: pl.Expr, field: Any) -> pl.Expr:
    is_uuid = text.str.contains(r"(?i)^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
    return pl.when(is_uuid).then(text.str.to_lowercase())


INTEGERS = frozenset(
    {
        models.AutoField,
        models.BigAutoField,
        models.SmallAutoField,
        models.IntegerField,
        models.BigIntegerField,
        models.SmallIntegerField,
        models.PositiveIntegerField,
        models.PositiveBigIntegerField,
        models.PositiveSmallIntegerField,
    }
)
TEXTS = frozenset({models.CharField, models.TextField, models.SlugField, models.EmailField, models.URLField})

KINDS = (
    KindOfField(fields=TEXTS, dtype=pl.String(), parse=(parse_text,), accepts=frozenset({str})),
    KindOfField(
        fields=INTEGERS,
        dtype=pl.Int64(),
        parse=(parse_integer, parse_integer_with_zeros),
        accepts=frozenset({int, float}),
    ),
    *(
        KindOfField(fields=frozenset({field}), dtype=dtype, parse=parse, accepts=frozenset(accepts))
        for field, dtype, parse, accepts in (
            (models.DecimalField, pl.String(), (parse_decimal,), {str, int, float}),
            (models.FloatField, pl.Float64(), (parse_float,), {int, float}),
            (models.BooleanField, pl.Boolean(), (parse_boolean,), {bool}),
            (models.DateField, pl.Date(), (parse_date,), {str}),
            (models.TimeField, pl.Time(), (parse_time,), {str}),
            (models.DateTimeField, UTC_MICROSECONDS, (parse_datetime, parse_datetime_with_offset), {str}),
            (models.UUIDField, pl.String(), (parse_uuid,), {str}),
        )
    ),
)
SLOW = KindOfField(
    fields=frozenset(), dtype=pl.String(), parse=(), accepts=frozenset({str, int, float, bool, list, dict})
)
