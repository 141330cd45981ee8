"""Values as Django has them -> the texts of a file, each of which is read as that value again."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import polars as pl
from django.core.files.base import File
from django.utils import timezone
from django.utils.duration import duration_string

from bulkql.workers.columns.column import Column


def spelled_values(column: Column, values: Sequence[Any]) -> pl.Series:
    """The texts of one column; null is null."""
    spell = speller(column)
    return pl.Series([None if value is None else spell(value) for value in values], dtype=pl.String)


def speller(column: Column) -> Callable[[Any], str]:
    """How a value of a column is written."""
    names = {value: name for name, value in column.choice_names.items()}
    field: Any = column.field

    def spell(value: Any) -> str:
        if names and value in names:
            return names[value]
        if column.as_json:
            return json.dumps(value, cls=column.value_field.encoder, ensure_ascii=False)  # type: ignore[attr-defined]
        write = next((write for kind, write in WRITERS if isinstance(value, kind)), None)
        return in_own_words(field, value) if write is None else write(value)

    return spell


def in_own_words(field: Any, value: Any) -> str:
    """What a field writes for Django's fixtures, and reads."""
    instance = field.model()
    setattr(instance, field.attname, value)
    return str(field.value_to_string(instance))


def moment_text(value: datetime) -> str:
    """ISO 8601 in UTC."""
    if timezone.is_naive(value):
        return value.isoformat()
    return trimmed(value.astimezone(UTC).replace(tzinfo=None).isoformat()) + "Z"


def trimmed(text: str) -> str:
    """Without zeros at the end of a fraction."""
    return text.rstrip("0").removesuffix(".") if "." in text else text


def time_text(value: time) -> str:
    return trimmed(value.isoformat())


def float_text(value: float) -> str:
    """As PostgreSQL and JSON write it: 5, and not 5.0."""
    return repr(value).removesuffix(".0")


def boolean_text(value: bool) -> str:
    return "true" if value else "false"


def decimal_text(value: Decimal) -> str:
    return format(value, "f")


def binary_text(value: Any) -> str:
    return b64encode(bytes(value)).decode()


def file_text(value: File[Any]) -> str:
    return value.name or ""


#: The first kind that a value is of decides.
WRITERS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (bool, boolean_text),
    ((int, str, UUID), str),
    (float, float_text),
    (Decimal, decimal_text),
    (datetime, moment_text),
    (date, date.isoformat),
    (time, time_text),
    (timedelta, duration_string),
    ((bytes, bytearray, memoryview), binary_text),
    (File, file_text),
)
