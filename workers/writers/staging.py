"""Rows among which some violate a constraint -> the guilty ones named, the others written.

The rows wait in a temporary table, and one query for each constraint finds all that violate it. What is left goes in
with one COPY. A constraint that Django knows nothing of still refuses that COPY; then halving finds the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

import polars as pl
from django.db import DatabaseError, NotSupportedError, connections, models, transaction

from bulkql.workers.columns.arrays import array
from bulkql.workers.columns.copying import copy
from bulkql.workers.enums import Outcome
from bulkql.workers.errors import RowError
from bulkql.workers.frames import ROW, errors_at, no_errors
from bulkql.workers.resources.constraints import Constraint, held_by_another, in_sql, told_by_database
from bulkql.workers.resources.keys import UniqueKey, same_key
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.writers.table import Table
from bulkql.workers.writers.violations import (
    check_violation,
    is_of_a_row,
    reference_violation,
    unique_violation,
    violation_of_constraint,
)
from bulkql.workers.writers.written import NO_OUTCOMES, Written, bisect, outcomes

STAGING = "bulkql_staging"


def create_staged(resource: BulkResource, table: Table, given_keys: list[UniqueKey]) -> Written:
    """Insert the table's innocent rows. `given_keys` are those that rows give; a reserved one is hardly ever taken."""
    table, refused = stage_all(resource, table)
    # References were resolved a moment ago: hardly ever is one of them gone.
    errors = guilty_errors(resource, table, keys=given_keys, asks_references=False)
    rows = innocent(table, errors)
    if copied(resource, table, rows):
        return Written(created_outcomes(table, rows), pl.concat([refused, errors]))
    errors = guilty_errors(resource, table)
    rows = innocent(table, errors)
    if copied(resource, table, rows):
        return Written(created_outcomes(table, rows), pl.concat([refused, errors]))
    written = written_by_halves(resource, rows, partial(insert_staged, resource, table))
    return Written(written.outcomes, pl.concat([refused, errors, written.errors]))


def innocent(table: Table, errors: pl.DataFrame) -> pl.DataFrame:
    """The table's rows without those of the errors."""
    return table.frame.filter(~pl.col(ROW).is_in(errors[ROW].implode()))


def copied(resource: BulkResource, table: Table, rows: pl.DataFrame) -> bool:
    """COPY these rows; whether none of them was refused."""
    try:
        with transaction.atomic(using=resource.database):
            copy(resource.database, table.name, table.columns, rows)
    # Row level security is in COPY's way, and not in that of an INSERT.
    except NotSupportedError:
        return False
    except DatabaseError as error:
        if not is_of_a_row(error):
            raise
        return False
    return True


def stage(resource: BulkResource, table: Table) -> None:
    """The rows in a temporary table of the same columns, without any constraint."""
    make_staging(resource, table)
    copy_to_staging(resource, table, table.frame)


def stage_all(resource: BulkResource, table: Table) -> tuple[Table, pl.DataFrame]:
    """Stage the rows but those whose values their fields take and PostgreSQL does not, such as an enum's or a domain's.

    Gives the table of those that are staged, and the row errors of the others.
    """

    def stage_some(rows: pl.DataFrame) -> pl.DataFrame:
        copy_to_staging(resource, table, rows)
        return NO_OUTCOMES

    make_staging(resource, table)
    errors = bisect(resource, table.frame, stage_some).errors
    return (table if errors.is_empty() else replace(table, frame=innocent(table, errors))), errors


def make_staging(resource: BulkResource, table: Table) -> None:
    """The temporary table, without rows."""
    quote = connections[resource.database].ops.quote_name
    columns = [quote(column) for column in table.columns]
    masks = [f"true AS {quote(mask)}" for mask in table.given.values()]
    with connections[resource.database].cursor() as cursor:
        cursor.execute(
            f"DROP TABLE IF EXISTS {STAGING};"  # noqa: S608  (names of the model's own table)
            f" CREATE TEMPORARY TABLE {STAGING} ON COMMIT DROP AS"
            f" SELECT 0 AS {quote(ROW)}, {', '.join([*columns, *masks])} FROM {quote(table.name)} WITH NO DATA"
        )


def copy_to_staging(resource: BulkResource, table: Table, rows: pl.DataFrame) -> None:
    copy(resource.database, STAGING, (ROW, *table.columns, *table.given.values()), rows)


def written_by_halves(
    resource: BulkResource, rows: pl.DataFrame, write: Callable[[pl.DataFrame], pl.DataFrame]
) -> Written:
    """Write staged rows but those that the database refuses, each found by halving."""
    quote = connections[resource.database].ops.quote_name
    with connections[resource.database].cursor() as cursor:
        # Else each of so many statements would read all of the staged rows to find its own.
        cursor.execute(f"CREATE INDEX IF NOT EXISTS {STAGING}_row ON {STAGING} ({quote(ROW)})")
    return bisect(resource, rows, write)


def analyze(resource: BulkResource) -> None:
    """Tell the planner of the staged rows, where they are to be joined with rows that change."""
    with connections[resource.database].cursor() as cursor:
        # A sample of some thousand rows: how many there are is what counts.
        cursor.execute(f"SET LOCAL default_statistics_target = 10; ANALYZE {STAGING}")


