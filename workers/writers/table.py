"""Clean rows -> the columns of a PostgreSQL table, ready for COPY."""

from __future__ import annotations

from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import Any

import polars as pl
from django.db import models

from bulkql.workers.columns.column import Column
from bulkql.workers.columns.copying import copy_values, default_texts, with_defaults
from bulkql.workers.enums import Verb
from bulkql.workers.frames import RESERVED_PK, ROW, given
from bulkql.workers.resources.lanes import fields_to_write, has_stock_pre_save
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import BulkResource


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
        series = [
            copy_values(one, rows[one.name], plan.resource.database).alias(str(one.field.column)) for one in columns
        ]
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
        return values_of(plan.resource, column, rows)
    return column_of(plan.resource, column.field, rows)


def is_set_once(column: Column) -> bool:
    return bool(getattr(column.field, "auto_now_add", False))


def with_given(columns: list[Column], rows: pl.DataFrame, series: list[pl.Series]) -> dict[str, Any]:
    """A table's frame, with the columns that say which rows give what."""
    masks = {str(one.field.column): given(one.name) for one in columns if not rows[given(one.name)].all()}
    return {"frame": pl.DataFrame([rows[ROW], *series, *(rows[mask] for mask in masks.values())]), "given": masks}


def column_of(resource: BulkResource, field: models.Field[Any, Any], rows: pl.DataFrame) -> pl.Series:
    """One column of the table."""
    column, alias = resource.columns.get(field.name), resource.database
    if field.primary_key and RESERVED_PK in rows.columns:
        given_pk = rows[column.name] if column is not None else None
        return rows[RESERVED_PK] if given_pk is None else given_pk.fill_null(rows[RESERVED_PK])
    if column is None or not rows[given(column.name)].any():
        return default_texts(field, rows.height, alias)
    values, is_given = copy_values(column, rows[column.name], alias), rows[given(column.name)]
    return values if is_given.all() else with_defaults(column, values, is_given, alias)


def values_of(resource: BulkResource, column: Column, rows: pl.DataFrame) -> pl.Series:
    """What rows give for a column, as COPY takes it."""
    return copy_values(column, rows[column.name], resource.database)
