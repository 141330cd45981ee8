"""The rows that an operation's chunks wrote -> the chunks of its revert.

A chunk of the operation is undone by one of the revert, if it is not too large for that; where its rows depend on each
other, in any case.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from bulkql.workers.frames import GIVES_TO, unpack
from bulkql.workers.models import Chunk
from bulkql.workers.resources.plan import Plan
from bulkql.workers.reverting.source import CHUNK


def in_pieces(plan: Plan, frames: Iterator[pl.DataFrame], size: int) -> Iterator[pl.DataFrame]:
    """Raw rows (`__chunk`, `__place`) of an operation's chunks, as chunks of at most this many if that can be."""
    held: list[pl.DataFrame] = []
    height = 0
    for frame in frames:
        if height and height + frame.height > size:
            yield pl.concat(held)
            held, height = [], 0
        if frame.height > size and not depend_on_each_other(plan, frame):
            yield from frame.iter_slices(size)
        elif frame.height:
            held.append(frame)
            height += frame.height
    if height:
        yield pl.concat(held)


def depend_on_each_other(plan: Plan, rows: pl.DataFrame) -> bool:
    """Whether rows can only be undone together: they swapped values, or were deleted and may point to each other."""
    chunks = Chunk.objects.filter(pk__in=rows[CHUNK].unique().to_list())
    if plan.resource.refers_to_itself and chunks.filter(deleted__gt=0).exists():
        return True
    payloads = chunks.filter(updated__gt=0).values_list("payload", flat=True)
    return any(GIVES_TO in unpack(payload).columns for payload in payloads)
