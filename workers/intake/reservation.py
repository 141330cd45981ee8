"""Primary keys, reserved in input order before anybody knows which worker writes which chunk."""

from __future__ import annotations

from functools import cache

import polars as pl
from django.db import connections, models

from bulkql.workers.backends import backend
from bulkql.workers.frames import RESERVED_PK
from bulkql.workers.resources.registry import BulkResource


def with_keys(resource: BulkResource, raw: pl.DataFrame) -> pl.DataFrame:
    """Rows to create, with a primary key for each where the database counts them. Keys of bad rows are lost."""
    pk = resource.model._meta.pk
    if not isinstance(pk, models.AutoField) or not backend(resource.database).supports_copy:
        return raw
    sequence = sequence_name(resource.database, resource.model._meta.db_table, str(pk.column))
    if sequence is None:
        return raw
    keys = reserve(resource.database, sequence, raw.height)
    return raw.with_columns(keys.alias(RESERVED_PK))


@cache
def sequence_name(alias: str, table: str, column: str) -> str | None:
    """The sequence that numbers a column, if one does."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [connection.ops.quote_name(table), column])
        name: str | None = cursor.fetchone()[0]
        return name


def reserve(alias: str, sequence: str, count: int) -> pl.Series:
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
