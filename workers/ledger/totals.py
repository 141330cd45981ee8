"""The ledger -> how far an operation has come."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import polars as pl
from django.db import connection

from bulkql.workers.backends import whole_sum
from bulkql.workers.enums import State
from bulkql.workers.errors import Code
from bulkql.workers.frames import unpack
from bulkql.workers.models import Input, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an operation has come. Totals, never deltas: a lost event costs nothing.

    `sequence` grows with every state and every chunk, and never goes back; `total` is null until the end of the
    last file is known.
    """

    operation_id: UUID
    #: The user who asked for it; None once the user is gone.
    owner_id: str | None
    sequence: int
    state: State
    total: int | None
    created: int
    updated: int
    unchanged: int
    deleted: int
    failed: int
    skipped: int
    #: Not in the messages of workers of before there were exports.
    exported: int = 0
    message: str
    started_at: datetime | None
    finished_at: datetime | None
    #: Webhooks tell its end.
    calls_back: bool = False

    @property
    def processed(self) -> int:
        """Rows that have their outcome, or are in an export's file."""
        return sum(getattr(self, name) for name in COUNTS)

    @property
    def is_final(self) -> bool:
        return self.state in State.final()


#: The sums of a chunk's outcomes, by their column.
COUNTS = ("created", "updated", "unchanged", "deleted", "failed", "skipped", "exported")


#: All that an operation's progress is made of, of one moment and in one trip; %s is its id, each time.
TOTALS = f"""
SELECT o.id, o.created_by_id, o.state, o.message, o.started_at, o.finished_at, o.turns, o.calls_back, i.*, c.*
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
        owner_id=found.owner_id,
        sequence=sequence_of(found, found.recorded, found.known),
        state=State(found.state),
        total=int(found.total) if found.known and found.known == found.expected else None,
        message=found.message,
        started_at=found.started_at,
        finished_at=found.finished_at,
        calls_back=found.calls_back,
        **{name: int(getattr(found, name)) for name in COUNTS},  # MariaDB sums up to a Decimal
    )


def at_first(operation: Operation) -> Progress:
    """An operation's totals as they were when it was accepted, for those who cannot read newer ones."""
    return Progress(
        operation_id=operation.pk,
        owner_id=operation.owner_id,
        sequence=0,
        state=State.QUEUED,
        total=None,
        message="",
        started_at=None,
        finished_at=None,
        calls_back=operation.calls_back,
        **dict.fromkeys(COUNTS, 0),
    )


def cascades(operation: Operation) -> dict[str, int]:
    """How many rows were deleted along with an operation's own, by model."""
    found: Counter[str] = Counter()
    for one in operation.chunks.exclude(cascades=None).values_list("cascades", flat=True):
        found.update(one)
    return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class Heaps:
    """The rows of a revert: undone, or as they were already; kept as they are, for they changed since; impossible."""

    undone: int
    changed_since: int
    impossible: int


def heaps(operation: Operation) -> Heaps:
    """The rows of a revert by what became of them."""
    recorded = operation.chunks.filter(recorded_at__isnull=False)
    names = ("created", "updated", "unchanged", "deleted", "failed")
    sums = recorded.aggregate(**{f"sum_{name}": whole_sum(name) for name in names})
    changed = 0
    for errors in recorded.filter(error_count__gt=0).values_list("errors", flat=True):
        found = unpack(errors or b"")
        changed += found.filter(pl.col("code") == Code.CONFLICT.value)["index"].n_unique()
    failed = sums.pop("sum_failed")
    return Heaps(undone=sum(sums.values()), changed_since=changed, impossible=failed - changed)


def counts_of(one: Input) -> dict[str, int]:
    """The sums of an input's outcomes, by COUNTS."""
    recorded = one.chunks.filter(recorded_at__isnull=False)
    sums = recorded.aggregate(**{f"sum_{name}": whole_sum(name) for name in COUNTS})
    return {name: sums[f"sum_{name}"] for name in COUNTS}


def sequence_of(operation: Operation, recorded: int, known: int) -> int:
    """A number that grows with everything that can happen to an operation."""
    is_stopping = operation.state in (State.CANCELING, State.CANCELED)
    return recorded + known + operation.turns + bool(operation.started_at) + is_stopping + bool(operation.finished_at)
