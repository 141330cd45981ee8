"""Values of columns -> what PostgreSQL's COPY reads."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
from django.db import connections, models
from psycopg.adapt import PyFormat, Transformer

from bulkql.workers.backends import backend
from bulkql.workers.columns.cleaning import in_utc, text_of
from bulkql.workers.columns.column import Column

if TYPE_CHECKING:
    from psycopg import abc

#: Parts of a compound SELECT; SQLite takes no more.
SELECTS = 500


def copy_values(column: Column, values: pl.Series, alias: str) -> pl.Series:
    """What rows give for a column, as COPY takes it."""
    if column.is_plain:
        return values
    if type(column.field) is models.JSONField and column.field.encoder is None:
        # As it was sent: Python would round its numbers. Its null is the database's.
        text = pl.lit(values)
        return pl.select(pl.when(text.str.strip_chars() != "null").then(text).alias(values.name)).to_series()
    return pl.Series(copy_texts(column.field, column.python(values), alias), dtype=pl.String)


def with_defaults(column: Column, values: pl.Series, is_given: pl.Series, alias: str) -> pl.Series:
    """Defaults for the rows that do not give the column."""
    default = defaults(alias, column.field, len(values))
    if column.is_plain and column.dtype != pl.String:
        # A default may be written otherwise than the field's values: BooleanField(default=1), a date as a text.
        values_of_field = [in_utc(column.value_field.to_python(value)) for value in default]
        filling = pl.Series(values_of_field, dtype=column.dtype)
    elif column.is_plain:
        filling = pl.Series([text_of(value) for value in default], dtype=pl.String)
    else:
        filling = pl.Series(copy_texts(column.field, default, alias), dtype=pl.String)
    return values.zip_with(is_given, as_many(filling, len(values)))


def default_texts(field: models.Field[Any, Any], count: int, alias: str) -> pl.Series:
    """A field's defaults, one for each row, as COPY takes them."""
    return as_many(pl.Series(copy_texts(field, defaults(alias, field, count), alias), dtype=pl.String), count)


def as_many(filling: pl.Series, count: int) -> pl.Series:
    """One value for all rows, or one for each."""
    return filling.new_from_index(0, count) if len(filling) == 1 else filling


def defaults(alias: str, field: models.Field[Any, Any], count: int) -> list[Any]:
    """As many defaults as there are rows, or one for all of them: from the clock, the database or the field."""
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return [field.pre_save(field.model(), add=True)]
    if has_only_db_default(field):
        return database_defaults(alias, field, count)
    if field.has_default() and callable(field.default):
        return [field.get_default() for _ in range(count)]
    return [field.get_default()]


def has_only_db_default(field: models.Field[Any, Any]) -> bool:
    """Whether the database makes a field's default: of two, Django takes the model's own."""
    return field.has_db_default() and not field.has_default()


def database_defaults(alias: str, field: models.Field[Any, Any], count: int) -> list[Any]:
    """What the database gives by default, computed once a row."""
    # Not entered: SQLite's editor cannot be within a transaction, and nothing is changed by it.
    sql, params = connections[alias].schema_editor(collect_sql=True, atomic=False).db_default_sql(field)
    with connections[alias].cursor() as cursor:
        if backend(alias).supports_copy:
            cursor.execute(f"SELECT {sql} FROM generate_series(1, %s)", [*params, count])  # noqa: S608  (the model's own)
            values = [value for (value,) in cursor.fetchall()]
        else:
            values = []
            for start in range(0, count, SELECTS):
                some = min(SELECTS, count - start)
                cursor.execute(" UNION ALL ".join([f"SELECT {sql}"] * some), [*params] * some)
                values += [value for (value,) in cursor.fetchall()]
    # What Django does to a value of the field that it reads: JSON comes as a text.
    column = field.get_col(field.model._meta.db_table)
    for convert in (*connections[alias].ops.get_db_converters(column), *column.get_db_converters(connections[alias])):
        values = [convert(value, column, connections[alias]) for value in values]
    return values


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


def copy(alias: str, table: str, columns: tuple[str, ...], frame: pl.DataFrame) -> int:
    """COPY a frame into a table; gives how many rows the table took, and raises Django's database errors."""
    connection = connections[alias]
    quoted = ", ".join(connection.ops.quote_name(column) for column in columns)
    statement = f"COPY {connection.ops.quote_name(table)} ({quoted}) FROM STDIN (FORMAT csv)"
    with connection.cursor() as cursor:
        with connection.wrap_database_errors, cursor.copy(statement) as stream:
            stream.write(copy_csv(frame.select(columns)))
        return int(cursor.rowcount)


def copy_csv(frame: pl.DataFrame) -> bytes:
    """CSV in which null and the empty text stay two things: nothing, and two quotes."""
    buffer = io.BytesIO()
    # Up to PostgreSQL 17 a line of \. alone, without quotes, ends the COPY: whatever follows would be left out.
    quotes: Literal["necessary", "non_numeric"] = "non_numeric" if frame.width == 1 else "necessary"
    frame.write_csv(buffer, include_header=False, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ", quote_style=quotes)
    return buffer.getvalue()
