"""Rows that a request waits for -> written in the very transaction that stores them: one commit for all of it."""

from __future__ import annotations

import polars as pl
from django.utils import timezone

from bulkql.workers.enums import State
from bulkql.workers.models import Chunk, Operation
from bulkql.workers.operations import chunks
from bulkql.workers.resources.plan import Plan


def write(chunk: Chunk, plan: Plan, raw: pl.DataFrame) -> None:
    """Write the rows of a chunk that is about to be stored, and enter what became of them."""
    chunks.set_up(plan)
    entry = chunks.written(chunk, plan, chunks.checked(plan, raw))
    for name, value in entry.columns().items():
        setattr(chunk, name, value)


def finish(operation: Operation) -> None:
    """All chunks were written as they were stored, so the operation is over when it is committed."""
    operation.state = State.COMPLETED
    operation.started_at, operation.finished_at = operation.created_at, timezone.now()
    operation.save(update_fields=["state", "started_at", "finished_at"])
