"""Columns of a frame <-> arrays of PostgreSQL: one value of the statement, not one for each row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl
from django.db import connections


def array(numbers: pl.Series) -> str:
    """Whole numbers as an array's text. psycopg looks at a list's members one by one, which can take as long as the
    statement that they are for."""
    return f"{{{numbers.cast(pl.String).str.join(',').item()}}}"


def text_array(texts: Iterable[str]) -> str:
    """Texts as an array's text, for the same reason."""
    quoted = ('"' + text.replace("\\", r"\\").replace('"', r"\"") + '"' for text in texts)
    return f"{{{','.join(quoted)}}}"


def returned(alias: str, statement: str, params: Sequence[Any], expected: int) -> list[Any] | None:
    """The column `value` of a statement with RETURNING; None where as many came as expected: they need not travel."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            f"WITH done AS ({statement})"  # noqa: S608  (the caller's own)
            " SELECT CASE WHEN count(*) < %s THEN coalesce(array_agg(value), '{}') END FROM done",
            [*params, expected],
        )
        values: list[Any] | None = cursor.fetchone()[0]
    return values
