"""The sequences that number the rows of PostgreSQL's tables."""

from __future__ import annotations

from functools import cache

import polars as pl
from django.db import connections, models

from bulkql.workers.backends import backend


def key_sequence(model: type[models.Model], alias: str) -> str | None:
    """The sequence that numbers a model's rows, as PostgreSQL writes its name; None where none does."""
    pk = model._meta.pk
    if not isinstance(pk, models.AutoField) or not backend(alias).supports_copy:
        return None
    return sequence_name(alias, model._meta.db_table, str(pk.column))


@cache
def sequence_name(alias: str, table: str, column: str) -> str | None:
    """The sequence that numbers a column, if one does."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [connection.ops.quote_name(table), column])
        name: str | None = cursor.fetchone()[0]
        return name


def next_numbers(alias: str, sequence: str, count: int) -> pl.Series:
    """The sequence's next numbers, in order."""
    with connections[alias].cursor() as cursor:
        # Numbers in one piece come back as two, not as ten thousand.
        cursor.execute(
            "WITH taken AS MATERIALIZED (SELECT nextval(%s::regclass) AS n FROM generate_series(1, %s))"
            " SELECT min(n), CASE WHEN max(n) - min(n) + 1 > count(*) THEN array_agg(n ORDER BY n) END FROM taken",
            [sequence, count],
        )
        first, scattered = cursor.fetchone()
    if scattered is not None:
        return pl.Series(scattered, dtype=pl.Int64)
    return pl.int_range(first, first + count, eager=True)
