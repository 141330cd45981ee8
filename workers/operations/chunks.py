"""A stored chunk -> database rows. One chunk, one transaction."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import polars as pl
from django.db import connections, transaction

from bulkql.workers.backends import backend
from bulkql.workers.conf import limits
from bulkql.workers.enums import Outcome, Verb
from bulkql.workers.errors import Code, Forbidden, GivenUp, HookFailed, LeaseLost, Locked
from bulkql.workers.evidence.expectations import Expectation, evidence_of
from bulkql.workers.evidence.names import Witness
from bulkql.workers.evidence.own_rows import OwnRows
from bulkql.workers.evidence.sightings import sighted
from bulkql.workers.frames import (
    GIVES_TO,
    LINE,
    NO_RECORDED_ERRORS,
    RECORDED_ERRORS,
    ROW,
    ROW_NUMBER,
    no_errors,
    unpack,
)
from bulkql.workers.images import taken
from bulkql.workers.images.taken import Images
from bulkql.workers.intake.authority import check_authority
from bulkql.workers.ledger import claims, entries
from bulkql.workers.ledger.entries import Entry
from bulkql.workers.ledger.heartbeat import heartbeat
from bulkql.workers.ledger.waits import Watch
from bulkql.workers.models import Chunk, Operation
from bulkql.workers.operations.failures import failed_too_often, is_outage, note_failure, tried_again
from bulkql.workers.operations.rows import write_rows
from bulkql.workers.operations.trades import Attempt, Row, Trades, traded
from bulkql.workers.operations.waiting import go_on, put_off, watch_of
from bulkql.workers.resources.plan import Plan, plan_of
from bulkql.workers.validation.hooks import after
from bulkql.workers.validation.making import prepared
from bulkql.workers.validation.members import with_lists
from bulkql.workers.validation.sealing import unsealed, withheld
from bulkql.workers.validation.values import Validated, refused, validate, without
from bulkql.workers.writers.vacating import Vacated, vacate
from bulkql.workers.writers.written import Written

logger = logging.getLogger("bulkql")

#: What the planner takes the page of an index to cost, beside one of a table that is read from end to end, and a row
#: that is read. Its own figures are of disks that turn, and have each chunk read all of a table of a million rows to
#: find ten thousand. Fifty thousand were found by the index in 65 ms, and by reading all in 203.
PAGE_COST, ROW_COST = 1.1, 0.05


def claim_and_write(chunk_id: int) -> Chunk | None:
    """Claim a chunk, write its rows and record them; None if that is done already, or another's work.

    A message delivered twice finds the chunk recorded or claimed, and does nothing. Raises GivenUp.
    """
    chunk = claims.claim_chunk(chunk_id)
    if chunk is None:
        return None
    if chunk.attempts > limits().max_attempts:
        remedy = (
            "Smaller chunks need less memory: send the remaining rows as a new request with a smaller chunkSize; "
            "retryOperation keeps the size."
        )
        raise failed_too_often(chunk.operation, name_of_chunk(chunk), chunk.attempts - 1, remedy)
    try:
        with heartbeat.keeping(chunk, seconds=limits().chunk_seconds):
            write_claimed(chunk)
    except LeaseLost as lost:
        logger.warning("operation %s: %s", chunk.operation_id, lost)
        return None
    except Locked as locked:
        put_off(chunk, locked)
        return None
    except BaseException as error:
        # Whatever went wrong, the retry must not wait for the lease to run out.
        note_failure(chunk.operation_id, name_of_chunk(chunk), error)
        heartbeat.give_back(chunk, was_away=is_outage(error))
        raise
    return chunk


def name_of_chunk(chunk: Chunk) -> str:
    """What a client can find in his rows."""
    last = chunk.row_start + chunk.row_count - 1
    return f"Chunk {chunk.number} of {chunk.input.resource} (rows {chunk.row_start} to {last})"


def write_claimed(chunk: Chunk) -> None:
    """Validate the chunk's rows, write the good ones, and record all of them."""
    plan, validated = planned(chunk)
    watch = watch_of(chunk.operation, "lock_seconds")
    tried_again(partial(write_and_record, chunk, plan, validated, watch))
    go_on(chunk.operation, watch)


def write_and_record(chunk: Chunk, plan: Plan, validated: Validated, watch: Watch) -> None:
    """Rows and their ledger entry, in one transaction. Raises Locked."""
    with watch, transaction.atomic(using=plan.resource.database):
        set_up(plan, chunk.operation, watch)
        with given_up_by_hooks(chunk):
            entry = rows_traded(chunk, plan, validated)
        entries.record(chunk, entry)


