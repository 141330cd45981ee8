"""Clean rows -> any Django database, at the ORM's speed."""

from __future__ import annotations

from functools import partial
from typing import Any

import polars as pl
from django.db import models

from workers.frames import RESERVED_PK, ROW, given
from workers.models import Outcome
from workers.resources import BulkResource
from workers.writers.written import Written, bisect, outcomes


def create(resource: BulkResource, rows: pl.DataFrame) -> Written:
    """Insert the rows; those that violate a constraint are found by halving."""
    return bisect(resource, rows, partial(insert, resource))


def insert(resource: BulkResource, rows: pl.DataFrame) -> pl.DataFrame:
    """Insert all of these rows or raise DatabaseError; gives their outcomes."""
    instances = resource.model._base_manager.using(resource.database).bulk_create(instances_of(resource, rows))
    pks = pl.Series([None if one.pk is None else str(one.pk) for one in instances], dtype=pl.String)
    return outcomes(rows[ROW], Outcome.CREATED, pks)


def instances_of(resource: BulkResource, rows: pl.DataFrame) -> list[models.Model]:
    """Model instances; a field that a row does not give takes its default, as Django gives it."""
    columns = [
        (column.field.attname, column.python(rows[column.name]), rows[given(column.name)].to_list())
        for column in resource.columns.values()
    ]
    attributes: list[dict[str, Any]] = [{} for _ in range(rows.height)]
    for name, values, are_given in columns:
        for row, value, is_given in zip(attributes, values, are_given, strict=True):
            if is_given:
                row[name] = value
    if RESERVED_PK in rows.columns:
        for row, key in zip(attributes, rows[RESERVED_PK], strict=True):
            row.setdefault(resource.model._meta.pk.attname, key)
    return [resource.model(**row) for row in attributes]
