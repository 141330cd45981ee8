"""Who works on which chunk, and what became of its rows. The database is the truth; all of it is here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import polars as pl
from django.db import connection, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, Sum, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from workers.conf import limits
from workers.errors import LeaseLost
from workers.frames import pack
from workers.models import Chunk, Input, Operation, Outcome, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an operation has come. Totals, never deltas: a lost event costs nothing.

    `sequence` grows with every state and every chunk, and never goes back; `total` is null until the end of the
    last file is known.
    """

    operation_id: UUID
    #: The user who asked for it; None once the user is gone.
    owner_id: int | None
    sequence: int
    state: State
    total: int | None
    created: int
    updated: int
    unchanged: int
    deleted: int
    failed: int
    skipped: int
    message: str
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def processed(self) -> int:
        """Rows that have their outcome."""
        return self.created + self.updated + self.unchanged + self.deleted + self.failed + self.skipped

    @property
    def is_final(self) -> bool:
        return self.state in State.final()


#: The sums of a chunk's outcomes, by their column.
COUNTS = ("created", "updated", "unchanged", "deleted", "failed", "skipped")


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


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of a chunk's rows.

    `outcomes`: index, outcome, pk of every row; `errors`: index, path, code, message, data; `cascades`: how many rows
    were deleted along with its own, by model.
    """

    outcomes: pl.DataFrame
    errors: pl.DataFrame
    cascades: dict[str, int]

    def columns(self) -> dict[str, object]:
        """The columns of a chunk that hold it."""
        sums = dict(self.outcomes["outcome"].value_counts().iter_rows())
        return {
            "recorded_at": timezone.now(),
            "leased_until": None,
            # A chunk's rows are in order, and none is left out: their indexes need not be stored.
            "results": pack(self.outcomes.drop("index")),
            "errors": pack(self.errors) if self.errors.height else None,
            "error_count": self.errors.height,
            "cascades": self.cascades or None,
            **{outcome.lower(): sums.get(outcome, 0) for outcome in Outcome},
        }


def record(chunk: Chunk, entry: Entry) -> None:
    """Enter what became of a chunk's rows; in the transaction that wrote them.

    Raises LeaseLost when the chunk is no longer this worker's, so that its rows are rolled back.
    """
    its_own = Chunk.objects.filter(pk=chunk.pk, lease=chunk.lease, recorded_at=None)
    recorded = its_own.update(**entry.columns())
    if not recorded:
        raise LeaseLost(f"chunk {chunk.pk} was taken over by another worker")


def finish(operation_id: UUID) -> bool:
    """End an operation whose every chunk is recorded; whether it was this call that did."""
    unread = Input.objects.filter(operation=OuterRef("pk"), read_at=None)
    unwritten = Chunk.objects.filter(operation=OuterRef("pk"), recorded_at=None)
    done = Operation.objects.filter(~Exists(unread), ~Exists(unwritten), pk=operation_id, finished_at=None)
    state = Case(When(state=State.CANCELING, then=Value(State.CANCELED)), default=Value(State.COMPLETED))
    return bool(done.update(state=state, finished_at=timezone.now()))


def cancel(operation_id: UUID) -> bool:
    """Ask an operation to stop; whether it was going on."""
    going_on = Operation.objects.filter(pk=operation_id, finished_at=None)
    return bool(going_on.update(state=State.CANCELING))


def skip_canceled(operation_id: UUID) -> None:
    """Skip the chunks of a canceled operation that nobody is at work on."""
    # One that is written in one transaction is in its writer's hands, with all of its chunks.
    canceled = its_operation(is_free(), state=State.CANCELING)
    Chunk.objects.filter(is_free(), canceled, operation=operation_id, recorded_at=None).update(
        recorded_at=timezone.now(), skipped=F("row_count"), lease=None, leased_until=None
    )


@transaction.atomic
def fail(operation_id: UUID, message: str) -> bool:
    """End an operation that cannot go on: what is written stays and is counted, the rest is skipped."""
    now = timezone.now()
    failed = Operation.objects.filter(pk=operation_id, finished_at=None).update(
        state=State.FAILED, message=message, finished_at=now
    )
    Chunk.objects.filter(operation=operation_id, recorded_at=None).update(
        recorded_at=now, skipped=F("row_count"), lease=None, leased_until=None
    )
    for unread in Input.objects.filter(operation=operation_id, read_at=None):
        # What a broken file holds behind its break has no rows; those before it have their outcome.
        unread.total = unread.chunks.aggregate(rows=Coalesce(Sum("row_count"), 0))["rows"]
        unread.read_at = now
        unread.save(update_fields=["total", "read_at"])
    return bool(failed)


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


def record_all(claimed: Operation, entries: Iterable[tuple[int, Entry]], state: State, message: str) -> None:
    """Enter what became of all chunks, by their id, and end the operation; in one transaction. Raises LeaseLost."""
    for chunk_id, entry in entries:
        Chunk.objects.filter(pk=chunk_id, recorded_at=None).update(**entry.columns())
    its_own = Operation.objects.filter(~Q(state=State.CANCELING), pk=claimed.pk, lease=claimed.lease, finished_at=None)
    if not its_own.update(state=state, message=message, finished_at=timezone.now(), leased_until=None):
        raise LeaseLost(f"operation {claimed.pk} was canceled, or taken over by another worker")


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


#: All that an operation's progress is made of, of one moment and in one trip; %s is its id, each time.
TOTALS = f"""
SELECT o.id, o.created_by_id, o.state, o.message, o.started_at, o.finished_at, i.*, c.*
FROM bulkql_operation o,
    (SELECT SUM(total) AS total, COUNT(total) AS known, COUNT(*) AS expected
     FROM bulkql_input WHERE operation_id = %s) i,
    (SELECT COUNT(*) AS recorded, {", ".join(f"COALESCE(SUM({name}), 0) AS {name}" for name in COUNTS)}
     FROM bulkql_chunk WHERE operation_id = %s AND recorded_at IS NOT NULL) c
