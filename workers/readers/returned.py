"""The columns that bulkql adds to rows that come back. Readers ignore them, so that the rows can be sent again."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

import polars as pl

from bulkql.workers.columns.cells import ABSENT, NULL, BareText
from bulkql.workers.errors import Code, RowError
from bulkql.workers.frames import INTAKE_ERRORS, errors_to_json
from bulkql.workers.readers.formulas import GUARD, without_guard

ROW = "bulkql_row"
CODE = "bulkql_code"
PATH = "bulkql_path"
MESSAGE = "bulkql_message"
#: The text of a record that could not be read as a row; there only where some could not.
LINE = "bulkql_line"
#: In CSV and workbooks, what empty cells of the row say, by the names of their columns: {"note": null, "text": ""}. An
#: empty cell alone says nothing, and in a workbook an empty text is one. Where an empty cell is null, false says that
#: the row does not give it.
EMPTY = "bulkql_empty"
#: In NDJSON, an object of the texts of cells that JSON has no value for, such as broken JSON: as long as the row does
#: not give their fields, they are its cells.
CELLS = "bulkql_cells"
#: What NDJSON has for code, path and message.
ERRORS = "bulkql_errors"

#: Its cells in a raw frame of CSV, until with_unmended has looked at them.
UNMENDED = "__unmended"
#: A column before ours in CSV: texts that a spreadsheet would run have a quote in front. It has another name than ours,
#: for those who cut ours away. In exports it has a cell where a row has no other, which would be no row.
GUARDED = GUARD
#: A text that leaves its cell as good as empty: what Python strips, one by one, for databases have lists of their own.
BLANK = "^[\t\n\v\f\r\x1c-\x1f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*$"
#: The columns behind those of the sender in CSV.
COLUMNS = (ROW, CODE, PATH, MESSAGE)
NAMES = frozenset({GUARDED, *COLUMNS, EMPTY, LINE, CELLS, ERRORS})
#: The code of a row that was not written because the operation came to no good end.
SKIPPED = "SKIPPED"


def are_blank() -> pl.Expr:
    """Whether rows have only cells that say nothing, in files that have no other word for null."""
    return pl.all_horizontal(pl.all().is_null() | pl.all().str.contains(BLANK))


def mark_of_blanks() -> pl.Expr:
    """The cells of such rows in GUARDED."""
    return pl.when(are_blank()).then(pl.lit(GUARD)).alias(GUARDED)


def is_returned(header: Iterable[str]) -> bool:
    """Whether a file with this header went out with failed rows before."""
    return not NAMES.isdisjoint(header)


def without_own(rows: Iterable[Any], errors: dict[int, list[RowError]]) -> None:
    """Take our own keys out of rows; one that gives no more than the text of a broken line is broken still.

    So is a cell whose text is given alone.
    """
    for place, row in enumerate(rows):
        own = NAMES.intersection(row) if isinstance(row, dict) else ()
        text = row.get(LINE) if own else None
        texts = row.get(CELLS) if own else None
        for name in own:
            del row[name]
        if isinstance(texts, dict):
            row.update({name: BareText(one) for name, one in texts.items() if name not in row and isinstance(one, str)})
        if text and not row:
            errors.setdefault(place, []).append(still_malformed(text if isinstance(text, str) else json.dumps(text)))


def with_empty(frame: pl.DataFrame, said: str, places: dict[str, str]) -> pl.DataFrame:
    """A frame of cells, with what the column `said` tells of those that are empty; a cell that was filled in counts.

    `places` are the columns of the frame by what the file calls them.
    """
    texts = frame[said].to_list()
    meant = {text: meant_by(text) for text in set(texts) if text}
    names = {name for one in meant.values() for name in one if name in places}
    cells = (
        pl.coalesce(pl.col(places[name]), pl.Series([meant.get(text, {}).get(name) for text in texts], dtype=pl.String))
        for name in sorted(names)
    )
    return frame.with_columns(one.alias(places[name]) for name, one in zip(sorted(names), cells, strict=True))


def meant_by(text: str) -> dict[str, str]:
    """The cells that are meant, by the names of their columns."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    given = found.items() if isinstance(found, dict) else ()
    return {name: CELLS_SAID[json.dumps(value)] for name, value in given if json.dumps(value) in CELLS_SAID}


#: What the values of bulkql_empty stand for.
CELLS_SAID = {"null": NULL, '""': "", "false": ABSENT}


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


def unguarded_header(header: Iterable[str], known: Collection[str]) -> tuple[list[str], bool]:
    """The names of a header as their sender wrote them, and whether cells may be guarded: the file was ours before.

    A name that the resource or the options know as it stands is nothing of ours.
    """
    names = list(header)
    if not is_returned(names):
        return names, False
    return [name if name in known else without_guard(name) for name in names], True
