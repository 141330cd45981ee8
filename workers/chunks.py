"""A stored chunk -> database rows. One chunk, one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable

import polars as pl
from django.db import OperationalError, connections, transaction

from workers import ledger
from workers.conf import limits
from workers.errors import GivenUp, LeaseLost
from workers.frames import ROW, unpack
from workers.models import Chunk, Outcome
from workers.references import resolve
from workers.resources import BulkResource, resource_named
from workers.validation import Validated, validate
from workers.writers import orm, postgres
from workers.writers.written import Written

logger = logging.getLogger("bulkql")

#: Deadlocks and serialization failures: PostgreSQL asks to try again.
TRY_AGAIN = {"40P01", "40001"}


def write_chunk(chunk_id: int) -> Chunk | None:
    """Claim a chunk, write its rows and record them; None if that is done already, or another's work.

    A message delivered twice finds the chunk recorded or claimed, and does nothing. Raises GivenUp.
    """
    chunk = ledger.claim(chunk_id)
    if chunk is None:
        return None
    if chunk.attempts > limits().max_attempts:
        raise GivenUp(
            chunk.operation_id,
            f"Chunk {chunk.number} of {chunk.input.resource} failed {chunk.attempts - 1} times.",
        )
    try:
        write(chunk)
    except LeaseLost as lost:
        logger.warning("operation %s: %s", chunk.operation_id, lost)
        return None
    except BaseException:
        # Whatever went wrong, the retry must not wait for the lease to run out.
        ledger.release(chunk)
        raise
    return chunk


def write(chunk: Chunk) -> None:
    """Validate the chunk's rows, write the good ones, and record all of them."""
    resource = resource_named(chunk.input.resource)
    raw = unpack(chunk.payload)
    validated = validate(resource, raw)
    for is_last_try in (False, False, True):
        try:
            with transaction.atomic(using=resource.database):
                set_up(resource)
                found = resolve(resource, validated, chunk.operation.created_by)
                written = writer(resource)(resource, found.rows)
                ledger.record(chunk, *entries(chunk, found, written))
        except OperationalError as error:
            if is_last_try or getattr(error.__cause__, "sqlstate", None) not in TRY_AGAIN:
                raise
        else:
            return


def set_up(resource: BulkResource) -> None:
    """What the transaction needs: foreign keys checked where rows can still be named, a bounded wait, a durable end."""
    connection = connections[resource.database]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL synchronous_commit TO DEFAULT;"
                f" SET LOCAL statement_timeout = '{limits().statement_seconds}s'"
            )


def writer(resource: BulkResource) -> Callable[[BulkResource, pl.DataFrame], Written]:
    """The writer for the resource's database."""
    return postgres.create if connections[resource.database].vendor == "postgresql" else orm.create


def entries(chunk: Chunk, validated: Validated, written: Written) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The ledger's frames: the outcome of every row, and all row errors, by the rows' index in the input."""
    rows = pl.DataFrame({ROW: pl.int_range(chunk.row_count, eager=True, dtype=pl.UInt32)})
    outcomes = rows.join(written.outcomes, on=ROW, how="left", maintain_order="left").select(
        index=pl.col(ROW).cast(pl.Int64) + chunk.row_start,
        outcome=pl.col("outcome").fill_null(Outcome.FAILED.value),
        pk="pk",
    )
    errors = pl.concat([validated.errors, written.errors]).with_columns(pl.col("index") + chunk.row_start)
    return outcomes, errors.sort("index", "path", maintain_order=True, nulls_last=False)