def planned(chunk: Chunk) -> tuple[Plan, Validated]:
    """What can be done with a chunk outside of a transaction; raises GivenUp where its user may write no more.

    Every chunk that was stored goes through here, whether it is written alone or with all others.
    """
    try:
        check_authority(chunk.input)
    except Forbidden as forbidden:
        raise GivenUp(chunk.operation_id, str(forbidden)) from None
    plan = plan_of(chunk.input)
    if plan.verb == Verb.REVERT:
        # Its rows are none that somebody sent: there is nothing to validate.
        return plan, Validated(unpack(chunk.payload), no_errors())
    with given_up_by_hooks(chunk):
        return plan, checked(plan, unpack(chunk.payload))


def checked(plan: Plan, raw: pl.DataFrame) -> Validated:
    """What can be known of rows without asking the database; raises HookFailed."""
    sent = unsealed(plan, raw)
    ready = prepared(plan, sent)
    validated = with_lists(plan, ready, validate(plan, ready))
    # Whether the user may give a field is asked of what was sent: what the resource makes of it is its own.
    found = without(validated, pl.concat([no_errors(), *refused(plan, sent)]))
    return Validated(found.rows, withheld(plan, found.errors, ready))


@contextmanager
def given_up_by_hooks(chunk: Chunk) -> Iterator[None]:
    """Where nobody waits for the rows: a rule that raised would raise at another try too. Raises GivenUp."""
    try:
        yield
    except HookFailed as failed:
        raise GivenUp(chunk.operation_id, str(failed)) from failed


def rows_traded(chunk: Chunk, plan: Plan, validated: Validated) -> Entry:
    """Write a chunk's rows; gives what became of them. In a transaction. Raises HookFailed."""
    if GIVES_TO not in validated.rows.columns:
        return rows_written(chunk, plan, validated)
    trades = Trades()
    trades.add(chunk.input_id, chunk.row_start, validated.rows)

    def attempt() -> tuple[Entry, Attempt]:
        vacated = vacated_of(chunk, plan, validated, trades)
        entry = rows_written(chunk, plan, validated, earlier=vacated.images)
        return entry, Attempt(rows_in(chunk, vacated.rows), failed_of(chunk, entry), vacated.are_dangling)

    return traded(plan.resource.database, trades, attempt)


def rows_written(
    chunk: Chunk,
    plan: Plan,
    validated: Validated,
    sightings: pl.DataFrame | None = None,
    earlier: tuple[Images, ...] = (),
) -> Entry:
    """Write a chunk's rows, whatever changes hands among them.

    `sightings`: what was there, if that is known; `earlier`: what rows were that have stand-ins now.
    """
    user = chunk.operation.created_by
    if sightings is None and chunk.operation.looks_first:
        sightings = sightings_of(chunk, plan, validated, OwnRows(chunk.operation))
    if sightings is not None and not chunk.operation.dry_run:
        written, entry = written_as_planned(chunk, plan, validated, sightings)
    else:
        witness = None if sightings is None else Witness(chunk.operation)
        written = write_rows(plan, validated, user, witness)
        entry = entry_of(chunk, written)
        if sightings is not None and witness is not None:
            entry = replace(entry, evidence=evidence_of(entry, sightings, witness.seen))
    after(chunk, plan, entry)
    # What the resource's own rules made of the rows just now is what the operation left.
    images = taken.of_written(plan, written.outcomes, written.images, earlier)
    return replace(entry, images=taken.packed(images))


def sightings_of(chunk: Chunk, plan: Plan, validated: Validated, own: OwnRows) -> pl.DataFrame:
    """What is there of a chunk's rows before they are written."""
    to_lock = None if chunk.operation.dry_run else Expectation.of(chunk).to_lock
    return sighted(plan, validated.rows, chunk.operation.created_by, own, to_lock)


def written_as_planned(
    chunk: Chunk, plan: Plan, validated: Validated, sightings: pl.DataFrame
) -> tuple[Written, Entry]:
    """Write what the plan says of a chunk's rows, each as it says or not at all."""
    expected = Expectation.of(chunk)
    due = expected.due(plan, validated, sightings)
    witness = Witness(chunk.operation, expected.rows.select(ROW, "meant"))
    while True:
        with transaction.atomic(using=plan.resource.database):
            written = write_rows(plan, due, chunk.operation.created_by, witness)
            entry = entry_of(chunk, written)
            strays = expected.strays(plan, due, entry.outcomes)
            transaction.set_rollback(not strays.is_empty(), using=plan.resource.database)
        if strays.is_empty():
            return written, expected.told(entry, chunk.row_start)
        due = without(due, strays)  # fewer each time


def not_due(chunk: Chunk, plan: Plan, validated: Validated, sightings: pl.DataFrame) -> Iterable[int]:
    """The rows that the plan of a chunk's operation does not let be written."""
    due = Expectation.of(chunk).due(plan, validated, sightings)
    return set(range(chunk.row_count)) - set(due.rows[ROW])


