"""Chunks -> their failed rows as a workbook, the guilty cells marked, each with a comment that says why.

Mended, it can be sent again as it is: bulkql's own columns are passed over. A cell with more characters than a
spreadsheet holds is #N/A there, and refused until it is mended.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from bulkql.workers.downloads import texts
from bulkql.workers.downloads.failed_rows import (
    Failed,
    Pieces,
    Shape,
    csv_fields,
    each,
    error_columns,
    failed_chunks,
    failed_in,
    overflow,
    shape_of,
)
from bulkql.workers.downloads.workbook import AS_TEXT, Styles, format_of_column, workbook, write_cell
from bulkql.workers.models import Input
from bulkql.workers.readers import returned
from bulkql.workers.resources.plan import Plan

#: Comments of a workbook; cells beyond them are marked, and bulkql_message says the same. Spreadsheets open
#: a hundred thousand of them in minutes.
COMMENTS = 5_000
#: Characters that a column is wide.
WIDTH, MESSAGE_WIDTH = 16, 60


def as_xlsx(stored: Input) -> Pieces:
    """The failed rows of an input with a header, bulkql's columns, and marks."""
    yield from workbook(partial(write_failed, stored))


def write_failed(stored: Input, book: Any, styles: Styles) -> None:
    """One sheet: what was sent, and beside it what is wrong with it."""
    shape = shape_of(stored)
    fields = csv_fields(stored, shape)
    forms = [format_of_column(shape.plan.all_columns.get(field)) for field in fields]
    sheet = book.add_worksheet("failed rows")
    for place, form in enumerate(forms):
        sheet.set_column(place, place, WIDTH, styles.of(form))
    sheet.set_column(len(fields) + len(returned.COLUMNS) - 1, len(fields) + len(returned.COLUMNS) - 1, MESSAGE_WIDTH)
    sheet.freeze_panes(1, 0)
    sheet.write_row(0, 0, list(map(shape.name_of, fields)), styles.header())
    sheet.write_row(0, len(fields), returned.COLUMNS, styles.header("#FFC7CE"))
    comments = iter(range(COMMENTS))
    row = 1
    for chunk in each(failed_chunks(stored)):
        failed = failed_in(chunk)
        guilty = guilty_cells(failed, fields, shape.plan)
        for index, cells in zip(failed.indexes, rows_of_failed(failed, fields, shape), strict=True):
            write_row(sheet, row, cells, forms, guilty.get(index, {}), styles, comments)
            row += 1


def rows_of_failed(failed: Failed, fields: list[str], shape: Shape) -> Iterator[tuple[str | None, ...]]:
    """The texts of each row: its cells, bulkql's columns, and the cell too many, where it had one."""
    null = next(iter(shape.options.null_values), None)
    nothing = [None] * failed.indexes.len()
    cells = [texts.texts(failed.cells[name], null) if name in failed.cells.columns else nothing for name in fields]
    yield from zip(*cells, *error_columns(failed), overflow(failed, shape), strict=True)


def guilty_cells(failed: Failed, fields: list[str], plan: Plan) -> dict[int, dict[int, str]]:
    """Row -> place -> why; what is wrong with no cell of the row is wrong with its message."""
    message = len(fields) + len(returned.COLUMNS) - 1
    places = {name: place for place, field in enumerate(fields) for name in names_of_column(field, plan)}
    found: dict[int, dict[int, str]] = {}
    for index, path, words in failed.errors.select("index", "path", "message").iter_rows():
        place = places.get(path, places.get((path or "").partition(".")[0], message))
        row = found.setdefault(index, {})
        row[place] = f"{row[place]}\n{words}" if place in row else words
    return found


def names_of_column(field: str, plan: Plan) -> tuple[str, ...]:
    """What paths call a field."""
    column = plan.all_columns.get(field)
    return (field,) if column is None else (field, column.graphql_name)


def write_row(
    sheet: Any,
    row: int,
    cells: tuple[str | None, ...],
    forms: list[str],
    guilty: dict[int, str],
    styles: Styles,
    comments: Iterator[int],
) -> None:
    for place, text in enumerate(cells):
        form = forms[place] if place < len(forms) else AS_TEXT
        if text is not None:
            write_cell(sheet, row, place, text, form, styles, guilty=place in guilty)
        elif place in guilty:
            sheet.write_blank(row, place, None, styles.of(form, is_guilty=True))
        if place in guilty and place < len(forms) and next(comments, None) is not None:
            sheet.write_comment(row, place, guilty[place], {"x_scale": 2, "author": "bulkql"})
