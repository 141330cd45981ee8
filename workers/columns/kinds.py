"""Kinds of Django fields -> their fast paths: a whole column of text at a time.

A fast path yields a value only for text that the field itself would certainly take, and the very value that the
field would give; for all other text, that of marked cells too, it yields null.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import polars as pl
from django.db import models

from bulkql.workers.columns.cells import MARK
from bulkql.workers.columns.cleaning import json_texts
from bulkql.workers.columns.rules import TEXTS, Parse, rules_of
from bulkql.workers.columns.times import (
    UTC_MICROSECONDS,
    parse_date,
    parse_datetime,
    parse_datetime_with_offset,
    parse_local_datetime,
    parse_time,
    parse_time_with_fraction,
)

ParseField: TypeAlias = Callable[[pl.Expr, Any], pl.Expr]

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
    #: The values can go into COPY as they are.
    is_plain: bool = True


def kind_of_field(field: models.Field[Any, Any]) -> KindOfField:
    """The kind of a field; SLOW for classes that are unknown here."""
    return next((kind for kind in KINDS if type(field) in kind.fields), SLOW)


def value_field_of(field: models.Field[Any, Any]) -> models.Field[Any, Any]:
    """The field that rules the values: the field itself, or the one that a foreign key points to."""
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    return field


def fast_paths(field: models.Field[Any, Any]) -> tuple[Parse, ...]:
    """A kind's own paths, the usual one first, each followed by the field's validators; none if one is unknown here."""
    kind = kind_of_field(field)
    rules = rules_of(field, kind.dtype)
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


def parse_uuid(text: pl.Expr, field: Any) -> pl.Expr:
    is_uuid = text.str.contains(r"(?i)^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
    return pl.when(is_uuid).then(text.str.to_lowercase())


def parse_bare_uuid(text: pl.Expr, field: Any) -> pl.Expr:
    """Its 32 digits, in braces or not."""
    digits = pl.when(text.str.contains(BARE_UUID)).then(text).str.to_lowercase()
    return digits.str.replace(BARE_UUID, "$1-$2-$3-$4-$5")


def parse_ipv4(text: pl.Expr, field: Any) -> pl.Expr:
    return pl.when(text.str.contains(rf"^{OCTET}(?:\.{OCTET}){{3}}$")).then(text)


def parse_json(text: pl.Expr, field: Any) -> pl.Expr:
    """JSON whose numbers and texts no database refuses, and that is not empty: the text itself."""
    if field.encoder is not None:
        return pl.when(pl.lit(False)).then(text)
    is_doubtful = text.str.contains(rf"[\\{MARK}]|[0-9][eE]|[0-9]{{300}}")
    return pl.when(~is_doubtful).then(text).map_batches(json_texts, return_dtype=pl.String)


BARE_UUID = r"(?i)^\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?$"
OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
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

ANYTHING = frozenset[type]({str, int, float, bool, list, dict})

KINDS = (
    KindOfField(fields=TEXTS, dtype=pl.String(), parse=(parse_text,), accepts=frozenset({str})),
    KindOfField(
        fields=frozenset({models.JSONField}), dtype=pl.String(), parse=(parse_json,), accepts=ANYTHING, is_plain=False
    ),
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
            (models.TimeField, pl.Time(), (parse_time, parse_time_with_fraction), {str}),
            (
                models.DateTimeField,
                UTC_MICROSECONDS,
                (parse_datetime, parse_datetime_with_offset, parse_local_datetime),
                {str},
            ),
            (models.UUIDField, pl.String(), (parse_uuid, parse_bare_uuid), {str}),
            (models.GenericIPAddressField, pl.String(), (parse_ipv4,), {str}),
        )
    ),
)
SLOW = KindOfField(fields=frozenset(), dtype=pl.String(), parse=(), accepts=ANYTHING, is_plain=False)
