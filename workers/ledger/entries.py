"""What became of a chunk's rows -> its ledger entry, in the transaction that wrote them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from bulkql.workers.backends import sending_bytes
from bulkql.workers.enums import Outcome, State
from bulkql.workers.errors import LeaseLost
from bulkql.workers.frames import pack
from bulkql.workers.models import Chunk, Operation


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of a chunk's rows.

    `outcomes`: index, outcome, pk of every row; `errors`: index, path, code, message, data; `cascades`: how many rows
    were deleted along with its own, by model; `images`: what its rows were before, packed.
    """

    outcomes: pl.DataFrame
    errors: pl.DataFrame
    cascades: dict[str, int]
    images: bytes | None = None
    #: What a dry run saw of the table's rows (workers/evidence); None for what is no plan.
    evidence: pl.DataFrame | None = None

    def columns(self) -> dict[str, object]:
        """The columns of a chunk that hold it."""
        sums = dict(self.outcomes["outcome"].value_counts().iter_rows())
        return {
            "recorded_at": Now(),
            "leased_until": None,
            # A chunk's rows are in order, and none is left out: their indexes need not be stored.
            "results": pack(self.outcomes.drop("index")),
            "errors": pack(self.errors) if self.errors.height else None,
            "error_count": self.errors.height,
            **({} if self.evidence is None else {"evidence": pack(self.evidence)}),
            "cascades": self.cascades or None,
            "images": self.images,
            **{outcome.lower(): sums.get(outcome, 0) for outcome in Outcome},
        }


def record(chunk: Chunk, entry: Entry) -> None:
    """Enter what became of a chunk's rows; in the transaction that wrote them.

    Raises LeaseLost when the chunk is no longer this worker's, so that its rows are rolled back.
    """
    if not write_entry(Chunk.objects.filter(pk=chunk.pk, lease=chunk.lease), entry):
        raise LeaseLost(f"chunk {chunk.pk} was taken over by another worker")


def write_entry(chunk: QuerySet[Chunk], entry: Entry) -> bool:
    """Whether there is such a chunk that has no entry yet; then it has this one."""
    with sending_bytes(DEFAULT_DB_ALIAS):
        return bool(chunk.filter(recorded_at=None).update(**entry.columns()))


def record_all(claimed: Operation, entries: Iterable[tuple[int, Entry]], state: State, message: str) -> None:
    """Enter what became of all chunks, by their id, and end the operation; in one transaction. Raises LeaseLost."""
    for chunk_id, entry in entries:
        write_entry(Chunk.objects.filter(pk=chunk_id), entry)
    its_own = Operation.objects.filter(~Q(state=State.CANCELING), pk=claimed.pk, lease=claimed.lease, finished_at=None)
    if not its_own.update(state=state, message=message, finished_at=Now(), leased_until=None):
        raise LeaseLost(f"operation {claimed.pk} was canceled, or taken over by another worker")
