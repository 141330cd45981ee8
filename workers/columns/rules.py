"""Validators of Django's fields -> expressions that are true for texts and values which are certainly valid.

Of all others the field itself is asked: an expression may be stricter than its validator, and never milder.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any, TypeAlias

import polars as pl
from django.core import validators
from django.db import models
from django.utils import timezone

from bulkql.workers.columns.times import UTC_MICROSECONDS

Parse: TypeAlias = Callable[[pl.Expr], pl.Expr]

TEXTS = frozenset({models.CharField, models.TextField, models.SlugField, models.EmailField, models.URLField})

#: What a field that takes addresses of version 4 has them checked by.
IPV4 = (validators.validate_ipv4_address, validators.validate_ipv46_address)
LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST = rf"(?:{LABEL}\.)+[A-Za-z]{{2,63}}"
#: Addresses as nearly everybody has one.
EMAIL = rf"^[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@{HOST}$"
URL = rf"^https?://{HOST}(?::[0-9]{{2,5}})?(?:[/?#][!-~]*)?$"
#: What both may have: a host's name ends there, and neither is at its own limit yet.
ADDRESS_CHARACTERS = 253
#: Texts on which Python and polars read a pattern alike, if it is a portable one: without references, looks ahead and
#: sets in sets.
PRINTABLE = "^[ -~]*$"
LITERAL = r"[A-Za-z0-9 _@:;,<>=!\"'`%/-]"
ESCAPED = r"\\[dDwWsS.^$*+?()\[\]{}|\\/-]"
PORTABLE = re.compile(
    rf"(?:{LITERAL}|[.^$|)&~#]|{ESCAPED}|\((?:\?:|(?!\?))|\\Z$"
    rf"|\[\^?(?:(?!--){LITERAL}|[.*+?(){{}}|$#]|{ESCAPED})+\]"
    r"|(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})(?![*+?{]))*"
)


def rules_of(field: models.Field[Any, Any], dtype: pl.DataType) -> list[Parse] | None:
    """A field's validators as expressions that are true for certainly valid values; None if one has no expression."""
    rules: list[Parse] = []
    if type(field) in TEXTS and not field.blank:
        rules.append(lambda value: value != "")
    for validator in field.validators:
        if is_in_parse(validator, field):
            continue
        rule = rule_of(validator, field, dtype)
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
    return type(field) is models.GenericIPAddressField and validator in IPV4


def rule_of(validator: Any, field: models.Field[Any, Any], dtype: pl.DataType) -> Parse | None:
    """One validator as an expression."""
    if type(field) in TEXTS and type(validator) in OF_TEXTS:
        return OF_TEXTS[type(validator)](validator)
    if type(validator) not in BOUNDS:
        return None
    limit = validator.limit_value
    if isinstance(field, models.DecimalField):
        return bound_of_decimals(validator, field, limit)
    if not is_comparable(limit, dtype):
        return None
    return BOUNDS[type(validator)](limit)


def longest(validator: validators.MaxLengthValidator) -> Parse | None:
    limit = validator.limit_value
    return (lambda value: value.str.len_chars() <= limit) if type(limit) is int else None


def shortest(validator: validators.MinLengthValidator) -> Parse | None:
    limit = validator.limit_value
    return (lambda value: value.str.len_chars() >= limit) if type(limit) is int else None


def email(validator: validators.EmailValidator) -> Parse:
    # Whatever else is allowed, these are.
    return lambda value: value.str.contains(EMAIL) & (value.str.len_chars() <= ADDRESS_CHARACTERS)


def url(validator: validators.URLValidator) -> Parse | None:
    is_stock = re.compile(validator.regex).pattern == re.compile(validators.URLValidator().regex).pattern
    if not is_stock or not {"http", "https"} <= set(validator.schemes):
        return None
    return lambda value: value.str.contains(URL) & (value.str.len_chars() <= ADDRESS_CHARACTERS)


def pattern(validator: validators.RegexValidator) -> Parse | None:
    """A pattern that is read alike by polars, on printable texts."""
    regex = re.compile(validator.regex)
    if validator.inverse_match or regex.flags != re.UNICODE or PORTABLE.fullmatch(regex.pattern) is None:
        return None
    alike = re.sub(r"(?<!\\)((?:\\\\)*)\\Z$", r"\1\\z", regex.pattern)  # the text's end has another letter there
    try:
        pl.Series([""]).str.contains(alike)
    except pl.exceptions.ComputeError:
        return None
    return lambda value: value.str.contains(PRINTABLE) & value.str.contains(alike)


OF_TEXTS: dict[type, Callable[[Any], Parse | None]] = {
    validators.MaxLengthValidator: longest,
    validators.MinLengthValidator: shortest,
    validators.EmailValidator: email,
    validators.URLValidator: url,
    validators.RegexValidator: pattern,
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
