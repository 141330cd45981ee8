"""How many rows a second an operation may begin, by all workers together: its next turn stands in the ledger."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.models import F, Q
from django.db.models.functions import Now

from bulkql.workers.models import Operation

#: Seconds that an operation which comes late makes up for. Past them its turns are counted from now: one that waited
#: for locks for an hour does not run for an hour without a pace.
CREDIT_SECONDS = 5
#: Seconds of rows that one chunk has at most: an even load, and no more than that above the rate at the start.
CHUNK_SECONDS = 1
#: The rows of a file are stored that many times as fast as they are written, so that nobody waits for the reader.
READ_AHEAD = 2
#: Bytes of a file's chunks that are stored in a second, however slow its pace is: a light load, and no reader keeps a
#: worker's thread from others for as long as its rows take to be written.
STORED_BYTES = 2 * 1024 * 1024


def take_turn(operation_id: UUID, seconds: float) -> bool:
    """Whether the next chunk may be dispatched now; the one after that may be in so many seconds."""
    cost = timedelta(seconds=seconds)
    latest = Now() - timedelta(seconds=CREDIT_SECONDS)
    mine = Operation.objects.filter(pk=operation_id)
    # One of all processes finds each turn: the condition is asked again of the row that another one has changed.
    if mine.filter(due_at__gt=latest, due_at__lte=Now()).update(due_at=F("due_at") + cost):
        return True
    return bool(mine.filter(Q(due_at=None) | Q(due_at__lte=latest)).update(due_at=Now() + cost))


def give_back_turn(operation_id: UUID, seconds: float) -> None:
    """The turn was not needed: another process has dispatched the chunk."""
    Operation.objects.filter(pk=operation_id).update(due_at=F("due_at") - timedelta(seconds=seconds))


def seconds_until_turn(operation_id: UUID) -> float:
    """About how long it is until the next turn."""
    left = Operation.objects.values_list(F("due_at") - Now(), flat=True).get(pk=operation_id)
    return 0.0 if left is None else max(left.total_seconds(), 0.0)


def rows_in_a_chunk(rows: int, rate: int | None) -> int:
    """Rows of a chunk that fits a rate."""
    return rows if rate is None else min(rows, max(1, rate * CHUNK_SECONDS))


def seconds_to_store(rows: int, size: int, rate: int | None) -> float:
    """How long storing so many rows of a file, in so many bytes, is to take at least."""
    return 0.0 if rate is None else min(rows / (rate * READ_AHEAD), size / STORED_BYTES)
