"""Primary keys, reserved in input order before anybody knows which worker writes which chunk."""

from __future__ import annotations

import polars as pl

from bulkql.workers.columns.sequences import key_sequence, next_numbers
from bulkql.workers.enums import Lane, Verb
from bulkql.workers.frames import RESERVED_PK
from bulkql.workers.models import Operation
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import BulkResource


def with_reserved(plan: Plan, operation: Operation, raw: pl.DataFrame) -> pl.DataFrame:
    """A raw frame, with primary keys for rows that are to be new. Many a save() asks whether it has one yet.

    Most rows of an upsert may be there, and numbers that a sequence gave are gone: its new rows get theirs as they are
    inserted. But for a plan's: the names in its rows mean the same new rows when it is applied.
    """
    is_new = plan.verb == Verb.CREATE or (plan.creates and operation.is_plan)
    return with_keys(plan.resource, raw) if is_new and plan.lane == Lane.COPY else raw


def with_keys(resource: BulkResource, raw: pl.DataFrame) -> pl.DataFrame:
    """Rows to create, with a primary key for each where the database counts them. Keys of bad rows are lost."""
    sequence = key_sequence(resource.model, resource.database)
    if sequence is None:
        return raw
    keys = next_numbers(resource.database, sequence, raw.height)
    return raw.with_columns(keys.alias(RESERVED_PK))
