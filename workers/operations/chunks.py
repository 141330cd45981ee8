"""A stored chunk -> database rows. One chunk, one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import polars as pl
from django.db import connections, transaction

from bulkql.workers.backends import backend
from bulkql.workers.conf import limits
from bulkql.workers.enums import Outcome, Verb
from bulkql.workers.errors import GivenUp, LeaseLost
from bulkql.workers.frames import RECORDED_ERRORS, ROW, ROW_NUMBER, no_errors, unpack
from bulkql.workers.ledger import claims, entries
from bulkql.workers.ledger.entries import Entry
from bulkql.workers.models import Chunk
from bulkql.workers.operations.attempts import tried_again
from bulkql.workers.resources.plan import Plan, plan_of
from bulkql.workers.validation.hooks import after, cleaned
from bulkql.workers.validation.levels import levels
from bulkql.workers.validation.members import resolve_lists, with_lists
from bulkql.workers.validation.references import resolve
from bulkql.workers.validation.values import Validated, validate
from bulkql.workers.writers import deletion, orm, postgres
from bulkql.workers.writers.links import write_lists
from bulkql.workers.writers.written import Written, nothing, together

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger("bulkql")


def claim_and_write(chunk_id: int) -> Chunk | None:
    """Claim a chunk, write its rows and record them; None if that is done already, or another's work.

    A message delivered twice finds the chunk recorded or claimed, and does nothing. Raises GivenUp.
    """
    chunk = claims.claim_chunk(chunk_id)
    if chunk is None:
        return None
    if chunk.attempts > limits().max_attempts:
        raise GivenUp(
            chunk.operation_id,
            f"Chunk {chunk.number} of {chunk.input.resource} failed {chunk.attempts - 1} times.",
        )
    try:
        write_claimed(chunk)
    except LeaseLost as lost:
        logger.warning("operation %s: %s", chunk.operation_id, lost)
        return None
    except BaseException:
        # Whatever went wrong, the retry must not wait for the lease to run out.
        claims.release(chunk)
        raise
    return chunk


def write_claimed(chunk: Chunk) -> None:
    """Validate the chunk's rows, write the good ones, and record all of them."""
    plan, validated = planned(chunk)
    tried_again(partial(write_and_record, chunk, plan, validated))


def write_and_record(chunk: Chunk, plan: Plan, validated: Validated) -> None:
    """Rows and their ledger entry, in one transaction."""
    with transaction.atomic(using=plan.resource.database):
        set_up(plan)
        entries.record(chunk, rows_written(chunk, plan, validated))


def planned(chunk: Chunk) -> tuple[Plan, Validated]:
    """What can be done with a chunk outside of a transaction."""
    plan = plan_of(chunk.input)
    return plan, checked(plan, unpack(chunk.payload))


def checked(plan: Plan, raw: pl.DataFrame) -> Validated:
    """What can be known of rows without asking the database."""
    return with_lists(plan, raw, validate(plan, raw))


def rows_written(chunk: Chunk, plan: Plan, validated: Validated) -> Entry:
    """Write a chunk's rows; gives what became of them. In a transaction."""
    entry = entry_of(chunk, write_rows(plan, validated, chunk.operation.created_by))
    after(chunk, plan, entry)
    return entry


def set_up(plan: Plan) -> None:
    """What the transaction needs: foreign keys checked where rows can still be named, a bounded wait, a durable end."""
    if backend(plan.resource.database).supports_transaction_settings:
        # Rows that go may point to each other: what is deleted is checked when all of it is gone.
        checks = "DEFERRED" if plan.verb == Verb.DELETE else "IMMEDIATE"
        with connections[plan.resource.database].cursor() as cursor:
            cursor.execute(
                f"SET CONSTRAINTS ALL {checks}; SET LOCAL synchronous_commit TO DEFAULT;"
                f" SET LOCAL statement_timeout = '{limits().statement_seconds}s'"
            )


def write_rows(plan: Plan, validated: Validated, user: User | None) -> Written:
    """Resolve the rows' references and write them; gives what became of all rows, the invalid ones too."""
    parts = [Written(nothing().outcomes, validated.errors)]
    for level in levels(plan, validated.rows):
        resolved = resolve(plan, Validated(level, no_errors()), user)
        found = cleaned(plan, resolve_lists(plan, level, resolved, user))
        written = writer(plan)(plan, found.rows, user)
        parts += [Written(nothing().outcomes, found.errors), write_lists(plan, found.rows, written)]
    return together(parts)


def writer(plan: Plan) -> Callable[[Plan, pl.DataFrame, User | None], Written]:
    """The writer for the verb and the resource's database."""
    if plan.verb == Verb.DELETE:
        return deletion.delete
    return postgres.write if backend(plan.resource.database).supports_copy else orm.write


def entry_of(chunk: Chunk, written: Written) -> Entry:
    """The ledger's entry: the outcome of every row, and all row errors, by the rows' index in the input."""
    # The only place where a row's place in its chunk becomes its index in the input: if a step before this one added
    # row_start too, its errors would name rows of another chunk.
    index = (pl.col(ROW) + chunk.row_start).alias("index")
    rows = pl.DataFrame({ROW: pl.int_range(chunk.row_count, eager=True, dtype=ROW_NUMBER)})
    outcomes = rows.join(written.outcomes, on=ROW, how="left", maintain_order="left").select_seq(
        index,
        outcome=pl.col("outcome").fill_null(Outcome.FAILED.value),
        pk="pk",
    )
    # A page of a thousand row errors shows a thousand values: none of them is shown whole that is longer than a line.
    texts = pl.col("path", "message", "data").str.slice(0, limits().error_characters)
    errors = written.errors.with_columns(index, texts).select(*RECORDED_ERRORS)
    return Entry(outcomes, errors.sort("index", "path", maintain_order=True, nulls_last=False), written.cascades)
