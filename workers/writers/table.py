"""Clean rows -> the columns of a PostgreSQL table, ready for COPY."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, Any

import polars as pl
from django.db import connections, models
from psycopg.adapt import PyFormat, Transformer

from bulkql.workers.columns.column import Column, text_of
from bulkql.workers.enums import Verb
from bulkql.workers.frames import RESERVED_PK, ROW, given
from bulkql.workers.resources.lanes import fields_to_write, has_stock_pre_save
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import BulkResource

if TYPE_CHECKING:
    from psycopg import abc


@dataclass(frozen=True, slots=True)
class Table:
    """`frame`: `__row`, then one column for each of the table's `columns`, under their names in the database.

    `given`: for columns that not all rows give, the column of the frame that says which do.
    """

    name: str
    columns: tuple[str, ...]
    pk: str
    frame: pl.DataFrame
    given: dict[str, str] = dataclass_field(default_factory=dict)


def is_copyable(model: type[models.Model]) -> bool:
    """Whether no field needs an instance to make its value; COPY has none, so bulk_create writes the others."""
    return all(map(has_stock_pre_save, fields_to_write(model)))


def table_of(resource: BulkResource, rows: pl.DataFrame) -> Table:
    """All columns of the table: what the rows give, and defaults for the rest."""
    meta = resource.model._meta
    fields = fields_to_write(resource.model)
    series = [column_of(resource, field, rows).alias(str(field.column)) for field in fields]
    return Table(
        name=meta.db_table,
        columns=tuple(str(field.column) for field in fields),
        pk=str(meta.pk.column),
        frame=pl.DataFrame([rows[ROW], *series]),
    )


def changes_of(plan: Plan, rows: pl.DataFrame) -> Table:
    """What becomes of rows that are there; for an upsert, what new ones would be too.

    An update has the columns that some row gives, a replacement all that rows may give, an upsert all of the table.
    """
    columns = list(plan.columns.values())
    if plan.verb == Verb.UPSERT:
        table = table_of(plan.resource, rows)
        series = [table.frame[name] for name in table.columns]
        return replace(table, **with_given(columns, rows, series))
    if plan.verb == Verb.UPDATE:
        columns = [one for one in columns if one.name in plan.match_by or rows[given(one.name)].any()]
        series = [copy_values(plan.resource, one, rows).alias(str(one.field.column)) for one in columns]
        given_by_some = with_given(columns, rows, series)
    else:
        series = [filled(plan, one, rows).alias(str(one.field.column)) for one in columns]
        # What a row leaves out takes its default, but for the moment of its creation.
        given_by_some = with_given([one for one in columns if is_set_once(one)], rows, series)
    meta = plan.resource.model._meta
    names = tuple(str(one.field.column) for one in columns)
    return Table(name=meta.db_table, columns=names, pk=str(meta.pk.column), **given_by_some)


def filled(plan: Plan, column: Column, rows: pl.DataFrame) -> pl.Series:
    """A column's values, with defaults for the rows that do not give it."""
    if column.name in plan.match_by:
        return copy_values(plan.resource, column, rows)
    return column_of(plan.resource, column.field, rows)


def is_set_once(column: Column) -> bool:
    return bool(getattr(column.field, "auto_now_add", False))


def with_given(columns: list[Column], rows: pl.DataFrame, series: list[pl.Series]) -> dict[str, Any]:
    """A table's frame, with the columns that say which rows give what."""
    masks = {str(one.field.column): given(one.name) for one in columns if not rows[given(one.name)].all()}
    return {"frame": pl.DataFrame([rows[ROW], *series, *(rows[mask] for mask in masks.values())]), "given": masks}


def column_of(resource: BulkResource, field: models.Field[Any, Any], rows: pl.DataFrame) -> pl.Series:
    """One column of the table."""
    column = resource.columns.get(field.name)
    if field.primary_key and RESERVED_PK in rows.columns:
        given_pk = rows[column.name] if column is not None else None
        return rows[RESERVED_PK] if given_pk is None else given_pk.fill_null(rows[RESERVED_PK])
    if column is None:
        return pl.Series(copy_texts(field, defaults(resource, field, rows.height), resource.database), dtype=pl.String)
    values = copy_values(resource, column, rows)
    is_given = rows[given(column.name)]
    if is_given.all():
        return values
    return with_defaults(resource, column, values, is_given)


def copy_values(resource: BulkResource, column: Column, rows: pl.DataFrame) -> pl.Series:
    """What rows give for a column, as COPY takes it."""
    if column.is_plain:
        return rows[column.name]
    return pl.Series(copy_texts(column.field, column.python(rows[column.name]), resource.database), dtype=pl.String)


def with_defaults(resource: BulkResource, column: Column, values: pl.Series, is_given: pl.Series) -> pl.Series:
    """Defaults for the rows that do not give the column."""
    default = defaults(resource, column.field, len(values))
    if column.is_plain and column.dtype != pl.String:
        filling = pl.Series(default, dtype=column.dtype)
    elif column.is_plain:
        filling = pl.Series([text_of(value) for value in default], dtype=pl.String)
    else:
        filling = pl.Series(copy_texts(column.field, default, resource.database), dtype=pl.String)
    return values.zip_with(is_given, filling)


def defaults(resource: BulkResource, field: models.Field[Any, Any], count: int) -> list[Any]:
    """As many defaults as there are rows: from the clock, the database or the field."""
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return [field.pre_save(resource.model(), add=True)] * count
    if field.has_db_default():
        return database_defaults(resource.database, field, count)
    if field.has_default() and callable(field.default):
        return [field.get_default() for _ in range(count)]
    return [field.get_default()] * count


def database_defaults(alias: str, field: models.Field[Any, Any], count: int) -> list[Any]:
    """What the database gives by default, computed once a row."""
    with connections[alias].schema_editor(collect_sql=True, atomic=False) as editor:
        sql, params = editor.db_default_sql(field)
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT {sql} FROM generate_series(1, %s)", [*params, count])  # noqa: S608  (the model's own)
        return [value for (value,) in cursor.fetchall()]


def copy_texts(field: models.Field[Any, Any], values: list[Any], alias: str) -> list[str | None]:
    """Python values -> what PostgreSQL reads in COPY, by the field's and psycopg's own rules."""
    connection = connections[alias]
    connection.ensure_connection()
    transformer = Transformer.from_context(connection.connection)
    return [text(field.get_db_prep_save(value, connection), transformer) for value in values]


def text(value: Any, transformer: abc.Transformer) -> str | None:
    """One value in PostgreSQL's text format."""
    if value is None:
        return None
    return bytes(transformer.get_dumper(value, PyFormat.TEXT).dump(value) or b"").decode()


def copy(alias: str, table: str, columns: tuple[str, ...], frame: pl.DataFrame) -> None:
    """COPY a frame into a table; raises Django's database errors."""
    connection = connections[alias]
    quoted = ", ".join(connection.ops.quote_name(column) for column in columns)
    statement = f"COPY {connection.ops.quote_name(table)} ({quoted}) FROM STDIN (FORMAT csv)"
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as stream:
        stream.write(as_csv(frame.select(columns)))


def as_csv(frame: pl.DataFrame) -> bytes:
    """CSV in which null and the empty text stay two things: nothing, and two quotes."""
    buffer = io.BytesIO()
    frame.write_csv(buffer, include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")
    return buffer.getvalue()
