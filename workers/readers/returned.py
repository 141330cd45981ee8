"""The columns that bulkql adds to rows that come back. Readers ignore them, so that the rows can be sent again."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

import polars as pl

from bulkql.workers.errors import Code, RowError
from bulkql.workers.frames import INTAKE_ERRORS, errors_to_json
from bulkql.workers.readers.formulas import GUARD, without_guard

ROW = "bulkql_row"
CODE = "bulkql_code"
PATH = "bulkql_path"
MESSAGE = "bulkql_message"
#: The text of a record that could not be read as a row; there only where some could not.
LINE = "bulkql_line"
#: What NDJSON has for code, path and message.
ERRORS = "bulkql_errors"

#: Its cells in a raw frame of CSV, until with_unmended has looked at them.
UNMENDED = "__unmended"
#: The columns behind those of the sender in CSV.
COLUMNS = (ROW, CODE, PATH, MESSAGE)
NAMES = frozenset({*COLUMNS, LINE, ERRORS})
#: The code of a row that was not written because the operation came to no good end.
SKIPPED = "SKIPPED"


def is_returned(header: Iterable[str]) -> bool:
    """Whether a file with this header went out with failed rows before."""
    return not NAMES.isdisjoint(header)


def without_own(rows: Iterable[Any], errors: dict[int, list[RowError]]) -> None:
    """Take our own keys out of rows; one that gives no more than the text of a broken line is broken still."""
    for place, row in enumerate(rows):
        own = NAMES.intersection(row) if isinstance(row, dict) else ()
        text = row.get(LINE) if own else None
        for name in own:
            del row[name]
        if text and not row:
            errors.setdefault(place, []).append(still_malformed(text if isinstance(text, str) else json.dumps(text)))


def with_unmended(frame: pl.DataFrame) -> pl.DataFrame:
    """A raw frame of CSV without the column of broken records' texts, whose rows are broken still if they give nothing.

    Cells that were filled in count, and what the record was before is of no interest any more.
    """
    if UNMENDED not in frame.columns:
        return frame
    fields = [name for name in frame.columns if not name.startswith("__")]
    is_broken = pl.col(UNMENDED).is_not_null() & pl.all_horizontal(pl.col(fields).is_null())
    texts = frame.select(pl.when(is_broken).then(UNMENDED)).to_series()
    frame = frame.drop(UNMENDED)
    if texts.null_count() == texts.len():
        return frame
    before = frame[INTAKE_ERRORS] if INTAKE_ERRORS in frame.columns else [None] * frame.height
    found = [
        errors_to_json([still_malformed(text)]) if text and not error else error
        for text, error in zip(texts, before, strict=True)
    ]
    return frame.with_columns(pl.Series(INTAKE_ERRORS, found, dtype=pl.String))


def still_malformed(text: str) -> RowError:
    message = f"This record could not be read before; write its values into their columns, and empty {LINE}."
    return RowError(None, Code.MALFORMED, message, text)


def guarded_header(names: Iterable[str], guarded: Collection[int]) -> list[str]:
    """A header whose columns say by a quote in front that some of their cells have one, against formulas.

    That outlives our own columns: whoever cuts them away sends a file that says it still.
    """
    return [f"{GUARD}{name}" if place in guarded else name for place, name in enumerate(names)]


def unguarded_header(header: Iterable[str], known: Collection[str]) -> tuple[list[str], list[bool]]:
    """What guarded_header and neutralisation made of a header: the names, and which columns have guarded cells.

    A name that the resource or the options know as it stands is nothing of ours.
    """
    names = list(header)
    is_ours = is_returned(names)
    found = [without_marks(name, known, is_ours) for name in names]
    return [name for name, _ in found], [is_ours or is_guarded for _, is_guarded in found]


def without_marks(name: str, known: Collection[str], is_ours: bool) -> tuple[str, bool]:
    """A name as its sender wrote it, and whether it says that its column has guarded cells."""
    if name in known:
        return name, False
    plain = without_guard(name)
    bare = without_guard(plain.removeprefix(GUARD))
    if plain not in known and bare in known:
        return bare, True
    return (plain if plain in known or is_ours else name), False
