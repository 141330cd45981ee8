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
from bulkql.workers.columns.copied import frame_of
from bulkql.workers.errors import Code, RowError
from bulkql.workers.frames import ROW, ROW_NUMBER, errors_at
from bulkql.workers.images.literals import image_columns, image_fields, mark
from bulkql.workers.resources.scope import batches

#: The place of a key in the list that was asked for, and what the row of the table is now.
MARKS = {"place": pl.Int64, "mark": pl.Int64}


def marks_of(
    model: type[models.Model], alias: str, pks: Sequence[str] | pl.Series, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """The marks of the rows with these primary keys, as text: place (in `pks`), mark; none for rows that are not there.

    `columns` are those of the table that count, by default all that hold something of their own.
    """
    if not backend(alias).supports_copy:
        return marks_by_orm(model, alias, pks, columns)
    wanted = image_columns(model) if columns is None else columns
    sql = f"SELECT s.place - 1, {mark(alias, model, wanted)} FROM {rows_by_pk(model, alias)}"  # noqa: S608
    return frame_of(alias, sql, [list(pks)], MARKS)


def rows_by_pk(model: type[models.Model], alias: str) -> str:
    """A table `t` joined with a parameter, a list of primary keys as text: `s`, with pk and place (from 1)."""
    connection, meta = connections[alias], model._meta
    quote = connection.ops.quote_name
    return (
        f"unnest(%s::text[]) WITH ORDINALITY s(pk, place) JOIN {quote(meta.db_table)} t"
        f" ON t.{quote(str(meta.pk.column))} = s.pk::{meta.pk.rel_db_type(connection)}"
    )


def marks_by_orm(
    model: type[models.Model], alias: str, pks: Sequence[str] | pl.Series, columns: Sequence[str] | None
) -> pl.DataFrame:
    """The same where the database has no hash of a row: each is read, and hashed here."""
    fields = [one for one in image_fields(model) if columns is None or one.column in columns]
    places = {model._meta.pk.to_python(pk): place for place, pk in enumerate(pks)}
    found = [
        (places[pk], number_of([one.get_prep_value(value) for one, value in zip(fields, values, strict=True)]))
        for some in batches(list(places))
        for pk, *values in model._base_manager.using(alias)
        .filter(pk__in=some)
        .values_list("pk", *(one.attname for one in fields))
    ]
    return pl.DataFrame(found, schema=MARKS, orient="row")


def number_of(values: list[Any]) -> int:
    """64 bits of values."""
    return int.from_bytes(hashlib.blake2b(repr(values).encode(), digest_size=8).digest(), signed=True)


def changed_since(
    model: type[models.Model], alias: str, expected: pl.DataFrame, columns: Sequence[str] | None = None
) -> pl.Series:
    """The rows that are no longer as expected, by their `__row`.

    `expected`: `__row`, pk (as text), mark (null where no row is expected to be there). Lock the rows before, where
    they are to be written afterwards.
    """
    found = marks_of(model, alias, expected["pk"], columns).rename({"mark": "now"})
    rows = expected.with_columns(place=pl.int_range(pl.len(), dtype=pl.Int64)).join(found, on="place", how="left")
    return rows.filter(pl.col("mark").ne_missing(pl.col("now")))[ROW].cast(ROW_NUMBER)


def conflicts(model: type[models.Model], rows: pl.Series, since: str) -> pl.DataFrame:
    """The row errors of rows that are not as expected; `since` tells since what: 'this operation wrote it'."""
    message = f"This {model._meta.verbose_name} was changed since {since}; it is left as it is."
    return errors_at(rows, RowError(None, Code.CONFLICT, message))
