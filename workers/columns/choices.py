"""A field with choices -> the names that GraphQL has for them, and the values of both."""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import polars as pl
from django.core.exceptions import ValidationError
from django.db import models

from bulkql.workers.columns.rules import Parse

if TYPE_CHECKING:
    from bulkql.workers.columns.column import Column


def choice_names(field: models.Field[Any, Any]) -> dict[str, Any]:
    """GraphQL enum names -> the values of a field's choices."""
    names: dict[str, Any] = {}
    for value, label in field.flatchoices:
        if value in (None, ""):
            continue
        name = stem = enum_name(str(value)) or enum_name(str(label)) or f"CHOICE_{len(names)}"
        numbers = count(len(names))
        while name in names:
            name = f"{stem}_{next(numbers)}"
        names[name] = value
    return names


def enum_name(text: str) -> str | None:
    """UPPER_SNAKE of a text, where GraphQL allows it as an enum's name."""
    name = re.sub(r"\W+", "_", text.strip(), flags=re.ASCII).strip("_").upper()
    return name if re.fullmatch(r"[A-Z][A-Z0-9_]*", name) and name not in ("TRUE", "FALSE", "NULL") else None


def path_of_choices(column: Column) -> Parse:
    """The fast path of a field with choices: their names and their texts, each cleaned here once."""
    table: dict[str, Any] = {}
    for text in (*column.choice_names, *(str(value) for value, _ in column.field.flatchoices)):
        with suppress(ValidationError):
            table[text] = column.clean(text)
    texts, values = pl.Series(list(table), dtype=pl.String), column.series(list(table.values()), list(table))
    return lambda text: text.replace_strict(texts, values, default=None, return_dtype=column.dtype)
