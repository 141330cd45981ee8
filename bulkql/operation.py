"""An operation, as Python code looks at it: its totals, row errors and results, and what can be done with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import DatabaseError

from bulkql.options import PYTHON, refused_in_python
from bulkql.workers.errors import counted

if TYPE_CHECKING:
    from bulkql.workers.downloads.download import Download
    from bulkql.workers.ledger.totals import Heaps, Progress
    from bulkql.workers.models import Operation

#: Seconds between two looks at an operation that is waited for.
POLL_SECONDS = 0.1
COUNTS = ("created", "updated", "unchanged", "deleted", "failed", "skipped", "exported")


class BulkOperation:
    """What GraphQL's BulkOperation has, under the same names in snake_case.

    The totals are those of the moment at which it was made, or of the last `refresh`, `wait` or `cancel`.
    """

    def __init__(self, stored: Operation) -> None:
        self._stored = stored
        self._totals = totals_of(stored)

    @property
    def id(self) -> UUID:
        return self._stored.pk

    @property
    def state(self) -> str:
        """QUEUED, RUNNING, PAUSED, CANCELING, CANCELED, COMPLETED or FAILED."""
        return self._totals.state.value

    @property
    def is_over(self) -> bool:
        """Whether it is COMPLETED, CANCELED or FAILED."""
        return self._totals.state in type(self._totals.state).final()

    @property
    def message(self) -> str:
        """Why it FAILED, or what it waits for."""
        return PYTHON.message(self._totals.message)

    @property
    def total(self) -> int | None:
        """All rows; None until the end of the last file is known."""
        return self._totals.total

    @property
    def created(self) -> int:
        return self._totals.created

    @property
    def updated(self) -> int:
        return self._totals.updated

    @property
    def unchanged(self) -> int:
        return self._totals.unchanged

    @property
    def deleted(self) -> int:
        return self._totals.deleted

    @property
    def failed(self) -> int:
        return self._totals.failed

    @property
    def skipped(self) -> int:
        return self._totals.skipped

    @property
    def applied_from(self) -> UUID | None:
        """The plan that it applies."""
        return self._stored.applied_from_id

    @property
    def plan_until(self) -> datetime | None:
        """Until when `bulkql.apply` accepts it; None if it is not a plan."""
        from bulkql.workers.ledger.retention import plan_until

        is_plan = self._stored.is_plan and self.state == "COMPLETED"
        return plan_until(self._totals.finished_at) if is_plan else None

    @property
    def exported(self) -> int:
        """Rows that were written to an export's files."""
        return self._totals.exported

    @property
    def files(self) -> list[File]:
        """The files for download once it is over: an export's files, or the failed rows and the results."""
        from bulkql.workers.downloads.files import downloads

        return [File(one) for one in downloads(self.id)]

    @property
    def cascades(self) -> dict[str, int]:
        """Rows that were deleted along with its own, by model."""
        from bulkql.workers.ledger.totals import cascades

        return cascades(self._stored)

    def row_errors(self) -> Iterator[dict[str, Any]]:
        """All row errors, in input order: resource, index, path, code, message, data; a chunk at a time in memory."""
        from bulkql.workers.ledger.results import chunk_errors, walk

        chunks = self._stored.chunks.filter(error_count__gt=0)
        return (row for _, row in walk(chunks, chunk_errors, None))

    def results(self) -> Iterator[dict[str, Any]]:
        """What became of each row, in input order: resource, index, outcome, pk; a chunk at a time in memory."""
        from bulkql.workers.ledger.results import result_rows, walk

        chunks = self._stored.chunks.filter(recorded_at__isnull=False)
        return (row for _, row in walk(chunks, result_rows, None))

    @property
    def reverted(self) -> Heaps:
        """For a revert: how many rows were undone, have changed since and were kept, and could not be undone."""
        from bulkql.workers.ledger.totals import heaps

        return heaps(self._stored)

    def refresh(self) -> Self:
        """Read the totals again."""
        self._stored.refresh_from_db()
        self._totals = totals_of(self._stored)
        return self

    def wait(self, seconds: float | None = None) -> Self:
        """Wait until it is over; raises TimeoutError after so many seconds, though the operation continues."""
        began = time.monotonic()
        while not self.refresh().is_over:
            self._check_time(began, seconds)
            time.sleep(POLL_SECONDS)  # the database does not call back
        return self

    async def async_wait(self, seconds: float | None = None) -> Self:
        """The same as `wait`, for async code."""
        began = time.monotonic()
        # Each look is by the caller's own connection, which others of its thread use meanwhile: what a transaction of
        # the caller's has stored is seen by no other.
        while not (await sync_to_async(self.refresh)()).is_over:
            self._check_time(began, seconds)
            await asyncio.sleep(POLL_SECONDS)
        return self

    def _check_time(self, began: float, seconds: float | None) -> None:
        """Raises TimeoutError where it was waited for long enough."""
        if seconds is not None and time.monotonic() > began + seconds:
            raise TimeoutError(f"Operation {self.id} is {self.state} after {seconds:g} seconds, and continues.")

    def cancel(self) -> Self:
        """Stop it at its next chunk: what is written stays, the rest is SKIPPED."""
        from bulkql.workers.operations import steering

        steering.cancel(self.id)
        return self.refresh()

    def pause(self) -> Self:
        """Pause it once the chunks in progress are finished; raises BadInput if it cannot be paused."""
        from bulkql.workers.operations import steering

        with refused_in_python():
            steering.pause(self.id)
        return self.refresh()

    def resume(self) -> Self:
        """Continue it where it was paused; raises BadInput if it is over."""
        from bulkql.workers.operations import steering

        with refused_in_python():
            steering.resume(self.id)
        return self.refresh()

    def counts(self) -> str:
        """Such as: 5 created, 1 failed."""
        return ", ".join(f"{getattr(self, name):,} {name}" for name in COUNTS if getattr(self, name))

    def __repr__(self) -> str:
        told = self.counts()
        return f"<BulkOperation {self.id} {self.state}{f': {told}' if told else ''}>"


