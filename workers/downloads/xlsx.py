"""The rows that an input left -> a workbook, the guilty cells marked, each with a comment that says why.

Mended, it can be sent again as it is: bulkql's own columns are passed over. What a cell cannot hold is #N/A there, and
refused until it is mended. What is said by an empty cell that is no missing one, such as an empty text, stands in
bulkql_empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bulkql.workers.columns.cells import MARK, NULL
from bulkql.workers.downloads.csv import Layout, layout_of, layout_texts, surplus_cells
from bulkql.workers.downloads.failed_rows import Left, Pieces, Shape, left_rows, shape_of
from bulkql.workers.downloads.workbook import AS_TEXT, NUMBER, Styles, format_of_column, workbook, write_cell
from bulkql.workers.models import Input
from bulkql.workers.readers import returned
from bulkql.workers.readers.options import EmptyCells

#: Comments of a workbook, which spreadsheets hold in memory. Cells beyond them are marked; bulkql_message says why.
COMMENTS = 5_000
#: Names that Excel allows.
NAME_OF_SHEET = re.compile(r"(?!')[^\[\]:*?/\\]{1,31}(?<!')")
#: Characters that a column is wide.
WIDTH, MESSAGE_WIDTH = 16, 60


def as_xlsx(stored: Input) -> Pieces:
    """The rows that an input left."""
    yield from workbook(partial(write_left, stored))


def write_left(stored: Input, book: Any, styles: Styles) -> None:
    """One sheet: what was sent, and beside it why it was left."""
    shape = shape_of(stored)
    layout = layout_of(stored, shape, lost_in_workbooks(shape))
    # Cells of a workbook are texts by their kind: none needs a guard.
    layout = replace(layout, own=[name for name in layout.own if name != returned.GUARDED])
    forms = [form_of(name, shape) for name in layout.columns]
    sheet = LeftSheet(
        book.add_worksheet(name_of_sheet(shape)), styles, forms, COMMENTS, (shape.options.header_row or 1) - 1
    )
    sheet.begin(layout)
    for left in left_rows(stored, shape):
        why = guilty_cells(left, layout, shape)
        for index, cells in zip(left.indexes, rows_of_cells(left, layout, shape), strict=True):
            sheet.write(cells, why.get(index, {}))


def name_of_sheet(shape: Shape) -> str:
    """The sheet that the sender's options name, where XLSX has such names."""
    name = (shape.options.sheet or "").strip()
    return name if NAME_OF_SHEET.fullmatch(name) else "failed"


def lost_in_workbooks(shape: Shape) -> frozenset[str | None]:
    """Cells that look empty, and are not: an empty text, of any column, and a null that has no text of its own."""
    if shape.options.empty_cells == EmptyCells.NULL:
        return frozenset({*EMPTY_TEXTS, None})
    return frozenset(EMPTY_TEXTS if any(shape.options.null_values[:1]) else {*EMPTY_TEXTS, NULL})


EMPTY_TEXTS = ("", f'{MARK}""')


@dataclass(slots=True)
class LeftSheet:
    """A sheet that is written from its top to its bottom."""

    sheet: Any
    styles: Styles
    #: The formats of the sender's columns.
    forms: list[str]
    comments: int
    #: First the header's, from 0.
    row: int

    def begin(self, layout: Layout) -> None:
        """The header, which stays in sight."""
        count = len(layout.columns)
        for place, form in enumerate(self.forms):
            self.sheet.set_column(place, place, WIDTH, self.styles.of(form))
        message = count + layout.own.index(returned.MESSAGE)
        self.sheet.set_column(message, message, MESSAGE_WIDTH)
        self.sheet.freeze_panes(self.row + 1, 0)
        self.sheet.write_row(self.row, 0, layout.titles, self.styles.header())
        self.sheet.write_row(self.row, count, layout.own, self.styles.header("#FFC7CE"))

    def write(self, cells: list[str | None], why: dict[int, str]) -> None:
        """A row, and what is wrong with which of its cells."""
        self.row += 1
        for place, text in enumerate(cells):
            is_sent = place < len(self.forms)
            form, is_guilty = self.forms[place] if is_sent else AS_TEXT, place in why
            if text is not None:
                write_cell(self.sheet, self.row, place, text, form, self.styles, guilty=is_guilty)
            elif is_guilty:
                self.sheet.write_blank(self.row, place, None, self.styles.of(form, is_guilty=True))
            if is_guilty and is_sent and self.comments > 0:
                self.comments -= 1
                self.sheet.write_comment(self.row, place, why[place], {"x_scale": 2, "author": "bulkql"})


def form_of(column: str, shape: Shape) -> str:
    """How the cells of a column are written. A number cell says the same whatever stands before its fraction."""
    form = format_of_column(shape.plan.all_columns.get(column))
    return AS_TEXT if form == NUMBER and shape.options.spelling.decimal == "," else form


def rows_of_cells(left: Left, layout: Layout, shape: Shape) -> Iterator[list[str | None]]:
    """The texts of each row: its cells, bulkql's columns, and behind them the cells that it had too many."""
    count = len(layout.columns)
    for row, line in zip(layout_texts(left, layout, shape).iter_rows(), left.malformed(), strict=True):
        cells = surplus_cells(line, layout, shape) if line is not None else []
        yield [*cells[:count], *row[count:], *cells[count:]] if cells else list(row)


def guilty_cells(left: Left, layout: Layout, shape: Shape) -> dict[int, dict[int, str]]:
    """Index -> place -> why; where no cell of the row is at fault, its message is marked."""
    message = len(layout.columns) + layout.own.index(returned.MESSAGE)
    places = {name: place for place, one in enumerate(layout.columns) for name in names_of_column(one, shape)}
    found: dict[int, dict[int, str]] = {}
    for index, path, words in left.reasons.select("index", "path", "message").iter_rows():
        place = places.get(path or "", places.get((path or "").partition(".")[0], message))
        row = found.setdefault(index, {})
        row[place] = f"{row[place]}\n{words}" if place in row else words
    return found


def names_of_column(name: str, shape: Shape) -> tuple[str, ...]:
    """What paths call a column."""
    column = shape.plan.all_columns.get(name)
    return (name,) if column is None else (name, column.graphql_name)
