"""Texts that differ and are equal to the database all the same: citext, collations that ignore case or accents.

Keys are compared outside of the database, too, where such texts have to be one. So the database is asked by what it
compares them; only whether a value changes is about the texts themselves.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import polars as pl
from django.db import connections, models, router

from bulkql.workers.backends import backend


def comparable_texts(field: models.Field[Any, Any], texts: pl.Series) -> pl.Series:
    """What the database compares a field's texts by: the same for those that are equal to it."""
    if not ignores_differences(field) or texts.null_count() == len(texts):
        return texts
    distinct, alias = texts.unique().drop_nulls(), database_of(field)
    collations = backend(alias).collations
    assert collations is not None
    statement = collations.keys.format(compared(alias, field))
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, [json.dumps(distinct.to_list())])
        keys = pl.Series([key for (key,) in cursor.fetchall()], dtype=pl.String)
    return texts.replace_strict(distinct, keys, default=None, return_dtype=pl.String)


def ignores_differences(field: models.Field[Any, Any]) -> bool:
    """Whether texts of the field's column may differ and be equal."""
    # A field of no model has no column that would.
    is_text = isinstance(field, models.CharField | models.TextField) and hasattr(field, "model")
    return is_text and compared(database_of(field), field) is not None


def database_of(field: models.Field[Any, Any]) -> str:
    return router.db_for_write(field.model)


@cache
def compared(alias: str, field: models.Field[Any, Any]) -> str | None:
    """What is compared of a text `v` of the column, in SQL; None where it is the text."""
    connection, collations = connections[alias], backend(alias).collations
    if collations is None:
        return None
    parameters = field.db_parameters(connection)
    collation = parameters.get("collation")
    if collation is None and str(parameters["type"]).startswith(collations.exact_types):
        return None
    table = field.model._meta.db_table
    names = {"table": table, "quoted": connection.ops.quote_name(table), "column": field.column, "collation": collation}
    with connection.cursor() as cursor:
        cursor.execute(collations.lookup, names)
        found: tuple[str | None] | None = cursor.fetchone()
        return found[0] if found is not None else None
