"""Clean rows -> a PostgreSQL table, through COPY."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl
from django.db import DatabaseError, NotSupportedError, transaction

from bulkql.workers.columns.copying import copy
from bulkql.workers.enums import Verb
from bulkql.workers.frames import RESERVED_PK, given
from bulkql.workers.resources.keys import UniqueKey
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import BulkResource, field_of
from bulkql.workers.writers import orm, staging
from bulkql.workers.writers.merging import merge
from bulkql.workers.writers.table import Table, is_copyable, table_of
from bulkql.workers.writers.triggers import but_for_dropped, may_drop
from bulkql.workers.writers.violations import is_of_a_row
from bulkql.workers.writers.written import Written

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def write(plan: Plan, rows: pl.DataFrame, user: User | None) -> Written:
    """Create, update, replace or upsert the rows."""
    return create(plan.resource, rows) if plan.verb == Verb.CREATE else merge(plan, rows, user)


def create(resource: BulkResource, rows: pl.DataFrame) -> Written:
    """Insert the rows (`__row`, values, `given:`, and `__pk` where primary keys were reserved)."""
    if not is_copyable(resource.model):
        return orm.create(resource, rows)
    table = in_key_order(resource, table_of(resource, rows))
    try:
        with transaction.atomic(using=resource.database):
            count = copy(resource.database, table.name, table.columns, table.frame)
    except DatabaseError as error:
        if not is_of_a_row(error) and not isinstance(error, NotSupportedError):
            raise
        # COPY stops at the first guilty row and does not look at the others: find them all at once.
        written = staging.create_staged(resource, table, given_keys(resource, rows))
        return but_for_dropped(resource, written) if may_drop(resource, Verb.CREATE) else written
    written = Written(staging.created_outcomes(table, table.frame))
    return written if count == table.frame.height else but_for_dropped(resource, written)


def in_key_order(resource: BulkResource, table: Table) -> Table:
    """The same rows by their first unique key that is not made up by a default, for that is a random order.

    Transactions that create the same keys wait for each other. In two different orders they wait for ever, and
    PostgreSQL takes a second to see that, each time.
    """
    pk = resource.pk.name
    of_keys = (
        [field_of(resource.model, name) for name in key.fields] for key in resource.unique_keys if key.fields != (pk,)
    )
    fields = next((fields for fields in of_keys if not any(field.has_default() for field in fields)), None)
    if fields is None:
        return table
    columns = [str(field.column) for field in fields]
    # Of rows that collide in a way that only the database sees, the first one is written.
    return replace(table, frame=table.frame.sort(columns, maintain_order=True))


def given_keys(resource: BulkResource, rows: pl.DataFrame) -> list[UniqueKey]:
    """The unique keys but for the primary key, where it is reserved for all rows."""
    pk = resource.pk.name
    is_reserved = RESERVED_PK in rows.columns and not (given(pk) in rows.columns and rows[given(pk)].any())
    return [key for key in resource.unique_keys if not (is_reserved and key.fields == (pk,))]
