"""A chunk of a revert -> what the other operation did to each of its rows, as the ledger kept it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from bulkql.workers.enums import Outcome
from bulkql.workers.errors import Code
from bulkql.workers.frames import ROW, ROW_NUMBER, errors_in, row_numbers, unpack
from bulkql.workers.images.literals import image_columns
from bulkql.workers.images.taken import Images, Part, gathered, unpacked
from bulkql.workers.models import Chunk
from bulkql.workers.resources.plan import Plan

#: A revert's rows wait as the chunk of the other operation, and the place among those that it wrote there.
CHUNK, PLACE = "__chunk", "__place"
NO_ROWS = pl.DataFrame(schema={CHUNK: pl.Int64, PLACE: pl.Int64})

WRITTEN = (Outcome.CREATED.value, Outcome.UPDATED.value, Outcome.DELETED.value)
UNKEPT = (
    "No image of this row was kept: keeps_images was off, too many rows were deleted along with it, or it has expired."
)
OTHER_COLUMNS = "The columns of the table have changed, so the stored image of this row does not fit."


@dataclass(frozen=True, slots=True)
class Source:
    """What is to be undone. `rows`: `__row` of the revert, outcome and pk in the other operation.

    `images` have the revert's `__row` too; `errors` are those of rows of which too little is known.
    """

    rows: pl.DataFrame
    images: list[Images]
    errors: pl.DataFrame


def raw_rows(chunk_id: int, count: int) -> pl.DataFrame:
    """The rows of a chunk that wrote so many, the last one first: what was done last is undone first."""
    places = pl.int_range(count - 1, -1, -1, dtype=pl.Int64, eager=True)
    return pl.DataFrame({PLACE: places}).select(pl.lit(chunk_id, dtype=pl.Int64).alias(CHUNK), PLACE)


def source_of(plan: Plan, raw: pl.DataFrame) -> Source:
    """What the ledger knows of a chunk's rows (`__chunk`, `__place`); raises HookFailed after a change of secret."""
    wanted = raw.select(row_numbers(), CHUNK, PLACE)
    rows: list[pl.DataFrame] = []
    images: list[Images] = []
    for (chunk_id,), some in wanted.group_by(CHUNK, maintain_order=True):
        chunk = Chunk.objects.only("results", "images", "row_count").filter(pk=chunk_id).first()
        if chunk is None or chunk.results is None:
            continue
        written = written_rows(chunk).join(some, on=PLACE)
        rows.append(written.select(ROW, "outcome", "pk"))
        images += moved_images(chunk, written.select(ROW, "source"))
    schema = {ROW: ROW_NUMBER, "outcome": pl.String, "pk": pl.String}
    found = pl.concat([pl.DataFrame(schema=schema), *rows])
    images = gathered(images)
    usable = [one for one in images if set(one.columns) <= set(image_columns(one.model))]
    kept = pl.concat([pl.Series(ROW, [], dtype=ROW_NUMBER), *(one.rows[ROW] for one in images)])
    unusable = [one.rows[ROW] for one in images if one not in usable]
    strange = pl.concat([pl.Series(ROW, [], dtype=ROW_NUMBER), *unusable]).unique()
    lost = wanted.filter(~pl.col(ROW).is_in(kept.implode()))
    errors = [
        errors_in(lost, None, Code.REJECTED, pl.lit(UNKEPT), pl.lit(None)),
        errors_in(strange.to_frame(), None, Code.REJECTED, pl.lit(OTHER_COLUMNS), pl.lit(None)),
    ]
    return Source(found, usable, pl.concat(errors).unique(ROW, keep="first", maintain_order=True))


def own_of(plan: Plan, images: list[Images]) -> Iterator[Images]:
    """The images of rows of the resource's own table."""
    own = plan.resource.model._meta.concrete_model
    return (one for one in images if one.part == Part.OWN and one.model._meta.concrete_model is own)


def written_rows(chunk: Chunk) -> pl.DataFrame:
    """The rows that a chunk wrote: `source` (their place in it), outcome, pk, `__place` (among these)."""
    assert chunk.results is not None
    rows = unpack(chunk.results).select("outcome", "pk", source=pl.int_range(pl.len(), dtype=ROW_NUMBER))
    return rows.filter(pl.col("outcome").is_in(WRITTEN)).with_columns(
        pl.int_range(pl.len(), dtype=pl.Int64).alias(PLACE)
    )


def moved_images(chunk: Chunk, rows: pl.DataFrame) -> Iterator[Images]:
    """The images of a chunk under the revert's `__row`; `rows`: `__row`, source."""
    for one in unpacked(chunk.images) if chunk.images is not None else ():
        found = one.rows.rename({ROW: "source"}).join(rows, on="source").select(ROW, "pk", "image", "mark")
        if not found.is_empty():
            yield replace(one, rows=found)
