"""Who works on which operation, input and chunk: claimed, held and released by leases in the database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from bulkql.workers.backends import backend, durable
from bulkql.workers.conf import limits
from bulkql.workers.enums import State
from bulkql.workers.errors import LeaseLost, Paused
from bulkql.workers.models import Chunk, Input, Operation, Upload

#: What a worker has claimed, and holds by the lease that it was given then.
Claimed: TypeAlias = Operation | Input | Chunk


def is_free() -> Q:
    """Nobody holds it, or its holder fell silent.

    By the database's clock, as all leases: that of a worker's host may be wrong by more than a lease.
    """
    return Q(leased_until=None) | Q(leased_until__lt=Now())


def may_begin() -> Q:
    """An operation that is not paused, and whose time has come. One that is canceled has nothing to wait for."""
    has_come = Q(start_at=None) | Q(start_at__lte=Now()) | Q(state=State.CANCELING)
    return ~Q(state=State.PAUSED) & has_come


def its_operation(*conditions: Q, **fields: object) -> Exists:
    """A condition on the operation of a chunk or an input.

    Not by a join: Django would move all conditions of the update into a subquery, which PostgreSQL does not ask again
    after it has waited for another worker's update, and both would hold the lease.
    """
    return Exists(Operation.objects.filter(*conditions, pk=OuterRef("operation"), **fields))


def claim_chunk(chunk_id: int) -> Chunk | None:
    """Take a chunk to work on; None if it is recorded or in other hands. The lease is committed at once."""
    goes_on = its_operation(may_begin(), ~Q(state=State.CANCELING), finished_at=None, trades=False)
    # No row is written before it is known that the guard lets a sync delete the missing ones.
    is_guarded = ~Exists(Input.objects.filter(operation=OuterRef("operation"), removes=True, read_at=None))
    lease = take(Chunk.objects.filter(goes_on, is_guarded, pk=chunk_id, recorded_at=None))
    mine = Chunk.objects.select_related("operation__created_by", "input__upload").filter(pk=chunk_id, lease=lease)
    if lease is None or (chunk := mine.first()) is None:
        return None
    chunk.input.operation = chunk.operation
    start(chunk.operation)
    return chunk


def claim_operation(operation_id: UUID) -> Operation | None:
    """Take an operation to write as a whole; None if it is over, canceled, in other hands or not read to its end.

    Its message may know more than the database: workers do not wait for the disk, and what a crash of PostgreSQL takes
    back, the end of reading among it, is done again. Without the last chunks, part of the rows would pass for all.
    """
    unread = Exists(Input.objects.filter(operation=OuterRef("pk"), read_at=None))
    open_one = Operation.objects.filter(may_begin(), ~Q(state=State.CANCELING), pk=operation_id, finished_at=None)
    lease = take(open_one.filter(~unread))
    mine = Operation.objects.select_related("created_by").filter(pk=operation_id, lease=lease)
    if lease is None or (claimed := mine.first()) is None:
        return None
    start(claimed)
    return claimed


def claim_input(input_id: int) -> Input | None:
    """Take an input to read; None if it is read, ended or in other hands."""
    goes_on = its_operation(may_begin(), finished_at=None)
    lease = take(Input.objects.filter(is_readable(), goes_on, pk=input_id, read_at=None))
    mine = Input.objects.select_related("operation__created_by", "upload").filter(pk=input_id, lease=lease)
    if lease is None or (claimed := mine.first()) is None:
        return None
    start(claimed.operation)
    return claimed


def is_readable() -> Q:
    """An input can be read: its file is there, and which rows are missing is known when all others have been read."""
    unread = Input.objects.filter(operation=OuterRef("operation"), removes=False, read_at=None)
    return (Q(removes=False) | ~Exists(unread)) & ~Q(is_coming())


def is_coming() -> Exists:
    """Not all bytes of an input's upload are there yet."""
    return Exists(Upload.objects.filter(pk=OuterRef("upload"), uploaded_at=None))


def hold_input(claimed: Input) -> None:
    """Extend the reader's lease; raises LeaseLost, Paused."""
    if not hold(claimed, its_operation(~Q(state=State.PAUSED), finished_at=None)):
        if Operation.objects.filter(pk=claimed.operation_id, state=State.PAUSED).exists():
            raise Paused(f"operation {claimed.operation_id}: reading {claimed.resource} is paused")
        raise LeaseLost(f"input {claimed.pk} was taken over by another worker, or its operation has ended")


def take(wanted: QuerySet[Any]) -> UUID | None:
    """Give whatever is wanted a new lease and count the attempt; the lease, None if somebody holds it.

    Whoever reads what was taken asks for this lease: after a stall another worker may have taken it over already.
    """
    lease = uuid4()
    taken = wanted.filter(is_free()).update(attempts=F("attempts") + 1, lease=lease, leased_until=lease_end())
    return lease if taken else None


def hold(claimed: Claimed, *conditions: Q | Exists) -> bool:
    """Extend a lease under these conditions; whether it was still its holder's."""
    return bool(held(claimed).filter(*conditions).update(leased_until=lease_end()))


def release(claimed: Claimed, *, was_away: bool = False) -> None:
    """Give a chunk, an input or an operation back: for another try, or for its end.

    Where the database was away, that was no attempt; but rows that bring it down are not tried for ever.
    """
    if was_away:
        forgiven = held(claimed).filter(outages__lt=limits().max_outages)
        forgiven.update(attempts=F("attempts") - 1, outages=F("outages") + 1)
    held(claimed).update(lease=None, leased_until=None)


def abandon(claimed: Claimed) -> None:
    """Give back what this process will not finish; whoever looks next dispatches it again."""
    held(claimed).update(lease=None, leased_until=None, dispatched_at=None)


def untry(claimed: Claimed) -> None:
    """Give a chunk or an input back as if it had not been tried; it is dispatched again."""
    held(claimed).update(attempts=F("attempts") - 1, lease=None, leased_until=None, dispatched_at=None)


def held(claimed: Claimed) -> QuerySet[Any]:
    """The row of what was claimed, unless another worker has it by now."""
    model: Any = type(claimed)  # their keys are of different types, which the stubs cannot tell apart here
    rows: QuerySet[Any] = model.objects.filter(pk=claimed.pk, lease=claimed.lease)
    return rows


def lease_end() -> Combinable:
    """When a lease that is given or extended now runs out."""
    # SQLite's one writer may be the work itself: there it lasts longer, for it is not extended (heartbeat.py).
    times = 1 if backend(connection.alias).supports_concurrent_writers else 4
    return Now() + timedelta(seconds=limits().lease_seconds * times)


def start(operation: Operation) -> None:
    """The first claim starts the operation."""
    if operation.state == State.QUEUED:
        Operation.objects.filter(pk=operation.pk, state=State.QUEUED).update(
            state=State.RUNNING,
            started_at=Now(),
            message="",  # which said when it would start
        )


@durable()
def read_to_end(claimed: Input, total: int) -> None:
    """The last chunk of an input is stored, and so its total is known."""
    held(claimed).update(read_at=Now(), total=total, leased_until=None)
