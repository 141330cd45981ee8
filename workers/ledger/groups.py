"""Recorded chunks -> their row errors in groups of one resource, path and code: what is wrong, at a glance."""

from __future__ import annotations

from typing import Any

import polars as pl

from bulkql.workers.ledger.results import chunk_errors, chunks_in_order
from bulkql.workers.models import Chunk, Operation

#: Groups that are told.
GROUPS = 100
#: Groups that are counted at a time: names of unknown fields may be as many as rows.
MOST_COUNTED = 10_000

OF_ONE_KIND = ("resource", "path", "code")
#: What is told of the first of a group.
OF_THE_FIRST = ("message", "data")


def error_groups(operation: Operation) -> list[dict[str, Any]]:
    """The groups with most errors first: resource, path, code, count; and the message and the data of their first."""
    found: pl.DataFrame | None = None
    chunks = Chunk.objects.filter(operation=operation, error_count__gt=0).select_related("input")
    for chunk in chunks_in_order(chunks.defer("payload", "results", "images")):
        new = grouped(chunk_errors(chunk).with_columns(resource=pl.lit(chunk.input.resource), count=pl.lit(1)))
        found = new if found is None else grouped(pl.concat([found, new]))
        found = found.head(MOST_COUNTED)
    return [] if found is None else found.head(GROUPS).to_dicts()


def grouped(errors: pl.DataFrame) -> pl.DataFrame:
    """Errors or groups as groups, the largest first, and of equal ones the earlier."""
    groups = errors.group_by(OF_ONE_KIND, maintain_order=True)
    counted = groups.agg(pl.col("count").cast(pl.Int64).sum(), pl.col(OF_THE_FIRST).first())
    return counted.sort("count", descending=True, maintain_order=True)
