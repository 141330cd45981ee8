"""The rows that an input left -> CSV, as it was sent: with its header, byte order mark, delimiter and encoding.

Behind the sender's columns stand bulkql's, and behind those the cells that a record had too many. Where some record
could not be read, the column bulkql_line has its text; where an empty cell would say less than the row did,
bulkql_empty tells.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from bulkql.workers.columns.cells import NULL
from bulkql.workers.downloads import texts
from bulkql.workers.downloads.failed_rows import (
    Left,
    Pieces,
    Shape,
    columns_of_header,
    left_rows,
    sent_columns,
    shape_of,
)
from bulkql.workers.frames import IGNORED
from bulkql.workers.models import Input
from bulkql.workers.readers import returned
from bulkql.workers.readers.formulas import is_run, neutralised, without_guard
from bulkql.workers.readers.options import DELIMITER, EmptyCells, FileFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The columns of a file of left rows: the sender's, and bulkql's own."""

    #: Columns of raw frames, and what the sender calls them.
    columns: list[str]
    titles: list[str]
    own: list[str]
    #: Cells that are empty in the file, and say something else than an empty cell does; None for a missing one.
    lost: frozenset[str | None]


def left_as_csv(stored: Input) -> Pieces:
    """The rows that an input left."""
    shape = shape_of(stored)
    layout = layout_of(stored, shape, lost_in_csv(shape))
    # The cells came in this encoding; only messages may have characters that it lacks.
    encoder = codecs.getincrementalencoder(shape.options.encoding)("replace")
    if "delimiter" in shape.options.left_out and shape.options.delimiter != DELIMITER:
        # Nobody gave it as an option, and the name of this file does not tell it.
        yield encoder.encode(f"sep={shape.options.delimiter}\n")
    header = [*layout.titles, *layout.own]
    names = pl.DataFrame({str(place): name for place, name in enumerate(header)})
    yield encoder.encode(records_of(names, shape))
    for left in left_rows(stored, shape):
        yield encoder.encode(csv_of(left, layout, shape))
    yield encoder.encode("", final=True)


def lost_in_csv(shape: Shape) -> frozenset[str | None]:
    """Cells that CSV has no text for."""
    if shape.options.empty_cells == EmptyCells.NULL:
        return frozenset({None})
    return frozenset() if shape.options.null_values else frozenset({NULL})


def layout_of(stored: Input, shape: Shape, lost: frozenset[str | None]) -> Layout:
    """The columns, for which all rows have to be looked at: a later one may give more, or be the first of its kind."""
    is_csv = bool(shape.header) and shape.options.format == FileFormat.CSV
    fields = [field for _, field in shape.header if field is not None]
    columns = dict.fromkeys(columns_of_header(shape) if is_csv else fields)
    titles = [shape.name_of(column) for column in columns]
    is_guarded, has_lines = has_formulas(pl.DataFrame({"title": titles}, schema={"title": pl.String})), False
    # A later row may be the first to give a field, which all rows before it do not.
    has_empty = None in lost and shape.options.format == FileFormat.NDJSON
    for left in left_rows(stored, shape):
        if not is_csv:
            columns |= dict.fromkeys(sent_columns(left.cells))
        # What is left out gets into no table, guarded or not.
        found = sender_cells(left, sent_fields(left), shape)
        is_guarded = is_guarded or has_formulas(found)
        has_lines = has_lines or any(left.malformed())
        has_empty = has_empty or any(is_lost(left, name, lost).any() for name in columns_of_fields(columns))
    return Layout(
        columns=list(columns),
        titles=[shape.name_of(column) for column in columns],
        own=[
            *([returned.GUARDED] if is_guarded else []),
            *returned.COLUMNS,
            *([returned.EMPTY] if has_empty else []),
            *([returned.LINE] if has_lines else []),
        ],
        lost=lost,
    )


def sent_fields(left: Left) -> list[str]:
    """The sender's columns that have fields."""
    return [name for name in sent_columns(left.cells) if not name.startswith(IGNORED)]


def has_formulas(frame: pl.DataFrame) -> bool:
    """Whether a spreadsheet would run any of the texts."""
    return bool(frame.width) and any(frame.select(is_run(pl.all()).any()).row(0))


def csv_of(left: Left, layout: Layout, shape: Shape) -> str:
    """Left rows as records; one that had too many cells has so still, behind our own columns."""
    frame = layout_texts(left, layout, shape)
    surplus = {
        place: cells
        for place, text in enumerate(left.malformed())
        if text is not None and (cells := surplus_cells(text, layout, shape))
    }
    parts, start = [], 0
    for place, cells in surplus.items():
        parts.append(records_of(frame[start:place], shape))
        row = [*cells[: len(layout.columns)], *frame.row(place)[len(layout.columns) :], *cells[len(layout.columns) :]]
        parts.append(record_of(row, shape))
        start = place + 1
    return "".join([*parts, records_of(frame[start:], shape)])


