"""Recorded chunks -> pages of results and row errors, in input order, a chunk at a time in memory."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
from django.db.models import Q, QuerySet

from bulkql.workers.backends import whole_sum
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.enums import Outcome
from bulkql.workers.errors import BadInput, LimitExceeded
from bulkql.workers.frames import unpack
from bulkql.workers.models import Chunk, Operation


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands: the position of its input, the number of its chunk, its offset in there."""

    position: int
    number: int
    offset: int

    def cursor(self) -> str:
        return base64.urlsafe_b64encode(f"{self.position}:{self.number}:{self.offset}".encode()).decode()

    @classmethod
    def of(cls, cursor: str) -> Place:
        """What cursor made; raises BadInput."""
        try:
            place = cls(*map(int, base64.urlsafe_b64decode(cursor).split(b":")))
        except (TypeError, ValueError):
            place = None
        # Base64 and numbers may be written in many ways, and the database has no number below zero or this large.
        if place is None or place.cursor() != cursor or not place.is_possible:
            raise BadInput(f"{cursor[:100]!r} is not a cursor; use one from pageInfo.endCursor.")
        return place

    @property
    def is_possible(self) -> bool:
        return all(0 <= number < 2**31 for number in (self.position, self.number, self.offset))


@dataclass(frozen=True, slots=True)
class Page:
    """Entries with their places. `total` counts all that are recorded so far."""

    entries: list[tuple[Place, dict[str, Any]]]
    has_next: bool
    total: int


def result_page(operation: Operation, first: int, after: str | None) -> Page:
    """A page of rows: resource, index, outcome, pk."""
    chunks = Chunk.objects.filter(operation=operation, recorded_at__isnull=False)
    return page(chunks, "row_count", result_rows, first, after)


def error_page(operation: Operation, first: int, after: str | None) -> Page:
    """A page of row errors: resource, index, path, code, message, data."""
    chunks = Chunk.objects.filter(operation=operation, error_count__gt=0).defer("results")
    return page(chunks, "error_count", chunk_errors, first, after)


def page(chunks: QuerySet[Chunk], count: str, rows_of: Any, first: int, after: str | None) -> Page:
    """The entries behind a place, from as few chunks as they need."""
    start = check_page(first, after)
    entries: list[tuple[Place, dict[str, Any]]] = []
    for place, row in walk(chunks, rows_of, start):
        if len(entries) == first:
            return Page(entries, True, total(chunks, count))
        entries.append((place, row))
    return Page(entries, False, total(chunks, count))


def check_page(first: int, after: str | None) -> Place | None:
    """The place behind which a page begins; raises BadInput, LimitExceeded."""
    most = limits().page_rows
    if first > most:
        raise LimitExceeded(f"A page of {first:,} exceeds the limit of {most:,} ({setting_name('page_rows')}).")
    if first < 0:
        raise BadInput(f"first is {first}; a page has no negative number of entries.")
    return Place.of(after) if after is not None else None


def total(chunks: QuerySet[Chunk], count: str) -> int:
    found: int = chunks.aggregate(total=whole_sum(count))["total"]
    return found


def walk(chunks: QuerySet[Chunk], rows_of: Any, start: Place | None) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Entries in order, from behind a place on."""
    rest = chunks.select_related("input").defer("payload", "images")
    if start is not None:
        same = Q(input__position=start.position, number__gte=start.number)
        rest = rest.filter(Q(input__position__gt=start.position) | same)
    for chunk in chunks_in_order(rest):
        position = chunk.input.position
        is_first = start is not None and (position, chunk.number) == (start.position, start.number)
        skipped = start.offset + 1 if start is not None and is_first else 0
        for offset, row in enumerate(rows_of(chunk)[skipped:].iter_rows(named=True), start=skipped):
            yield Place(position, chunk.number, offset), {"resource": chunk.input.resource, **row}


def chunks_in_order(chunks: QuerySet[Chunk]) -> Iterator[Chunk]:
    """Chunks in their order, one of them in memory at a time.

    Each is asked for by its number: a cursor is not found again where a pooler gives every transaction a connection.
    """
    chunk = chunks.order_by("input__position", "number").first()
    while chunk is not None:
        yield chunk
        position = chunk.input.position
        chunk = chunks.filter(input=chunk.input_id, number__gt=chunk.number).order_by("number").first()
        if chunk is None:
            chunk = chunks.filter(input__position__gt=position).order_by("input__position", "number").first()


def result_rows(chunk: Chunk) -> pl.DataFrame:
    """The outcomes of a chunk: index, outcome, pk. One that was never written has none stored: its rows are skipped."""
    indexes = pl.int_range(chunk.row_start, chunk.row_start + chunk.row_count, eager=True).alias("index")
    if chunk.results is not None:
        return unpack(chunk.results).insert_column(0, indexes)
    pks = missing_pks(chunk) if chunk.input.removes else pl.lit(None, dtype=pl.String)
    return indexes.to_frame().select("index", outcome=pl.lit(Outcome.SKIPPED.value), pk=pks)


def missing_pks(chunk: Chunk) -> pl.Series | pl.Expr:
    """The primary keys of rows that a sync misses, which nobody sent: nothing else tells which they are."""
    pk, *others = unpack(chunk.payload).get_columns()
    # Rows of a revert wait otherwise.
    return pl.lit(None, dtype=pl.String) if others else pk


def chunk_errors(chunk: Chunk) -> pl.DataFrame:
    """The row errors of a chunk."""
    assert chunk.errors is not None
    return unpack(chunk.errors)
