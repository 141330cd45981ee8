"""Raw frames -> raw frames whose cells are no larger than a cell may be, and texts as long as a message may be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import polars as pl

from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import Code, LimitExceeded, RowError
from bulkql.workers.frames import INTAKE_ERRORS, errors_from_json, errors_to_json
from bulkql.workers.resources.plan import Plan

#: Characters of a name that a message quotes: a header is as long as its sender likes.
QUOTED = 100
#: Characters of a cell that is too large which its error shows.
SHOWN = 100
#: A text of JSON; what looks like a bracket in there is none.
TEXT = re.compile(rb'"(?:[^"\\\n]++|\\.)*+"?')
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def quoted_names(names: Iterable[str]) -> str:
    """Names in a message, and not the whole of long ones."""
    return ", ".join(repr(name if len(name) <= QUOTED else f"{name[:QUOTED]}...") for name in names)


def check_column_count(names: list[str], they_have: str = "The file has") -> None:
    """Whether a file may have so many columns; raises LimitExceeded."""
    most = limits().file_columns
    if len(names) > most:
        raise LimitExceeded(
            f"{they_have} {len(names):,} columns; {most:,} are the most ({setting_name('file_columns')})."
        )


def is_too_deep(json: bytes) -> bool:
    """Whether JSON, one value or a line each, is nested deeper than a row may be."""
    most = limits().json_depth
    # Most rows have no list, which is soon seen; counting what is not there takes as long as counting what is.
    lists = json.count(b"[") if b"[" in json else 0
    if lists + json.count(b"{") - json.count(b"\n") <= most:
        return False
    brackets = TEXT.sub(b"", json).translate(None, NO_BRACKETS)
    # Each round takes the innermost level; what is never closed is no JSON, and stays.
    for _ in range(most + 1):
        shorter = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(shorter) == len(brackets):
            return False
        brackets = shorter
    return True


def too_deep() -> str:
    return f"nested deeper than {limits().json_depth} levels ({setting_name('json_depth')})"


def bounded(frames: Iterable[pl.DataFrame], plan: Plan) -> Iterator[pl.DataFrame]:
    """The same frames; a cell that is too large is taken out, and is its row's error."""
    for frame in frames:
        large = too_large(frame, plan)
        yield without_cells(frame, plan, large) if large else frame


def too_large(frame: pl.DataFrame, plan: Plan) -> list[str]:
    """The columns that have such a cell; the lengths are in the frame, and are not counted."""
    names = [name for name in frame.columns if name in plan.all_columns]
    if not names:
        return []
    most = limits().cell_bytes
    longest = frame.select_seq(pl.col(name).str.len_bytes().max() for name in names)
    return [name for name, length in zip(names, longest.row(0), strict=True) if (length or 0) > most]


def without_cells(frame: pl.DataFrame, plan: Plan, names: list[str]) -> pl.DataFrame:
    """A frame without the cells of these columns that are too large, and with the errors of their rows."""
    most = limits().cell_bytes
    found: dict[int, list[RowError]] = {}
    for name in names:
        lengths = frame.select(row=pl.int_range(pl.len()), length=pl.col(name).str.len_bytes(), cell=name)
        column = plan.all_columns[name]
        for row, length, cell in lengths.filter(pl.col("length") > most).iter_rows():
            message = f"The cell has {length:,} bytes; {most:,} are the most ({setting_name('cell_bytes')})."
            found.setdefault(row, []).append(RowError(column.graphql_name, Code.TOO_LONG, message, cell[:SHOWN]))
    before = frame[INTAKE_ERRORS].to_list() if INTAKE_ERRORS in frame.columns else [None] * frame.height
    texts = [
        errors_to_json([*(errors_from_json(text) if text else ()), *found[row]]) if row in found else text
        for row, text in enumerate(before)
    ]
    small = (pl.when(pl.col(name).str.len_bytes() <= most).then(pl.col(name)).alias(name) for name in names)
    return frame.with_columns(*small, pl.Series(INTAKE_ERRORS, texts, dtype=pl.String))
