"""Rows that the database took without an error -> those that a trigger kept out are named.

A BEFORE trigger that returns nothing drops a row, or puts it elsewhere: an audit's, a soft delete's, a partition's. The
statement succeeds, and only its count tells. Who counts on the row must know.
"""

from __future__ import annotations

import polars as pl
from django.db import connections

from bulkql.workers.backends import backend
from bulkql.workers.enums import Outcome, Verb
from bulkql.workers.errors import Code, RowError
from bulkql.workers.frames import ROW, errors_at
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.resources.scope import batches
from bulkql.workers.writers.written import Written

#: The bits of pg_trigger.tgtype: https://www.postgresql.org/docs/current/catalog-pg-trigger.html
EVENTS = {Verb.CREATE: 4, Verb.DELETE: 8, Verb.UPDATE: 16}
BEFORE_ROW = 1 | 2

HAS_TRIGGER = """
SELECT EXISTS (
    SELECT 1 FROM pg_trigger
    WHERE tgrelid = to_regclass(%s) AND NOT tgisinternal AND tgenabled <> 'D'
        AND tgtype & %s = %s AND tgtype & %s > 0
)
"""


def may_drop(resource: BulkResource, verb: Verb) -> bool:
    """Whether the table has a trigger that is asked before a row is created, updated or deleted."""
    if not backend(resource.database).supports_copy:
        return False
    connection = connections[resource.database]
    table = connection.ops.quote_name(resource.model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(HAS_TRIGGER, [table, BEFORE_ROW, BEFORE_ROW, EVENTS[verb]])
        return bool(cursor.fetchone()[0])


def but_for_dropped(resource: BulkResource, written: Written) -> Written:
    """Rows that were created, without those that are not there."""
    is_created = pl.col("outcome") == Outcome.CREATED.value
    created = written.outcomes.filter(is_created)
    there = there_of(resource, created["pk"])
    return without_dropped(resource, written, created.filter(~pl.col("pk").is_in(there.implode()))[ROW], "create")


def but_for_kept(resource: BulkResource, written: Written) -> Written:
    """Rows that were deleted, without those that are still there."""
    there = there_of(resource, written.outcomes["pk"])
    return without_dropped(
        resource, written, written.outcomes.filter(pl.col("pk").is_in(there.implode()))[ROW], "delete"
    )


def there_of(resource: BulkResource, pks: pl.Series) -> pl.Series:
    """Which of these primary keys, as text, the table has."""
    field = resource.model._meta.pk
    own = {field.to_python(text): text for text in pks}
    rows = resource.model._base_manager.using(resource.database)
    found = [own[pk] for some in batches(list(own)) for pk in rows.filter(pk__in=some).values_list("pk", flat=True)]
    return pl.Series(found, dtype=pl.String)


def without_dropped(resource: BulkResource, written: Written, rows: pl.Series, action: str) -> Written:
    """What was written, with errors in place of the outcomes of these rows."""
    if rows.is_empty():
        return written
    error = dropped(resource, action)
    outcomes = written.outcomes.filter(~pl.col(ROW).is_in(rows.implode()))
    return Written(outcomes, pl.concat([written.errors, errors_at(rows, error)]), written.cascades)


def dropped(resource: BulkResource, action: str) -> RowError:
    """What is said of a row that a trigger kept out."""
    name = resource.model._meta.verbose_name
    return RowError(None, Code.REJECTED, f"A trigger of the database did not let this {name} be {action}d.")
