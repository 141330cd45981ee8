"""An operation in one transaction: all of its rows or none (REJECT_ALL), or all of them for a look (dryRun).

One worker writes all chunks in their order, and holds a lease on the operation meanwhile. What became of the rows waits
on disk until the end is known; then it is recorded with them, or without them once they are rolled back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from uuid import UUID

import polars as pl
from django.db import connection, transaction
from django.db.models import Q

from bulkql.workers.backends import durable
from bulkql.workers.conf import limits
from bulkql.workers.enums import OnError, Outcome, State, Verb
from bulkql.workers.errors import GivenUp, LeaseLost, Locked
from bulkql.workers.evidence.own_rows import OwnRows
from bulkql.workers.frames import unpack
from bulkql.workers.images.taken import Images
from bulkql.workers.ledger import claims, entries
from bulkql.workers.ledger.endings import note_of
from bulkql.workers.ledger.entries import Entry
from bulkql.workers.ledger.heartbeat import WHOLE_SECONDS, heartbeat
from bulkql.workers.ledger.waits import Watch
from bulkql.workers.models import Chunk, Operation
from bulkql.workers.operations import chunks
from bulkql.workers.operations.changes import Changes
from bulkql.workers.operations.failures import failed_too_often, is_outage, note_failure, tried_again
from bulkql.workers.operations.trades import Attempt, Row, Trades, traded
from bulkql.workers.operations.waiting import go_on, tell, watch_of
from bulkql.workers.scratch import Scratch

#: Of an operation that needs not look before it writes.
NOTHING_SEEN: Mapping[int, pl.DataFrame] = {}
#: What an operation in one transaction is called where it fails.
WHOLE = "Writing all rows in one transaction"


class RolledBack(Exception):
    """The rows are not to stay."""


@dataclass(frozen=True, slots=True)
class Try:
    """One try at the transaction: whose it is, and what it keeps of the rows until its end is known."""

    operation: Operation
    spool: Spool
    #: Set for as long as this worker holds the lease, and nobody has canceled the operation.
    goes_on: threading.Event
    watch: Watch
    changes: Changes = field(default_factory=Changes)


def claim_and_write_all(operation_id: UUID, limit: str) -> bool:
    """Claim an operation, write its rows and record them; whether it is over by that. Raises GivenUp, Locked."""
    operation = claims.claim_operation(operation_id)
    if operation is None:
        return False
    if operation.attempts > limits().max_attempts:
        remedy = "Fewer rows in one operation need less."
        raise failed_too_often(operation, WHOLE, operation.attempts - 1, remedy)
    was_away = False
    try:
        kept = heartbeat.keeping(operation, ~Q(state=State.CANCELING), Q(finished_at=None), seconds=WHOLE_SECONDS)
        with Spool() as spool, kept as goes_on:
            write_all(operation, spool, goes_on, watch_of(operation, limit))
    except LeaseLost:
        return False
    except Locked as locked:
        tell(operation.pk, locked.reason)
        if limit == "lock_wait_seconds":
            raise GivenUp(operation.pk, str(locked)) from locked
        raise
    except GivenUp:
        raise
    except BaseException as error:
        was_away = is_outage(error)
        note_failure(operation.pk, WHOLE, error)
        raise
    finally:
        # Over, canceled, or for another try: nobody has to wait for the lease to run out.
        heartbeat.give_back(operation, was_away=was_away)
    return True


def write_all(operation: Operation, spool: Spool, goes_on: threading.Event, watch: Watch) -> None:
    """Write all rows, and record them: with them where they stay, and after they are gone."""
    tried_again(partial(write_or_roll_back, operation, spool, goes_on, watch))


def write_or_roll_back(operation: Operation, spool: Spool, goes_on: threading.Event, watch: Watch) -> None:
    """One try at the transaction, and at what is recorded when it is rolled back."""
    spool.clear()
    current = Try(operation, spool, goes_on, watch)
    try:
        with watch, transaction.atomic():
            if operation.trades:
                write_trades(current)
            else:
                write_chunks(current)
            go_on(operation, watch)
            if operation.dry_run or (spool.failed and operation.on_error == OnError.REJECT_ALL):
                raise RolledBack
            entries.record_all(operation, spool.entries(), State.COMPLETED, note_of(operation.pk))
    except RolledBack:
        with durable(), transaction.atomic():
            record_rolled_back(current)


def write_chunks(
    current: Try,
    *,
    is_dangling: bool = False,
    earlier: Mapping[int, tuple[Images, ...]] | None = None,
    sightings: Mapping[int, pl.DataFrame] = NOTHING_SEEN,
) -> set[Row]:
    """All chunks in their order, one of them in memory at a time; gives the bad rows that might trade.

    `earlier`: the images of rows that have stand-ins by now, by their chunk.
    """
    failed: set[Row] = set()
    own = OwnRows(current.operation, current.spool.outcomes)
    for chunk in open_chunks(current):
        plan, validated = chunks.planned(chunk)
        chunks.set_up(plan, current.operation, current.watch, is_dangling=is_dangling)
        with chunks.given_up_by_hooks(chunk):
            earlier_images = (earlier or {}).get(chunk.pk, ())
            seen = sightings.get(chunk.pk)
            if seen is None and current.operation.looks_first:
                seen = chunks.sightings_of(chunk, plan, validated, own)
            entry = chunks.rows_written(chunk, plan, validated, seen, earlier_images)
        if current.operation.dry_run:
            current.changes.look(chunk.pk, plan, entry, current.operation.created_by)
        current.spool.add(chunk.pk, entry)
        if current.operation.trades:
            failed |= chunks.failed_of(chunk, entry)
    return failed


def open_chunks(current: Try) -> Iterator[Chunk]:
    """The chunks that are not recorded, one after the other; raises LeaseLost.

    They are locked: one that a worker had begun before it was known that rows trade, is written by one of the two.
    """
    operation = current.operation
    open_ones = operation.chunks.filter(recorded_at=None).order_by("input__position", "number")
    for chunk_id in list(open_ones.values_list("pk", flat=True)):
        if not current.goes_on.is_set():
            raise LeaseLost(f"operation {operation.pk} was canceled, or taken over by another worker")
        found = Chunk.objects.select_related("input__operation", "operation__created_by").filter(recorded_at=None)
        if operation.trades and connection.features.has_select_for_update:
            found = found.select_for_update(of=("self",))
        if (chunk := found.filter(pk=chunk_id).first()) is not None:
            yield chunk


def write_trades(current: Try) -> None:
    """All chunks, of which rows take what rows of others give up."""
    trades = Trades()
    for chunk in open_chunks(current):
        trades.add(chunk.input_id, chunk.row_start, unpack(chunk.payload))
    sightings = seen_before(current, trades) if current.operation.looks_first else NOTHING_SEEN

    def attempt() -> tuple[None, Attempt]:
        current.spool.clear()
        vacated: set[Row] = set()
        is_dangling = False
        earlier: dict[int, tuple[Images, ...]] = {}
        for chunk in open_chunks(current):
            plan, validated = chunks.planned(chunk)
            chunks.set_up(plan, current.operation, current.watch, is_dangling=is_dangling)
            found = chunks.vacated_of(chunk, plan, validated, trades)
            vacated |= chunks.rows_in(chunk, found.rows)
            is_dangling |= found.are_dangling
            earlier[chunk.pk] = found.images
        failed = write_chunks(current, is_dangling=is_dangling, earlier=earlier, sightings=sightings)
        return None, Attempt(vacated, failed, is_dangling)

    traded(connection.alias, trades, attempt)


def seen_before(current: Try, trades: Trades) -> dict[int, pl.DataFrame]:
    """What is there of each chunk's rows before anything is taken away from them. Conflicts of a plan keep theirs."""
    found: dict[int, pl.DataFrame] = {}
    for chunk in open_chunks(current):
        plan, validated = chunks.planned(chunk)
        chunks.set_up(plan, current.operation, current.watch)
        found[chunk.pk] = chunks.sightings_of(chunk, plan, validated, OwnRows(current.operation))
        if not current.operation.dry_run:
            trades.keep(chunks.rows_in(chunk, chunks.not_due(chunk, plan, validated, found[chunk.pk])))
    return found


