"""Raw frames -> the chunks of an input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

import polars as pl
from django.db import DEFAULT_DB_ALIAS

from bulkql.workers.backends import sending_bytes
from bulkql.workers.frames import GIVES_TO, TAKES_FROM, pack
from bulkql.workers.intake.checks import check_rows_limit
from bulkql.workers.intake.reservation import with_reserved
from bulkql.workers.models import Chunk, Input, Operation
from bulkql.workers.resources.plan import Plan

T = TypeVar("T")

#: Chunks that are stored with one statement.
CHUNKS_AN_INSERT = 8


class ChunkStore:
    """Stores chunks whose rows workers will write; a subclass may write them as they are stored."""

    def __init__(self) -> None:
        #: Those that were stored first, with their keys; none where the database does not tell keys, as MySQL.
        self.first: list[Chunk] = []

    def store(self, stored: Input, plan: Plan, frames: Iterable[pl.DataFrame], start: int = 0) -> int:
        """Raw frames as an input's chunks, a few of them in memory at a time; gives how many rows they are.

        `start`: the index of the first row.
        """
        total = 0
        for some in batched(enumerate(frames), CHUNKS_AN_INSERT):
            found = []
            for number, frame in some:
                self.note_trades(stored, frame, start + total)
                found.append(self.chunk_of(stored, plan, number, frame, start + total))
                total += frame.height
            with sending_bytes(DEFAULT_DB_ALIAS):
                Chunk.objects.bulk_create(found)
            self.first = self.first or [chunk for chunk in found if chunk.pk]
            check_rows_limit(plan.resource, total)
        return total

    def note_trades(self, stored: Input, raw: pl.DataFrame, row_start: int) -> None:
        """Unique values that change hands between chunks keep these together."""
        keep_together(stored.operation, raw, row_start)

    def chunk_of(self, stored: Input, plan: Plan, number: int, raw: pl.DataFrame, row_start: int) -> Chunk:
        """The chunk of a frame, about to be stored."""
        return new_chunk(stored, number, with_reserved(plan, stored.operation, raw), row_start)


def keep_together(operation: Operation, raw: pl.DataFrame, row_start: int) -> None:
    """Have an operation written in one transaction, if rows of this chunk take what rows of another one give up.

    Before the chunk is there for anybody to write it. Those that are written already traded with no other.
    """
    if operation.trades or GIVES_TO not in raw.columns:
        return
    if operation.is_one_transaction or is_trading(raw, row_start):
        Operation.objects.filter(pk=operation.pk).update(trades=True)
        operation.trades = True


def is_trading(raw: pl.DataFrame, row_start: int) -> bool:
    """Whether unique values change hands between rows of this chunk and others."""
    if GIVES_TO not in raw.columns:
        return False
    others = pl.concat([raw[GIVES_TO].explode(), raw[TAKES_FROM].explode()]).drop_nulls()
    return not others.is_between(row_start, row_start + raw.height - 1).all()


def new_chunk(stored: Input, number: int, frame: pl.DataFrame, row_start: int) -> Chunk:
    """A chunk that is not stored yet."""
    return Chunk(
        operation=stored.operation,
        input=stored,
        number=number,
        row_start=row_start,
        row_count=frame.height,
        payload=pack(frame),
    )


def bytes_in(frame: pl.DataFrame) -> int:
    """The bytes of a raw frame's cells; their lengths are in the frame, and are not counted."""
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    return sum(frame.select_seq(pl.col(name).str.len_bytes().sum() for name in texts).row(0)) if texts else 0


def in_bytes(frame: pl.DataFrame, most: int) -> Iterator[pl.DataFrame]:
    """A raw frame in slices of at most so many bytes, or of one row that has more."""
    if bytes_in(frame) <= most:
        yield frame
        return
    texts = [pl.col(name).str.len_bytes().fill_null(0) for name, dtype in frame.schema.items() if dtype == pl.String]
    ends = frame.select(pl.sum_horizontal(one.cast(pl.Int64) for one in texts).cum_sum()).to_series()
    start = 0
    while start < frame.height:
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(ends.search_sorted(before + most, side="right")))
        yield frame[start:end]
        start = end


def batched(values: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Tuples of so many values, the last one shorter."""
    rest = iter(values)
    while some := tuple(islice(rest, size)):
        yield some
