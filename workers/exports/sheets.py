"""Frames of texts -> a workbook of one sheet, row by row, with numbers, dates and moments as such."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import MAXYEAR, MINYEAR
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl
from django.conf import settings
from django.db import models

from bulkql.workers.downloads.workbook import (
    CELL_CHARACTERS,
    MOMENT,
    NO_XML,
    SHEET_ROWS,
    Styles,
    format_of_column,
    workbook,
    write_cell,
)
from bulkql.workers.errors import BadInput, LimitExceeded
from bulkql.workers.exports.fields import ExportField
from bulkql.workers.readers.returned import GUARDED, mark_of_blanks

if TYPE_CHECKING:
    from bulkql.workers.exports.jobs import Job


#: Characters that a column is wide.
COLUMN_WIDTH = 16


def sheet_pieces(job: Job) -> Iterator[bytes]:
    """The file; raises LimitExceeded, BadInput for what no sheet holds."""
    if job.total is not None and job.total > SHEET_ROWS:
        raise LimitExceeded(
            f"{job.total:,} rows of {job.stored.resource} are more than a sheet has, {SHEET_ROWS:,}; export them as "
            f"CSV, or fewer at a time by `where`."
        )
    yield from workbook(partial(write_sheet, job))


def write_sheet(job: Job, book: Any, styles: Styles) -> None:
    job.look_for_blanks()
    sheet = book.add_worksheet(job.stored.resource[:31])
    forms = ["@" if one.member else format_of_column(one.column) for one in job.fields]
    for place, form in enumerate(forms):
        sheet.set_column(place, place, COLUMN_WIDTH, styles.of(form))
    sheet.freeze_panes(1, 0)
    names = [one.name for one in job.fields]
    sheet.write_row(0, 0, [*names, GUARDED] if job.has_blanks else names, styles.header())
    row = 0
    for frame in job.frames():
        shown = frame.select(
            as_shown(pl.col(str(place)), one, form)
            for place, (one, form) in enumerate(zip(job.fields, forms, strict=True))
        )
        for *cells, mark in shown.with_columns(mark_of_blanks()).iter_rows():
            row += 1
            for place, text in enumerate(cells):
                if text is not None:
                    check_cell(text, job.fields[place].name, row)
                    write_cell(sheet, row, place, text, forms[place], styles, guilty=False)
            if mark is not None:
                sheet.write_string(row, len(cells), mark)


def as_shown(text: pl.Expr, field: ExportField, form: str) -> pl.Expr:
    """A column's texts in the spelling in which cells can hold what they mean."""
    if field.member is not None or field.column.choice_names:
        return text
    if form == MOMENT:
        return in_service_time(text)
    if field.column.dtype == pl.Boolean():
        return text.str.to_uppercase()
    if isinstance(field.column.value_field, models.DecimalField):
        # A number cell has no zeros at its end.
        return text.str.replace(r"(\.[0-9]*?)0+$", "$1").str.strip_suffix(".")
    return text


def in_service_time(text: pl.Expr) -> pl.Expr:
    """Moments without an offset, as the cells of a workbook are read.

    With one where an hour comes twice, and where the zone's calendar has no such year.
    """
    moment = text.str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC", strict=False)
    zone = settings.TIME_ZONE
    local = moment.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    is_told = local.dt.replace_time_zone(zone, ambiguous="null", non_existent="null").is_not_null()
    return (
        pl.when(is_told & local.dt.year().is_between(MINYEAR, MAXYEAR))
        .then(local.dt.strftime("%Y-%m-%dT%H:%M:%S"))
        .otherwise(text)
    )


def check_cell(text: str, name: str, row: int) -> None:
    """Whether a cell can hold a text; raises BadInput."""
    if len(text) > CELL_CHARACTERS or NO_XML.search(text):
        why = f"{len(text):,} characters, but a cell can hold only {CELL_CHARACTERS:,}"
        reason = why if len(text) > CELL_CHARACTERS else "a character that a workbook cannot hold"
        raise BadInput(f"The value of {name} in row {row:,} has {reason}; export as CSV, or leave the field out.")