def guilty(
    resource: BulkResource, table: Table, source: str, keys: Iterable[UniqueKey], asks_references: bool
) -> Iterator[tuple[list[int], RowError]]:
    """The rows of `source` that violate each constraint: of the staged rows, or of what rows of the table would be."""
    for name, sql in missing_references(resource, source) if asks_references else ():
        yield rows_of(resource, sql), reference_violation(name)
    for constraint in resource.model._meta.constraints:
        if isinstance(constraint, models.CheckConstraint):
            yield rows_found(resource, violating(resource, constraint, source)), check_violation(constraint)
    for key in keys:
        yield rows_of(resource, already_there(resource, table, key, source)), unique_violation(resource, key)
    for rule, violation in rules_of_database(resource):
        yield rows_held_by_others(resource, table, rule, source), violation


def guilty_errors(
    resource: BulkResource,
    table: Table,
    source: str = STAGING,
    keys: Iterable[UniqueKey] | None = None,
    asks_references: bool = True,
) -> pl.DataFrame:
    """Their row errors: `__row`, path, code, message, data.

    A row may violate several constraints: the first one found stands for it.
    """
    found = guilty(resource, table, source, resource.unique_keys if keys is None else keys, asks_references)
    errors = pl.concat([no_errors(), *(errors_at(*one) for one in found)])
    return errors.unique(ROW, keep="first", maintain_order=True)


def missing_references(resource: BulkResource, source: str) -> Iterator[tuple[str, str]]:
    """Foreign keys whose row was deleted after they were resolved."""
    quote = connections[resource.database].ops.quote_name
    for field in resource.model._meta.concrete_fields:
        # The stubs do not know db_constraint.
        if isinstance(field, models.ForeignKey) and getattr(field, "db_constraint", True):
            target = field.target_field
            key, reference = quote(str(target.column)), quote(str(field.column))
            yield (
                field.name,
                f"SELECT s.{quote(ROW)} FROM {source} s LEFT JOIN {quote(target.model._meta.db_table)} t"  # noqa: S608
                f" ON t.{key} = s.{reference} WHERE s.{reference} IS NOT NULL AND t.{key} IS NULL",
            )


def rows_found(resource: BulkResource, sql: str) -> list[int]:
    """The rows that a query of the model's own expressions finds; none where these fail for one: halving finds that."""
    try:
        with transaction.atomic(using=resource.database):
            return rows_of(resource, sql)
    except DatabaseError as error:
        if not is_of_a_row(error):
            raise
        return []


def violating(resource: BulkResource, constraint: models.CheckConstraint, source: str) -> str:
    """A check constraint's own SQL, over the source's rows."""
    connection = connections[resource.database]
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        # Private to Django, so not in the stubs; the public constraint_sql wraps it in DDL.
        sql = constraint._get_check_sql(resource.model, editor)  # type: ignore[attr-defined]
    return f"SELECT {connection.ops.quote_name(ROW)} FROM {source} WHERE NOT ({sql})"  # noqa: S608


def already_there(resource: BulkResource, table: Table, key: UniqueKey, source: str) -> str:
    """Rows of the source whose key another row of the table has."""
    quote = connections[resource.database].ops.quote_name
    # A row that is there already is not in its own way.
    others = "" if source == STAGING else f" AND t.{quote(table.pk)} <> s.{quote(table.pk)}"
    return (
        f"SELECT s.{quote(ROW)} FROM {source} s JOIN {quote(table.name)} t"  # noqa: S608
        f" ON {same_key(resource.model, resource.database, key)}{others}"
    )


def rules_of_database(resource: BulkResource) -> Iterator[tuple[Constraint, RowError]]:
    """What else no two rows of the table share, and its violation."""
    for rule in told_by_database(resource.model):
        violation = unique_violation(resource, rule) if isinstance(rule, UniqueKey) else violation_of_constraint(rule)
        yield in_sql(resource.model, resource.database, rule), violation


def rows_held_by_others(resource: BulkResource, table: Table, rule: Constraint, source: str) -> list[int]:
    """The rows of the source that another row of the table is in the way of."""
    quote = connections[resource.database].ops.quote_name
    pk = None if source == STAGING else quote(table.pk)
    return rows_found(resource, held_by_another(rule, quote(table.name), source, quote(ROW), pk))


def rows_of(resource: BulkResource, sql: str) -> list[int]:
    """The rows that a query over the staged ones finds."""
    with connections[resource.database].cursor() as cursor:
        cursor.execute(sql)
        return [row for (row,) in cursor.fetchall()]


def insert_staged(resource: BulkResource, table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Insert these staged rows; gives their outcomes."""
    quote = connections[resource.database].ops.quote_name
    columns = ", ".join(quote(column) for column in table.columns)
    with connections[resource.database].cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {quote(table.name)} ({columns}) OVERRIDING SYSTEM VALUE"  # noqa: S608
            f" SELECT {columns} FROM {STAGING} WHERE {quote(ROW)} = ANY(%s::int[]) ORDER BY {quote(ROW)}",
            [array(rows[ROW])],
        )
    return created_outcomes(table, rows)


def created_outcomes(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """The outcomes of rows that all went in."""
    return outcomes(rows[ROW], Outcome.CREATED, rows[table.pk].cast(pl.String))
