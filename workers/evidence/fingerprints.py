"""Rows of a table -> a number for each, which changes when any column of the row does."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import polars as pl
from django.db import connections, models

from bulkql.workers.backends import backend
from bulkql.workers.resources.scope import batches

#: Of rows by their primary key, as text.
FINGERPRINTS = {"pk": pl.String, "hash": pl.Int64}


def fingerprints(model: type[models.Model], alias: str, pks: list[str]) -> pl.DataFrame:
    """Of these rows, by their primary keys as text: pk, hash. Those that are not there are left out."""
    if not pks:
        return pl.DataFrame(schema=FINGERPRINTS)
    # The columns of a model that inherits from another table stand in two of them.
    is_one_table = all(field.model._meta.db_table == model._meta.db_table for field in model._meta.concrete_fields)
    found = (in_sql if backend(alias).supports_copy and is_one_table else in_python)(model, alias, pks)
    return pl.DataFrame(found, schema=FINGERPRINTS, orient="row")


def in_sql(model: type[models.Model], alias: str, pks: list[str]) -> list[tuple[str, int]]:
    """In one statement. The row as text: not every type of PostgreSQL has a hash of its own, and each has a text."""
    connection, meta = connections[alias], model._meta
    quote = connection.ops.quote_name
    columns = ", ".join(f"t.{quote(str(field.column))}" for field in meta.concrete_fields)
    pk = f"t.{quote(str(meta.pk.column))}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {pk}::text, hashtextextended(ROW({columns})::text, 0) FROM {quote(meta.db_table)} t"  # noqa: S608
            f" WHERE {pk} = ANY(%s::{meta.pk.rel_db_type(connection)}[])",
            [pks],
        )
        found: list[tuple[str, int]] = cursor.fetchall()
    return found


def in_python(model: type[models.Model], alias: str, pks: list[str]) -> list[tuple[str, int]]:
    """The same for any database; the numbers are others."""
    rows = model._base_manager.using(alias)
    keys = [model._meta.pk.to_python(pk) for pk in pks]
    return [
        (str(row.pk), digest_of_text(values_as_text(row))) for some in batches(keys) for row in rows.filter(pk__in=some)
    ]


def values_as_text(row: models.Model) -> str:
    """All values of an instance as text."""
    fields: Any = row._meta.concrete_fields
    return repr([field.get_prep_value(getattr(row, field.attname)) for field in fields])


def digest_of_text(text: str) -> int:
    """64 bits that tell a text."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), signed=True)