class File:
    """A file of an operation."""

    def __init__(self, download: Download) -> None:
        self._download = download

    @property
    def name(self) -> str:
        """Such as financialTransactions.csv."""
        return self._download.name

    @property
    def format(self) -> str:
        """CSV, NDJSON, PARQUET or XLSX."""
        return self._download.format.value

    @property
    def rows(self) -> int:
        return self._download.rows

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, some at a time in memory."""
        return self._download.pieces()

    def read(self) -> bytes:
        """All of its bytes."""
        return b"".join(self.pieces())

    def save(self, path: str | PathLike[str]) -> Path:
        """Write it to a path, or under its own name into a directory; gives the path."""
        target = Path(path)
        target = target / self.name if target.is_dir() else target
        with target.open("wb") as file:
            file.writelines(self.pieces())
        return target

    def __repr__(self) -> str:
        return f"<File {self.name}: {counted(self.rows, 'row')}>"


@contextmanager
def canceled_by_ctrl_c(operation_id: UUID) -> Iterator[None]:
    """Ctrl-C, or a notebook's Interrupt, stops an operation too, which workers would otherwise continue.

    What became of it is a note of the KeyboardInterrupt.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        # Within a transaction of the caller's, which is rolled back, nothing may be asked any more.
        with suppress(DatabaseError):
            interrupt.add_note(canceled(operation_id))
        raise


def canceled(operation_id: UUID) -> str:
    """Cancel an operation, if it was stored; gives what became of it."""
    from bulkql.workers.models import Operation
    from bulkql.workers.operations import steering

    if (stored := Operation.objects.filter(pk=operation_id).first()) is None:
        return "Nothing was stored."
    steering.cancel(operation_id)
    told = BulkOperation(stored).counts()
    return f"Operation {operation_id} is {BulkOperation(stored).state}: {told or 'nothing was written'}."


def totals_of(stored: Operation) -> Progress:
    from bulkql.workers.ledger.totals import progress

    return progress(stored.pk)