def record_rolled_back(current: Try) -> None:
    """What would have become of the rows; where bad ones keep the others out, they are skipped."""
    operation, spool = current.operation, current.spool
    rejected = spool.failed and operation.on_error == OnError.REJECT_ALL
    message = note_of(operation.pk)
    if rejected:
        bad = f"{spool.failed:,} of {spool.rows:,} rows {'is' if spool.failed == 1 else 'are'} bad"
        message = f"{bad}; nothing was written, as onError: REJECT_ALL asks."
    unsent = chunks_unsent(operation)

    def told(chunk_id: int, entry: Entry) -> Entry:
        if rejected:
            return skipped(entry, keeps_pks=chunk_id in unsent)
        return current.changes.told(chunk_id, entry if chunk_id in unsent else unwritten(entry))

    to_record = ((chunk_id, told(chunk_id, entry)) for chunk_id, entry in spool.entries())
    entries.record_all(operation, to_record, State.FAILED if rejected else State.COMPLETED, message)


def chunks_unsent(operation: Operation) -> set[int]:
    """The chunks of rows that nobody sent, but a sync misses or a revert undoes: nothing but their keys tells which."""
    chunks = operation.chunks if operation.verb == Verb.REVERT else operation.chunks.filter(input__removes=True)
    return set(chunks.values_list("pk", flat=True))


