"""What users' apps hook into: their own rules for rows, what belongs to a chunk, and what they want to hear of."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from uuid import UUID

import polars as pl
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction

from bulkql.workers.backends import durable
from bulkql.workers.columns.column import graphql_name
from bulkql.workers.enums import Verb
from bulkql.workers.errors import RowError, let_frames_go
from bulkql.workers.frames import ERRORS, ROW, errors_of, given, no_errors
from bulkql.workers.ledger.entries import Entry
from bulkql.workers.models import Chunk, Operation
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import BulkResource, ChunkOutcome
from bulkql.workers.signals import chunk_written, operation_finished
from bulkql.workers.validation.codes import code_expression, code_of
from bulkql.workers.validation.values import Validated, message_of, without


def cleaned(plan: Plan, validated: Validated) -> Validated:
    """The rows that the resource's own rules take."""
    if plan.verb == Verb.DELETE or validated.rows.is_empty():
        return validated
    rules = type(plan.resource)
    if rules.clean_rows is not BulkResource.clean_rows:
        validated = without(validated, by_columns(plan, validated.rows))
    if rules.clean_row is not BulkResource.clean_row:
        validated = without(validated, by_rows(plan, validated.rows))
    return validated


def by_columns(plan: Plan, rows: pl.DataFrame) -> pl.DataFrame:
    """What clean_rows finds, in rows with `__row` and the plan's columns: `__row`, path, code, message, data."""
    shown = rows.rename({ROW: "row"}).select("row", *(name for name in rows.columns if name in columns_shown(plan)))
    found = plan.resource.clean_rows(shown)
    if found is None:
        return no_errors()
    # A rule may build its frame by hand: with numbers of another type, or with a code that clients do not know.
    errors = found.rename({"row": ROW}).select(pl.col(name).cast(dtype) for name, dtype in ERRORS.items())
    return errors.with_columns(code_expression("code"))


def as_stored(plan: Plan, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with what the resource makes of some fields' values: hashes of passwords. Value by value."""
    ways = {name: way for name, way in plan.resource.written_as.items() if name in plan.columns}
    made = (rows[name].map_elements(way, pl.String) for name, way in ways.items())
    return rows.with_columns(*made) if ways and plan.verb != Verb.DELETE else rows


def columns_shown(plan: Plan) -> set[str]:
    return {name for column in (*plan.columns, *plan.lists) for name in (column, given(column))}


def by_rows(plan: Plan, rows: pl.DataFrame) -> pl.DataFrame:
    """What clean_row finds, in rows with `__row` and the plan's columns: `__row`, path, code, message, data."""
    columns = [*plan.columns.values(), *(column for column, *_ in plan.lists.values())]
    values = zip(*(one.python(rows[one.name]) for one in columns), strict=True)
    are_given = rows.select(given(one.name) for one in columns).iter_rows()
    found: list[tuple[int, RowError]] = []
    for row, row_values, row_given in zip(rows[ROW], values, are_given, strict=True):
        try:
            plan.resource.clean_row(
                {
                    one.name: value
                    for one, value, is_given in zip(columns, row_values, row_given, strict=True)
                    if is_given
                }
            )
        except ValidationError as error:
            found += [(row, one) for one in row_errors_of(error)]
            let_frames_go(error)
    return errors_of(found)


def row_errors_of(error: ValidationError) -> Iterator[RowError]:
    """A row error for each error in a ValidationError."""
    by_field = error.error_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.error_list}
    for field, errors in by_field.items():
        for one in errors:
            path = None if field == NON_FIELD_ERRORS else graphql_name(field)
            yield RowError(path, code_of(one), message_of(one))


def after(chunk: Chunk, plan: Plan, entry: Entry) -> None:
    """Let the resource do what else belongs to the chunk; in its transaction."""
    operation = chunk.operation
    plan.resource.after_chunk(
        ChunkOutcome(
            operation_id=operation.pk,
            verb=plan.verb,
            user=operation.created_by,
            is_dry_run=operation.dry_run,
            rows=entry.outcomes,
        )
    )
    what = {"operation_id": operation.pk, "resource": plan.resource.name}
    rows = {"row_start": chunk.row_start, "row_count": chunk.row_count}
    # Of rows that are rolled back, nobody hears.
    tell = durable()(partial(chunk_written.send_robust, sender=Chunk, **what, **rows))
    transaction.on_commit(tell, using=plan.resource.database)


def send_finished(operation_id: UUID) -> None:
    """Tell receivers that an operation is over. What they commit is to stay, as it would in a request."""
    with durable():
        operation_finished.send_robust(sender=Operation, operation_id=operation_id)