def layout_texts(left: Left, layout: Layout, shape: Shape) -> pl.DataFrame:
    """Left rows as texts, a column for each of the layout; null is an empty cell."""
    cells = sender_cells(left, layout.columns, shape)
    own = own_cells(left)
    if returned.GUARDED in layout.own:
        own = own.insert_column(0, pl.Series(returned.GUARDED, [None] * own.height, dtype=pl.String))
    if returned.EMPTY in layout.own:
        own = own.with_columns(pl.Series(returned.EMPTY, empty_cells(left, layout, shape), dtype=pl.String))
    if returned.LINE in layout.own:
        own = own.with_columns(pl.Series(returned.LINE, list(left.malformed()), dtype=pl.String))
    series = [*cells.get_columns(), *own.get_columns()]
    return pl.DataFrame([one.alias(str(place)) for place, one in enumerate(series)])


def sender_cells(left: Left, columns: list[str], shape: Shape) -> pl.DataFrame:
    """The cells that rows gave, as texts."""
    null = next(iter(shape.options.null_values), None)
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, left.indexes.len())
    decimal = shape.options.spelling.decimal or "."
    jsons = {column.name for column in shape.plan.all_columns.values() if column.as_json}
    found = (
        texts.texts(left.cells[name], null, decimal, as_json=name in jsons) if name in left.cells.columns else nothing
        for name in columns
    )
    return pl.DataFrame([series.alias(name) for series, name in zip(found, columns, strict=True)])


def own_cells(left: Left) -> pl.DataFrame:
    """bulkql's columns: a row's index, and why it was left."""
    named = [pl.col("code"), pl.col("path").fill_null(""), pl.col("message")]
    joined = left.reasons.group_by("index").agg(column.str.join("; ") for column in named)
    rows = pl.DataFrame({"index": left.indexes}).join(joined, on="index", how="left", maintain_order="left")
    # The whole row has no path: an empty cell, and no empty text.
    return rows.select(pl.col("index").cast(pl.String), "code", pl.col("path").replace("", None), "message")


def is_lost(left: Left, name: str, lost: frozenset[str | None]) -> pl.Series:
    """Where the cells of a column are such; a record that could not be read has none."""
    has_cell = pl.Series([text is None for text in left.malformed()], dtype=pl.Boolean)
    if name not in left.cells.columns:
        return has_cell if None in lost else pl.zeros(left.indexes.len(), dtype=pl.Boolean, eager=True)
    return left.cells[name].is_in(list(lost), nulls_equal=True) & has_cell


def columns_of_fields(columns: Iterable[str]) -> list[str]:
    """Those that are not left out."""
    return [name for name in columns if not name.startswith(IGNORED)]


def empty_cells(left: Left, layout: Layout, shape: Shape) -> list[str | None]:
    """What empty cells of each row say, as JSON."""
    said = {NULL: None, None: False}
    found: dict[int, dict[str, str | bool | None]] = {}
    for name in columns_of_fields(layout.columns):
        for place in is_lost(left, name, layout.lost).arg_true():
            cell = left.cells[name][place] if name in left.cells.columns else None
            found.setdefault(place, {})[shape.name_of(name)] = said.get(cell, "")
    return [
        json.dumps(found[place], ensure_ascii=False) if place in found else None for place in range(len(left.indexes))
    ]


def surplus_cells(text: str, layout: Layout, shape: Shape) -> list[str]:
    """The cells of a malformed record that has too many of them; nothing for one that is malformed otherwise."""
    if not shape.is_file or shape.options.format != FileFormat.CSV:
        return []
    try:
        (cells,) = csv.reader(io.StringIO(text, newline=""), delimiter=shape.options.delimiter, strict=True)
    except (csv.Error, ValueError):
        return []
    own = {place for place, (name, _) in enumerate(shape.header) if name in returned.NAMES}
    if own:  # it went out before, with our cells within, and those too many behind them
        cells = [without_guard(cell) for place, cell in enumerate(cells) if place not in own]
    return cells if len(cells) > len(layout.columns) else []


def record_of(cells: list[str | None], shape: Shape) -> str:
    """One record, which may have a hundred thousand cells: a frame's columns would take a gigabyte."""
    texts = pl.select(neutralised(pl.lit(pl.Series(cells, dtype=pl.String)))).to_series()
    file = io.StringIO()
    csv.writer(file, delimiter=shape.options.delimiter, lineterminator="\n").writerow(texts)
    return file.getvalue()


def records_of(frame: pl.DataFrame, shape: Shape) -> str:
    """A frame of texts as CSV, harmless to spreadsheets; null is an empty cell, and an empty text a quoted one."""
    return frame.select(neutralised(pl.all())).write_csv(include_header=False, separator=shape.options.delimiter)
