"""Rows of a table, by their primary keys -> which of them are no longer what they are expected to be.

What is expected of a row is its mark: 64 bits of all that stands in it. It is taken when the row is looked at or has
been written, and compared later, by a statement for any number of rows: who compares needs no old values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import polars as pl
from django.db import connections, models

from bulkql.workers.backends import backend
from bulkql.workers.columns.arrays import text_array
from bulkql.workers.errors import Code, RowError
from bulkql.workers.frames import errors_at
from bulkql.workers.images.literals import image_columns, image_fields, mark
from bulkql.workers.resources.scope import batches


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
    if isinstance(model._meta.pk, models.IntegerField) and (ends := ends_of(numbers)):
        return marks_in_range(model, alias, numbers, ends, sql_of_mark)
    pk = pk_of(model, alias)
    sql = (
        f"SELECT array_agg(CASE WHEN {pk} IS NOT NULL THEN {sql_of_mark} END ORDER BY s.place)"  # noqa: S608
        f" FROM {rows_by_pk(model, alias, 'LEFT JOIN')}"
    )
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, both(pks))
        return pl.Series("mark", cursor.fetchone()[0] or [], dtype=pl.Int64)


def ends_of(numbers: pl.Series) -> tuple[int, int] | None:
    """The least and the greatest number where at least half of those between are wanted, as of keys once reserved."""
    low, high = numbers.min(), numbers.max()
    if isinstance(low, int) and isinstance(high, int) and high - low < 2 * len(numbers):
        return low, high
    return None


def marks_in_range(
    model: type[models.Model], alias: str, numbers: pl.Series, ends: tuple[int, int], sql_of_mark: str
) -> pl.Series:
    """The marks of rows by keys that follow each other (`pk`): a range takes half as long as a list of them."""
    pk, table = pk_of(model, alias), connections[alias].ops.quote_name(model._meta.db_table)
    with connections[alias].cursor() as cursor:
        cursor.execute(
            f"SELECT array_agg({pk}), array_agg({sql_of_mark}) FROM {table} t WHERE {pk} BETWEEN %s AND %s",  # noqa: S608
            ends,
        )
        keys, marks = cursor.fetchone()
    found = pl.DataFrame({"pk": keys or [], "mark": marks or []}, schema={"pk": pl.Int64, "mark": pl.Int64})
    return numbers.to_frame().join(found, on="pk", how="left", maintain_order="left")["mark"]


def pk_of(model: type[models.Model], alias: str) -> str:
    """The primary key of a row `t` of the table."""
    return f"t.{connections[alias].ops.quote_name(str(model._meta.pk.column))}"


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


def conflicts(model: type[models.Model], rows: pl.Series, since: str) -> pl.DataFrame:
    """The row errors of rows that are not as expected; `since` tells since what: 'this operation wrote it'."""
    message = f"This {model._meta.verbose_name} was changed since {since}; it is left as it is."
    return errors_at(rows, RowError(None, Code.CONFLICT, message))
