"""Foreign keys -> the rows that they point to, asked for once a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from django.db import models

from workers.columns import Column
from workers.frames import ROW, no_errors
from workers.resources import BulkResource, resource_of
from workers.validation import Validated, without

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Keys asked for in one query; SQLite takes no more than 32,766 parameters.
KEYS_A_QUERY = 10_000


def resolve(resource: BulkResource, validated: Validated, user: User | None) -> Validated:
    """Take out the rows whose foreign keys point to nothing that the user may see."""
    references = [column for column in resource.columns.values() if column.target is not None]
    errors = [unresolved(resource, column, validated.rows, user) for column in references]
    return without(validated, pl.concat([no_errors(), *errors]))


def unresolved(resource: BulkResource, column: Column, rows: pl.DataFrame, user: User | None) -> pl.DataFrame:
    """The row errors of one foreign key."""
    wanted = rows[column.name].unique().drop_nulls()
    known = existing(resource, column, wanted, user)
    unknown = wanted.filter(~column.comparable(wanted).is_in(known.implode())) if not known.is_empty() else wanted
    if unknown.is_empty():
        return no_errors()
    assert column.target is not None
    name = column.target._meta.verbose_name
    return rows.filter(pl.col(column.name).is_in(unknown.implode())).select(
        pl.col(ROW).cast(pl.Int64).alias("index"),
        path=pl.lit(column.graphql_name),
        code=pl.lit("REFERENCE_NOT_FOUND"),
        message=pl.format(f"There is no {name} {{}}.", pl.col(column.name).cast(pl.String)),
        data=pl.col(column.name).cast(pl.String),
    )


def existing(resource: BulkResource, column: Column, wanted: pl.Series, user: User | None) -> pl.Series:
    """Which of these keys are there, in comparable form, among the rows that the user may see and the field allows."""
    assert isinstance(column.field, models.ForeignKey)
    assert column.target is not None
    target = resource_of(column.target)
    queryset = target.get_queryset(user) if target is not None else column.target._base_manager.all()
    queryset = queryset.using(resource.database).complex_filter(column.field.get_limit_choices_to())
    key = column.field.target_field.attname
    values = column.python(wanted)
    found = [
        value
        for start in range(0, len(values), KEYS_A_QUERY)
        for value in queryset.filter(**{f"{key}__in": values[start : start + KEYS_A_QUERY]})
        .order_by()
        .values_list(key, flat=True)
    ]
    return column.comparable(column.series(found, [str(value) for value in found]))