WHERE o.id = %s
"""  # noqa: S608  (names of our own columns)


def progress(operation_id: UUID) -> Progress:
    """An operation's totals, summed over its chunks; raises Operation.DoesNotExist."""
    key = Operation._meta.pk.get_db_prep_value(operation_id, connection)
    # The stubs do not know the columns that a raw query adds.
    found: Any = next(iter(Operation.objects.raw(TOTALS, [key, key, key])), None)
    if found is None:
        raise Operation.DoesNotExist(f"operation {operation_id} is not there")
    return Progress(
        operation_id=found.pk,
        owner_id=found.created_by_id,
        sequence=sequence_of(found, found.recorded, found.known),
        state=State(found.state),
        total=int(found.total) if found.known and found.known == found.expected else None,
        message=found.message,
        started_at=found.started_at,
        finished_at=found.finished_at,
        **{name: getattr(found, name) for name in COUNTS},
    )


def cascades(operation: Operation) -> dict[str, int]:
    """How many rows were deleted along with an operation's own, by model."""
    found: Counter[str] = Counter()
    for one in operation.chunks.exclude(cascades=None).values_list("cascades", flat=True).iterator():
        found.update(one)
    return dict(sorted(found.items()))


def counts_of(one: Input) -> dict[str, int]:
    """The sums of an input's outcomes, by COUNTS."""
    recorded = one.chunks.filter(recorded_at__isnull=False)
    sums = recorded.aggregate(**{f"sum_{name}": Coalesce(Sum(name), 0) for name in COUNTS})
    return {name: sums[f"sum_{name}"] for name in COUNTS}


def sequence_of(operation: Operation, recorded: int, known: int) -> int:
    """A number that grows with everything that can happen to an operation."""
    is_stopping = operation.state in (State.CANCELING, State.CANCELED)
    return recorded + known + bool(operation.started_at) + is_stopping + bool(operation.finished_at)
