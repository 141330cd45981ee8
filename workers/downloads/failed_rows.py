"""An input -> the rows that it left, failed and skipped: their cells, and why. Files of them are made of that.

What comes out can be mended and sent again with the same options. Rows that a later one superseded
(DUPLICATE_IN_REQUEST) failed too, and are among them. Sent again as they are, a create refuses them, for the later row
is in the table; an update or an upsert would undo the later row: give them another key, or take them out.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import polars as pl
from django.db.models import Q, QuerySet

from bulkql.workers.enums import Outcome, State
from bulkql.workers.errors import Code, RowError
from bulkql.workers.frames import (
    IGNORED,
    INTAKE_ERRORS,
    NO_RECORDED_ERRORS,
    ROW_NUMBER,
    errors_from_json,
    ignored,
    ignored_name,
    unpack,
)
from bulkql.workers.ledger.results import result_rows
from bulkql.workers.models import Chunk, Input
from bulkql.workers.readers import returned
from bulkql.workers.readers.objects import NOT_AN_OBJECT
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.plan import Plan, plan_of

#: A file while it is written; closed when nobody reads on.
Pieces: TypeAlias = Generator[bytes, None, None]

#: What the files say of a row.
REASONS = {"index": ROW_NUMBER, "path": pl.String, "code": pl.String, "message": pl.String}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How the rows of an input were sent."""

    is_file: bool
    options: FileOptions
    plan: Plan
    #: The columns of the file, each with its field, None for one that was left out; empty where it has no header.
    header: list[tuple[str, str | None]]
    #: Why rows were skipped.
    skipped: str

    @cached_property
    def names(self) -> dict[str, str]:
        """Field -> what the file calls it, where that is known."""
        return {
            **{field: name.strip() for name, field in self.options.columns.items()},
            **{field: name for name, field in self.header if field is not None},
        }

    def name_of(self, column: str) -> str:
        """What the sender calls a column of a raw frame."""
        if column.startswith(IGNORED):
            return ignored_name(column)
        known = self.plan.all_columns.get(column)
        return self.names.get(column, column) if self.is_file or known is None else known.graphql_name


@dataclass(frozen=True, slots=True)
class Left:
    """The rows that a chunk left: cells, indexes in the input, and the reasons of each: index, path, code, message."""

    cells: pl.DataFrame
    indexes: pl.Series
    reasons: pl.DataFrame

    def malformed(self) -> Iterator[str | None]:
        """The text of each row that was no record of its file's format."""
        if INTAKE_ERRORS not in self.cells.columns:
            return (None for _ in self.indexes)
        return (text and text_of_malformed(errors_from_json(text)) for text in self.cells[INTAKE_ERRORS])


def text_of_malformed(errors: list[RowError]) -> str | None:
    """What a row was that was no record, or no object."""
    is_of_row = (error for error in errors if error.path is None)
    return next((one.data for one in is_of_row if one.code == Code.MALFORMED or one.message == NOT_AN_OBJECT), None)


def shape_of(stored: Input) -> Shape:
    """How an input was sent. A file calls a field as its header does, or as its options say, or as we do."""
    return Shape(
        is_file=stored.file_options is not None,
        options=options_of(stored),
        plan=plan_of(stored),
        header=[(name, field) for name, field in stored.header or []],
        skipped=why_skipped(stored),
    )


def options_of(stored: Input) -> FileOptions:
    """How a file of these rows is read: as the sender's was; inline rows make a plain one."""
    return FileOptions.from_json(stored.file_options or FileOptions(format=FileFormat.CSV).as_json())


def why_skipped(stored: Input) -> str:
    """Why rows of a finished operation were not written, though nothing is known to be wrong with them."""
    if stored.operation.state == State.CANCELED:
        return "Not written: the operation was canceled first."
    return f"Not written: {stored.operation.message or 'the operation ended first.'}"


def left_chunks(stored: Input) -> QuerySet[Chunk]:
    """The chunks that left rows."""
    return stored.chunks.filter(Q(failed__gt=0) | Q(skipped__gt=0)).order_by("number")


def each(chunks: QuerySet[Chunk]) -> Iterator[Chunk]:
    """Chunks one by one: a cursor would hold a transaction open for as long as the client takes to read."""
    for pk in list(chunks.values_list("pk", flat=True)):
        yield chunks.get(pk=pk)


def left_rows(stored: Input, shape: Shape) -> Iterator[Left]:
    """The rows that an input left, a chunk at a time."""
    return (left_in(chunk, shape) for chunk in each(left_chunks(stored)))


def left_in(chunk: Chunk, shape: Shape) -> Left:
    """The failed and skipped rows of a chunk."""
    results = result_rows(chunk)
    is_skipped = results["outcome"] == Outcome.SKIPPED.value
    is_left = is_skipped | (results["outcome"] == Outcome.FAILED.value)
    errors = unpack(chunk.errors) if chunk.errors is not None else NO_RECORDED_ERRORS.clone()
    skipped = results.filter(is_skipped).select(
        pl.col("index").cast(ROW_NUMBER),
        path=pl.lit(None, dtype=pl.String),
        code=pl.lit(returned.SKIPPED),
        message=pl.lit(shape.skipped),
    )
    reasons = pl.concat([errors.select(list(REASONS)), skipped])
    return Left(unpack(chunk.payload).filter(is_left), results["index"].filter(is_left), reasons)


def sent_columns(raw: pl.DataFrame) -> list[str]:
    """The sender's columns of a raw frame; the others are ours."""
    return [name for name in raw.columns if not name.startswith("__") or name.startswith(IGNORED)]


def columns_of_header(shape: Shape) -> list[str]:
    """The columns of raw frames in the order of the file's header, without those that bulkql added to it before."""
    return [
        field or ignored(place, name)
        for place, (name, field) in enumerate(shape.header)
        if field is not None or name not in returned.NAMES
    ]
