"""Lines of JSON that call their fields what earlier lines called them -> raw frames, without a dictionary for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec
import polars as pl

from bulkql.workers.columns.cells import cells
from bulkql.workers.columns.column import Column
from bulkql.workers.columns.lists import ListColumn
from bulkql.workers.readers.options import FileOptions
from bulkql.workers.resources.plan import Plan

#: What decoding raises; and TypeError, where the digits of a number are within a list or an object.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError)


class Records:
    """A decoder that is compiled for the fields that the file's rows have had so far."""

    def __init__(self, plan: Plan, options: FileOptions) -> None:
        names = {} if options.null_values else {**plan.names, **options.columns}
        self._columns = list(plan.all_columns.values())
        self._known = {name: plan.all_columns[field] for name, field in names.items()}
        self._seen: dict[Column, str] = {}
        self._decoder: msgspec.json.Decoder[Any] | None = None

    def learn(self, rows: Iterable[Any]) -> None:
        """Take note of what rows call their fields."""
        found = set().union(*(row for row in rows if isinstance(row, dict)))
        before = len(self._seen)
        for name in sorted(found & self._known.keys()):
            column = self._known[name]
            # A row that uses two names of one field contradicts itself, and must be looked at.
            if not column.as_json and not isinstance(column, ListColumn):
                self._seen.setdefault(column, name)
        if len(self._seen) > before:
            self._decoder = decoder_of(tuple(self._seen.values()))

    def frame(self, block: bytes) -> pl.DataFrame | None:
        """The rows of a block; None where any of them has other fields, and each must be looked at."""
        if self._decoder is None:
            return None
        try:
            series = list(self._series(self._decoder.decode_lines(block)))
        except UNREADABLE:
            return None
        # Rows that give nothing at all are rows still.
        return pl.DataFrame(series) if series else None

    def _series(self, rows: list[Any]) -> Iterator[pl.Series]:
        places = {column: place for place, column in enumerate(self._seen)}
        for column in self._columns:
            if column in places:
                values = list(map(attrgetter(attribute(places[column])), rows))
                if any(value is not ... for value in values):
                    yield cells(values, column.accepts).alias(column.name)


@lru_cache(maxsize=100)
def decoder_of(names: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    """Lines -> objects of these fields, `...` where a line does not give one; raises DecodeError for any other."""
    attributes = {attribute(place): name for place, name in enumerate(names)}
    row = msgspec.defstruct(
        "Row", [(name, Any, ...) for name in attributes], rename=attributes, forbid_unknown_fields=True, gc=False
    )
    # Digits as bytes are made by C alone, and are no other kind of JSON.
    return msgspec.json.Decoder(row, float_hook=str.encode)


def attribute(place: int) -> str:
    return f"field_{place}"