def vacated_of(chunk: Chunk, plan: Plan, validated: Validated, trades: Trades) -> Vacated:
    """Take away from a chunk's rows what others are to have."""
    if GIVES_TO not in validated.rows.columns:
        return Vacated(frozenset())
    rows = validated.rows.filter(pl.col(GIVES_TO).list.len() > 0)
    staying = [row - chunk.row_start for input_id, row in trades.staying if input_id == chunk.input_id]
    free = rows.filter(~pl.col(ROW).is_in(pl.Series(staying, dtype=ROW_NUMBER).implode()))
    return vacate(plan, free, chunk.operation.created_by)


def rows_in(chunk: Chunk, rows: Iterable[int]) -> set[Row]:
    """Places in a chunk as rows of the operation."""
    return {(chunk.input_id, chunk.row_start + row) for row in rows}


def failed_of(chunk: Chunk, entry: Entry) -> set[Row]:
    """The bad rows of a chunk."""
    failed = entry.outcomes.filter(pl.col("outcome") == Outcome.FAILED.value)
    return {(chunk.input_id, index) for index in failed["index"]}


def set_up(plan: Plan, operation: Operation, watch: Watch, *, is_dangling: bool = False) -> None:
    """What the transaction needs: foreign keys checked where rows can still be named, bounded waits, a durable end.

    And a name, by which those who wait for it are told what holds them up.
    """
    if backend(plan.resource.database).supports_transaction_settings:
        # Rows that go may point to each other: what is deleted is checked when all of it is gone.
        is_deleting = plan.verb in (Verb.DELETE, Verb.REVERT)
        checks = "DEFERRED" if is_deleting or is_dangling else "IMMEDIATE"
        with connections[plan.resource.database].cursor() as cursor:
            cursor.execute(
                f"SET CONSTRAINTS ALL {checks}; SET LOCAL synchronous_commit TO DEFAULT;"
                f" SET LOCAL random_page_cost = {PAGE_COST}; SET LOCAL cpu_tuple_cost = {ROW_COST};"
                f" SET LOCAL lock_timeout = '{watch.seconds}s';"
                f" SET LOCAL statement_timeout = '{watch.seconds + limits().statement_seconds}s';"
                f" SET LOCAL application_name = '{application_of(operation)}'; SELECT pg_backend_pid()"
            )
            while cursor.nextset():
                pass
            watch.begin(plan.resource.database, cursor.fetchone()[0], plan.resource.model._meta.db_table)


def application_of(operation: Operation) -> str:
    """What a transaction is called in pg_stat_activity; of an operation that holds its locks to its end, also why."""
    why = "dry run" if operation.dry_run else operation.on_error if operation.is_one_transaction else "chunk"
    return f"bulkql {why} {operation.pk}"


def lines_of(chunk: Chunk, rows: pl.Series) -> pl.Series:
    """The line of the file on which each of these rows begins; none where they came without lines."""
    if rows.len() and LINE in (raw := unpack(chunk.payload)).columns:
        return raw[LINE].gather(rows).alias("line")
    return pl.Series("line", [None] * rows.len(), dtype=ROW_NUMBER)


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
    entry = Entry(outcomes, recorded_errors(chunk, written.errors, index), written.cascades)
    return removed(chunk, entry) if chunk.input.removes and chunk.operation.verb != Verb.REVERT else entry


def recorded_errors(chunk: Chunk, errors: pl.DataFrame, index: pl.Expr) -> pl.DataFrame:
    """The row errors as the ledger keeps them: RECORDED_ERRORS, in order."""
    if errors.is_empty():
        return NO_RECORDED_ERRORS.clone()
    # A page of a thousand row errors shows a thousand values: none of them is shown whole that is longer than a line.
    texts = pl.col("path", "message", "data").str.slice(0, limits().error_characters)
    found = errors.with_columns(index, lines_of(chunk, errors[ROW]), texts).select(*RECORDED_ERRORS)
    return found.sort("index", "path", maintain_order=True, nulls_last=False)


def removed(chunk: Chunk, entry: Entry) -> Entry:
    """The entry of rows that a sync misses: nobody sent them, so that each is told by its primary key.

    One that has gone meanwhile, or left the scope, is as it was to be.
    """
    (pks,) = unpack(chunk.payload).get_columns()
    is_gone = pl.col("code") == Code.NOT_FOUND.value
    gone = entry.errors.filter(is_gone)["index"]
    outcomes = entry.outcomes.with_columns(
        outcome=pl.when(pl.col("index").is_in(gone.implode()))
        .then(pl.lit(Outcome.UNCHANGED.value))
        .otherwise("outcome"),
        pk=pl.col("pk").fill_null(pks),
    )
    named = pl.DataFrame({"index": outcomes["index"], "named": pks})
    errors = entry.errors.filter(~is_gone).join(named, on="index", how="left", maintain_order="left")
    return Entry(
        outcomes, errors.with_columns(data=pl.col("data").fill_null(pl.col("named"))).drop("named"), entry.cascades
    )
