"""Rows that a request waits for -> written in the very transaction that stores them: one commit for all of it."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta

import polars as pl

from bulkql.workers.enums import State
from bulkql.workers.intake.authority import check_authority_again
from bulkql.workers.intake.chunking import ChunkStore, is_trading, new_chunk
from bulkql.workers.intake.reservation import with_reserved
from bulkql.workers.ledger.totals import COUNTS, Progress, sequence_of
from bulkql.workers.ledger.waits import Watch
from bulkql.workers.models import Chunk, Input, Operation
from bulkql.workers.operations import chunks
from bulkql.workers.resources.plan import Plan


class NotInline(Exception):
    """Unique values change hands between the request's chunks, so that they have to be written as one."""


class InlineChunks(ChunkStore):
    """Writes the rows of each chunk as it is stored, and counts what became of them."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch = watch
        self.counts: Counter[str] = Counter()
        self.recorded = 0
        self._begun = time.monotonic()

    @property
    def took(self) -> timedelta:
        """The time since the beginning."""
        return timedelta(seconds=time.monotonic() - self._begun)

    def note_trades(self, stored: Input, raw: pl.DataFrame, row_start: int) -> None:
        """Each chunk is written for itself here. Raises NotInline."""
        if is_trading(raw, row_start):
            raise NotInline

    def chunk_of(self, stored: Input, plan: Plan, number: int, raw: pl.DataFrame, row_start: int) -> Chunk:
        """The chunk with its ledger entry: both are stored by one statement."""
        check_authority_again(stored)
        frame = with_reserved(plan, stored.operation, raw)
        chunk = new_chunk(stored, number, frame, row_start)
        chunks.set_up(plan, stored.operation, self.watch)
        entry = chunks.rows_traded(chunk, plan, chunks.checked(plan, frame))
        for name, value in entry.columns().items():
            setattr(chunk, name, value)
        self.recorded += 1
        self.counts.update({name: getattr(chunk, name) for name in COUNTS})
        return chunk


def mark_finished(operation: Operation, store: InlineChunks) -> None:
    """All chunks were written as they were stored, so the operation is over when it is committed."""
    operation.state = State.COMPLETED
    operation.started_at, operation.finished_at = operation.created_at, operation.created_at + store.took
    operation.save(update_fields=["state", "started_at", "finished_at"])


def final_progress(operation: Operation, store: InlineChunks, inputs: int) -> Progress:
    """The totals of an operation that was written so: what totals.progress would read from the ledger."""
    return Progress(
        operation_id=operation.pk,
        owner_id=operation.owner_id,
        sequence=sequence_of(operation, store.recorded, inputs),
        state=State(operation.state),
        total=store.counts.total(),  # each row has one outcome
        message=operation.message,
        started_at=operation.started_at,
        finished_at=operation.finished_at,
        calls_back=operation.calls_back,
        **{name: store.counts[name] for name in COUNTS},
    )
