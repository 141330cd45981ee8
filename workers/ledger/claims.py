"""Who works on which operation, input and chunk: claimed, held and released by leases in the database."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from bulkql.workers.conf import limits
from bulkql.workers.enums import State
from bulkql.workers.errors import LeaseLost
from bulkql.workers.models import Chunk, Input, Operation


def lease() -> dict[str, object]:
    """A new lease, as columns."""
    return {"lease": uuid4(), "leased_until": timezone.now() + timedelta(seconds=limits().lease_seconds)}


def is_free() -> Q:
    """Nobody holds it, or its holder fell silent."""
    return Q(leased_until=None) | Q(leased_until__lt=timezone.now())


def its_operation(*conditions: Q, **fields: object) -> Exists:
    """A condition on the operation of a chunk or an input.

    Not by a join: Django would move all conditions of the update into a subquery, which PostgreSQL does not ask again
    after it has waited for another worker's update, and both would hold the lease.
    """
    return Exists(Operation.objects.filter(*conditions, pk=OuterRef("operation"), **fields))


def claim(chunk_id: int) -> Chunk | None:
    """Take a chunk to work on; None if it is recorded or in other hands. The lease is committed at once."""
    taken = lease()
    goes_on = its_operation(finished_at=None) & ~its_operation(state=State.CANCELING)
    free = Chunk.objects.filter(is_free(), goes_on, pk=chunk_id, recorded_at=None)
    if not free.update(attempts=F("attempts") + 1, **taken):
        return None
    chunk = Chunk.objects.select_related("operation__created_by", "input").get(pk=chunk_id)
    chunk.input.operation = chunk.operation
    start(chunk.operation)
    return chunk


def start(operation: Operation) -> None:
    """The first claim starts the operation."""
    if operation.state == State.QUEUED:
        Operation.objects.filter(pk=operation.pk, state=State.QUEUED).update(
            state=State.RUNNING, started_at=timezone.now()
        )


def release(chunk: Chunk) -> None:
    """Give a chunk back, for another try."""
    Chunk.objects.filter(pk=chunk.pk, lease=chunk.lease).update(lease=None, leased_until=None)


def claim_operation(operation_id: UUID) -> Operation | None:
    """Take an operation to write as a whole; None if it is over, canceled or in other hands."""
    taken = lease()
    free = Operation.objects.filter(is_free(), ~Q(state=State.CANCELING), pk=operation_id, finished_at=None)
    if not free.update(attempts=F("attempts") + 1, **taken):
        return None
    claimed = Operation.objects.select_related("created_by").get(pk=operation_id)
    start(claimed)
    return claimed


def hold_operation(claimed: Operation) -> bool:
    """Extend the lease; whether the operation is to go on in these hands."""
    until = timezone.now() + timedelta(seconds=limits().lease_seconds)
    held = Operation.objects.filter(~Q(state=State.CANCELING), pk=claimed.pk, lease=claimed.lease, finished_at=None)
    return bool(held.update(leased_until=until))


def release_operation(claimed: Operation) -> None:
    """Give an operation back: for another try, or for its end."""
    Operation.objects.filter(pk=claimed.pk, lease=claimed.lease).update(lease=None, leased_until=None)


def claim_input(input_id: int) -> Input | None:
    """Take an input to read; None if it is read, ended or in other hands."""
    taken = lease()
    free = Input.objects.filter(is_free(), its_operation(finished_at=None), pk=input_id, read_at=None)
    if not free.update(attempts=F("attempts") + 1, **taken):
        return None
    claimed = Input.objects.select_related("operation__created_by", "upload").get(pk=input_id)
    start(claimed.operation)
    return claimed


def hold_input(claimed: Input) -> None:
    """Extend the reader's lease; raises LeaseLost."""
    until = timezone.now() + timedelta(seconds=limits().lease_seconds)
    held = Input.objects.filter(its_operation(finished_at=None), pk=claimed.pk, lease=claimed.lease)
    if not held.update(leased_until=until):
        raise LeaseLost(f"input {claimed.pk} was taken over by another worker, or its operation has ended")


def release_input(claimed: Input) -> None:
    """Give an input back, for another try."""
    Input.objects.filter(pk=claimed.pk, lease=claimed.lease).update(lease=None, leased_until=None)


def read_to_end(claimed: Input, total: int) -> None:
    """The last chunk of an input is stored, and so its total is known."""
    Input.objects.filter(pk=claimed.pk, lease=claimed.lease).update(
        read_at=timezone.now(), total=total, leased_until=None
    )
