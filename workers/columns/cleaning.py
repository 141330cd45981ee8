"""A decoded value -> the value that its field's own rules make of it, and its text for the database."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

import polars as pl
from django.contrib.postgres.fields import ArrayField, RangeField
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.duration import duration_string

from bulkql.workers.errors import Code, place_of

logger = logging.getLogger("bulkql")


def cleaned_by(field: models.Field[Any, Any], value: Any) -> Any:
    """A value by the field's own rules; raises ValidationError, and whatever else the field's code raises."""
    try:
        return field.clean(value, None)
    except AttributeError:
        # The rules of some fields are for what their attribute makes of a value: an amount with its currency.
        instance = field.model()
        setattr(instance, field.attname, field.to_python(value))
        return field.clean(getattr(instance, field.attname), instance)


#: What texts fields take whose own code does not say so.
FORMS: dict[type[models.Field[Any, Any]], str] = {
    ArrayField: 'a JSON list is expected here, such as ["a", "b"].',
    RangeField: 'a JSON object is expected here, such as {"lower": 1, "upper": 5, "bounds": "[)"}.',
    models.BinaryField: "base64 is expected here.",
}


def failure_of(field: models.Field[Any, Any], error: Exception) -> ValidationError:
    """The row error of a text at which a field's code failed with something that is no ValidationError."""
    if isinstance(error, OverflowError):
        return ValidationError("This value is out of range.", code=Code.OUT_OF_RANGE)
    form = next((form for kind, form in FORMS.items() if isinstance(field, kind)), "")
    return ValidationError(f"This value cannot be read{f'; {form}' if form else '.'}", code="invalid")


#: A fraction of a second that goes on behind the microseconds; zeros there say nothing.
FINER = re.compile(r"[.,][0-9]{6}[0-9]*?[1-9]")
#: The parts of a duration as ISO 8601 has it.
PART = re.compile(r"([0-9]+)(?:[.,]([0-9]*))?([DHMS])")
SECONDS = {"D": 86_400, "H": 3_600, "M": 60, "S": 1}


def check_exact(field: models.Field[Any, Any], text: str, value: Any) -> None:
    """Whether a moment or a duration is the value of its text, to the last digit; raises ValidationError.

    Python and databases count microseconds, and parsers cut off or round what is finer.
    """
    if isinstance(value, timedelta) and "P" in text:
        check_sum(text, value)
        return
    is_counted = isinstance(value, timedelta) or isinstance(field, models.DateTimeField | models.TimeField)
    if is_counted and FINER.search(text):
        raise finer(text)


def check_sum(text: str, value: timedelta) -> None:
    """Whether a duration is what ISO 8601 says that its text is; each part of it may have a fraction."""
    parts = (Fraction(f"{whole}.{rest or 0}") * SECONDS[unit] for whole, rest, unit in PART.findall(text))
    micros = sum(parts, Fraction()) * 1_000_000
    if micros.denominator > 1:
        raise finer(text)
    # Django multiplies floats, which have no 300,000,000.1 minutes.
    exact = timedelta(microseconds=int(micros)) * (-1 if text.startswith("-") else 1)
    if exact != value:
        words = "“%(value)s” has too many digits for a duration in this form; write “%(exact)s”."
        raise ValidationError(words, code="inexact", params={"value": text, "exact": duration_string(exact)})


def finer(text: str) -> ValidationError:
    words = "“%(value)s” is finer than a microsecond, and would be rounded; send at most six digits of a fraction."
    return ValidationError(words, code="finer", params={"value": text})


@lru_cache(maxsize=1_000)
def warn_once(field: str, place: str) -> None:
    """A file may have a million such cells."""
    logger.warning("%s refuses values by %s", field, place)


def note_refusal(field: models.Field[Any, Any], error: Exception) -> None:
    """Tell the log what a field's code raised and where, but for what parsers raise of any wrong value."""
    if not isinstance(error, ArithmeticError | RecursionError | TypeError | ValueError):
        warn_once(str(field), place_of(error))


def json_of(text: str) -> Any:
    """The value of JSON that a database takes too; raises ValidationError."""
    try:
        value = json.loads(text, parse_constant=refuse_constant)
        # What Python's reader lets through: 1e999, and halves of surrogate pairs.
        plain = json.dumps(value, ensure_ascii=False, allow_nan=False)
        plain.encode()
    except (ValueError, RecursionError) as error:
        raise ValidationError(f"This is not JSON: {error}.", code="invalid") from error
    if re.search(r"(?<!\\)(?:\\\\)*\\u0000", plain):
        raise ValidationError("Null characters are not allowed.", code="invalid")
    return value


def json_texts(texts: pl.Series) -> pl.Series:
    """The texts that are JSON, of something; null for the others, and for what is empty. None escapes a character."""
    return pl.Series([text if text is not None and is_json(text) else None for text in texts], dtype=pl.String)


def is_json(text: str) -> bool:
    try:
        value = DECODER.decode(text)
    except (ValueError, RecursionError):
        return False
    return bool(value) or value == 0


def refuse_constant(name: str) -> Any:
    """NaN and Infinity are Python's JSON, and nobody else's."""
    raise ValueError(f"{name} is not a JSON value")


DECODER = json.JSONDecoder(parse_constant=refuse_constant)


def in_utc(value: Any) -> Any:
    """Moments in UTC, as frames hold them: a naive one is of the current time zone. Raises OverflowError."""
    if not isinstance(value, datetime):
        return value
    return (timezone.make_aware(value) if timezone.is_naive(value) else value).astimezone(UTC)


def text_of(value: Any) -> str | None:
    """A cleaned value as the database reads it."""
    if value is None:
        return None
    return format(value, "f") if isinstance(value, Decimal) else str(value)
