"""Rows of a table, by their primary keys -> their marks: 64 bits of all that stands in each.

A mark is taken when a row is looked at or has been written, and compared with a later one: who wants to know whether
the row has changed needs no old values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import polars as pl
from django.db import connections, models

from bulkql.workers.backends import backend
from bulkql.workers.columns.arrays import text_array
from bulkql.workers.images.literals import image_columns, image_fields, mark, pk_of
from bulkql.workers.resources.scope import batches

#: Ranges of keys that one statement looks through, and how far from each other they are at least.
MOST_RANGES = 8
FAR = 100


def marks_of(
    model: type[models.Model], alias: str, pks: Sequence[str] | pl.Series, columns: Sequence[str] | None = None
) -> pl.Series:
    """The marks of the rows with these primary keys, as text, one after the other; null where there is no such row.

    `columns` are those of the table that count, by default all that hold something of their own.
    """
    if not backend(alias).supports_copy:
        return marks_by_orm(model, alias, pks, columns)
    sql_of_mark = mark(alias, model, image_columns(model) if columns is None else columns)
    numbers = pl.Series("pk", pks, dtype=pl.String).cast(pl.Int64, strict=False)
    if isinstance(model._meta.pk, models.IntegerField) and (ranges := ranges_of(numbers)):
        return marks_in(ranges, model, alias, numbers, sql_of_mark)
    pk = pk_of(model, alias)
    sql = (
        f"SELECT array_agg(CASE WHEN {pk} IS NOT NULL THEN {sql_of_mark} END ORDER BY s.place)"  # noqa: S608
        f" FROM {rows_by_pk(model, alias, 'LEFT JOIN')}"
    )
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, both(pks))
        return pl.Series("mark", cursor.fetchone()[0] or [], dtype=pl.Int64)


def ranges_of(numbers: pl.Series) -> list[tuple[int, int]]:
    """A few ranges with these numbers, and as many others at most; none where they are scattered.

    Keys that were reserved follow each other, and so do those of rows that were there before.
    """
    if numbers.null_count() or numbers.is_empty():
        return []
    ordered = numbers.sort()
    starts = [0, *(ordered.diff() > FAR).arg_true()]
    if len(starts) > MOST_RANGES:
        return []
    ends = [*(start - 1 for start in starts[1:]), len(ordered) - 1]
    found = [(ordered[start], ordered[end]) for start, end in zip(starts, ends, strict=True)]
    return found if sum(high - low for low, high in found) < 2 * len(numbers) else []


def marks_in(
    ranges: list[tuple[int, int]], model: type[models.Model], alias: str, numbers: pl.Series, sql_of_mark: str
) -> pl.Series:
    """The marks of rows by keys in ranges (`pk`), which takes half as long as by a list of them."""
    pk, table = pk_of(model, alias), connections[alias].ops.quote_name(model._meta.db_table)
    is_within = " OR ".join(f"{pk} BETWEEN %s AND %s" for _ in ranges)
    with connections[alias].cursor() as cursor:
        cursor.execute(
            f"SELECT array_agg({pk}), array_agg({sql_of_mark}) FROM {table} t WHERE {is_within}",  # noqa: S608
            [end for both_ends in ranges for end in both_ends],
        )
        keys, marks = cursor.fetchone()
    found = pl.DataFrame({"pk": keys or [], "mark": marks or []}, schema={"pk": pl.Int64, "mark": pl.Int64})
    return numbers.to_frame().join(found, on="pk", how="left", maintain_order="left")["mark"]


def rows_by_pk(model: type[models.Model], alias: str, join: str = "JOIN") -> str:
    """A table `t` joined with `s`: primary keys as text, with pk and place (from 1). Its parameters are `both(pks)`.

    The keys are given twice: joined with the list alone, a table of any size is read from end to end.
    """
    connection, meta = connections[alias], model._meta
    pk, of_pk = pk_of(model, alias), meta.pk.rel_db_type(connection)
    return (
        f"unnest(%s::text[]) WITH ORDINALITY s(pk, place) {join} {connection.ops.quote_name(meta.db_table)} t"
        f" ON {pk} = s.pk::{of_pk} AND {pk} = ANY(%s::{of_pk}[])"
    )


def both(pks: Sequence[str] | pl.Series) -> list[str]:
    """The parameters of rows_by_pk."""
    return [text_array(pks)] * 2


def marks_by_orm(
    model: type[models.Model], alias: str, pks: Sequence[str] | pl.Series, columns: Sequence[str] | None
) -> pl.Series:
    """The same where the database has no hash of a row: each is read, and hashed here."""
    fields = [one for one in image_fields(model) if columns is None or one.column in columns]
    wanted = [model._meta.pk.to_python(pk) for pk in pks]
    found = {
        pk: number_of([one.get_prep_value(value) for one, value in zip(fields, values, strict=True)])
        for some in batches(wanted)
        for pk, *values in model._base_manager.using(alias)
        .filter(pk__in=some)
        .values_list("pk", *(one.attname for one in fields))
    }
    return pl.Series("mark", [found.get(pk) for pk in wanted], dtype=pl.Int64)


def number_of(values: list[Any]) -> int:
    """64 bits of values."""
    return int.from_bytes(hashlib.blake2b(repr(values).encode(), digest_size=8).digest(), signed=True)