def skipped(entry: Entry, *, keeps_pks: bool) -> Entry:
    """The entry of rows that others kept out."""
    is_bad = pl.col("outcome") == Outcome.FAILED.value
    outcomes = entry.outcomes.with_columns(
        outcome=pl.when(is_bad).then("outcome").otherwise(pl.lit(Outcome.SKIPPED.value)),
        pk=pl.when(keeps_pks).then("pk"),
    )
    return replace(entry, outcomes=outcomes, cascades={})


def unwritten(entry: Entry) -> Entry:
    """The entry of a dry run: new rows have no primary key, for they are not there."""
    is_new = pl.col("outcome") == Outcome.CREATED.value
    return replace(entry, outcomes=entry.outcomes.with_columns(pk=pl.when(~is_new).then("pk")))


class Spool:
    """The entries of chunks, on disk until they can be recorded."""

    def __init__(self) -> None:
        self._directory = Scratch()
        self.clear()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()

    def clear(self) -> None:
        """Forget all entries; a transaction that is tried again writes them anew."""
        self._cascades: dict[int, dict[str, int]] = {}
        self._with_images: set[int] = set()
        #: Rows so far, and the bad ones among them.
        self.rows = self.failed = 0

    def add(self, chunk_id: int, entry: Entry) -> None:
        entry.outcomes.write_ipc(self._path(chunk_id, "outcomes"), compression="lz4")
        entry.errors.write_ipc(self._path(chunk_id, "errors"), compression="lz4")
        if entry.evidence is not None:
            entry.evidence.write_ipc(self._path(chunk_id, "evidence"), compression="lz4")
        self._cascades[chunk_id] = entry.cascades
        if entry.images is not None:
            self._path(chunk_id, "images").write_bytes(entry.images)
            self._with_images.add(chunk_id)
        self.rows += entry.outcomes.height
        self.failed += int((entry.outcomes["outcome"] == Outcome.FAILED.value).sum())

    def outcomes(self, chunk_id: int) -> pl.DataFrame | None:
        """What became of a chunk's rows; None before they are written."""
        return pl.read_ipc(self._path(chunk_id, "outcomes")) if chunk_id in self._cascades else None

    def entries(self) -> Iterator[tuple[int, Entry]]:
        """All entries by their chunk's id, in their order."""
        for chunk_id, cascades in self._cascades.items():
            outcomes, errors = (pl.read_ipc(self._path(chunk_id, name)) for name in ("outcomes", "errors"))
            images = self._path(chunk_id, "images").read_bytes() if chunk_id in self._with_images else None
            path = self._path(chunk_id, "evidence")
            evidence = pl.read_ipc(path) if path.exists() else None
            yield chunk_id, Entry(outcomes, errors, cascades, images=images, evidence=evidence)

    def _path(self, chunk_id: int, name: str) -> Path:
        return self._directory.path(f"{chunk_id}.{name}")
