"""A finished operation -> the files that it offers, as pieces of bytes, with one chunk at a time in memory."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from functools import partial
from uuid import UUID

import polars as pl

from bulkql.workers.backends import whole_sum
from bulkql.workers.downloads import csv, ndjson, xlsx
from bulkql.workers.downloads.download import Download
from bulkql.workers.downloads.exported import exported_files
from bulkql.workers.downloads.failed_rows import Pieces, each, options_of
from bulkql.workers.downloads.workbook import SHEET_ROWS
from bulkql.workers.enums import Verb
from bulkql.workers.ledger.results import result_rows
from bulkql.workers.models import Chunk, Input, Operation
from bulkql.workers.readers.formulas import neutralised
from bulkql.workers.readers.options import FileFormat
from bulkql.workers.scratch import Scratch


def downloads(operation_id: UUID) -> list[Download]:
    """The failed and skipped rows of each resource, and the results of all; none until the operation is over.

    Of an export, what it was asked for.
    """
    verbs = Operation.objects.filter(pk=operation_id, finished_at__isnull=False).values_list("verb", flat=True)
    verb = verbs.first()
    if verb is None or verb == Verb.EXPORT:
        return list(exported_files(operation_id)) if verb else []
    inputs = (
        # Nobody sent the rows that a sync misses, or those of a revert.
        Input.objects.filter(operation=operation_id, removes=False)
        .exclude(operation__verb=Verb.REVERT)
        .select_related("operation")
        .annotate(left=whole_sum("chunks__failed") + whole_sum("chunks__skipped"))
    )
    return [
        *(download for one in inputs.order_by("position") if one.left for download in failed_downloads(one, one.left)),
        *results_of(operation_id),
    ]


def failed_downloads(stored: Input, rows: int) -> list[Download]:
    """The failed rows of an input, and those that were skipped."""
    name = f"{stored.resource}-failed"
    return [
        Download(
            name=f"{name}.csv",
            format=FileFormat.CSV,
            rows=rows,
            # As Python calls it: what the sender wrote could end an HTTP header, and begin another.
            encoding=codecs.lookup(options_of(stored).encoding).name,
            pieces=partial(csv.left_as_csv, stored),
        ),
        Download(
            name=f"{name}.ndjson",
            format=FileFormat.NDJSON,
            rows=rows,
            pieces=partial(ndjson.left_as_ndjson, stored),
        ),
        # More rows than a sheet has would not all come back.
        *([workbook_of_failed(stored, rows)] if rows <= SHEET_ROWS else []),
    ]


def workbook_of_failed(stored: Input, rows: int) -> Download:
    return Download(
        name=f"{stored.resource}-failed.xlsx",
        format=FileFormat.XLSX,
        rows=rows,
        pieces=partial(xlsx.as_xlsx, stored),
    )


def results_of(operation_id: UUID) -> list[Download]:
    """What became of all rows."""
    rows = Chunk.objects.filter(operation=operation_id).aggregate(rows=whole_sum("row_count"))["rows"]
    return [
        Download(
            name=f"results.{file_format.lower()}",
            format=file_format,
            rows=rows,
            pieces=partial(written, write, operation_id),
        )
        for file_format, write in WRITERS.items()
        if rows
    ]


def written(write: Callable[[Iterator[pl.DataFrame]], Pieces], operation_id: UUID) -> Pieces:
    return write(results(operation_id))


def results(operation_id: UUID) -> Iterator[pl.DataFrame]:
    """Index, resource, outcome and pk of all rows, a chunk at a time."""
    chunks = Chunk.objects.filter(operation=operation_id).select_related("input").defer("payload", "errors", "images")
    for chunk in each(chunks.order_by("input__position", "number")):
        yield result_rows(chunk).select("index", pl.lit(chunk.input.resource).alias("resource"), "outcome", "pk")


def results_as_csv(frames: Iterator[pl.DataFrame]) -> Pieces:
    """The first frame brings the header. A primary key may be any text, and a formula."""
    for place, frame in enumerate(frames):
        yield frame.with_columns(neutralised(pl.col("pk"))).write_csv(include_header=place == 0).encode()


def results_as_ndjson(frames: Iterator[pl.DataFrame]) -> Pieces:
    for frame in frames:
        yield frame.write_ndjson().encode()


def as_parquet(frames: Iterator[pl.DataFrame]) -> Pieces:
    """A Parquet file ends with what is known only then: it is put together on disk, of one part for each frame."""
    with Scratch() as directory:
        parts = []
        for place, frame in enumerate(frames):
            parts.append(directory.path(f"{place}.parquet"))
            frame.write_parquet(parts[-1])
        pl.scan_parquet(parts).sink_parquet(directory.path("whole.parquet"))
        yield from directory.pieces("whole.parquet")


WRITERS: dict[FileFormat, Callable[[Iterator[pl.DataFrame]], Pieces]] = {
    FileFormat.CSV: results_as_csv,
    FileFormat.NDJSON: results_as_ndjson,
    FileFormat.PARQUET: as_parquet,
}
