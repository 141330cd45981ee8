"""What writes a workbook -> XLSX as pieces of bytes. XlsxWriter keeps no more of it than the row that it writes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import xlsxwriter
from django.db import models

from bulkql.workers.columns.column import Column
from bulkql.workers.downloads.failed_rows import Pieces
from bulkql.workers.readers.decoding.values import EXACT, number
from bulkql.workers.scratch import Scratch

#: Rows of a sheet, but for its header.
SHEET_ROWS = 1_048_575
#: Characters of a cell.
CELL_CHARACTERS = 32_767
#: Characters that XML has no way to write; XlsxWriter has one for control characters.
NO_XML = re.compile("[\ufffe\uffff]")
#: Days from which on all spreadsheets count alike: Excel has a 29 February 1900.
FIRST_DAY = date(1900, 3, 1)

NUMBER, DAY, MOMENT, AS_TEXT = "General", "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss", "@"


@dataclass(frozen=True, slots=True)
class Styles:
    """The formats of a workbook's cells: plain and guilty ones, by their number format."""

    book: Any
    made: dict[tuple[str, bool], Any]

    def of(self, form: str, *, is_guilty: bool = False) -> Any:
        key = (form, is_guilty)
        if key not in self.made:
            look = {"bg_color": "#FFC7CE", "font_color": "#9C0006"} if is_guilty else {}
            self.made[key] = self.book.add_format({"num_format": form, **look})
        return self.made[key]

    def header(self, color: str = "#D9E1F2") -> Any:
        return self.book.add_format({"bold": True, "bg_color": color, "bottom": 1, "num_format": AS_TEXT})


class AllDigits(float):
    """A number that is written with all of its digits. XlsxWriter formats numbers, with 16; some floats have 17."""

    def __format__(self, spec: str) -> str:
        return repr(float(self))


def workbook(write: Callable[[Any, Styles], None]) -> Pieces:
    """The bytes of what `write` makes of an empty workbook."""
    with Scratch() as directory:
        path = str(directory.path("workbook.xlsx"))
        book = xlsxwriter.Workbook(path, {"constant_memory": True, "tmpdir": directory.name})
        write(book, Styles(book, {}))
        book.close()
        yield from directory.pieces("workbook.xlsx")


def format_of_column(column: Column | None) -> str:
    """How a column's cells are shown, and what becomes of what people type: as text, 007 stays so."""
    field = None if column is None else column.value_field
    if isinstance(field, models.DateTimeField):
        return MOMENT
    if isinstance(field, models.DateField):
        return DAY
    is_number = isinstance(field, models.IntegerField | models.FloatField | models.DecimalField | models.BooleanField)
    return NUMBER if is_number and column is not None and not column.choice_names else AS_TEXT


def write_cell(sheet: Any, row: int, place: int, text: str, form: str, styles: Styles, *, guilty: bool) -> None:
    """A text as what it is in its column's format, where a reader gives the same text again; else as text.

    No text is a formula, whatever it begins with.
    """
    if len(text) > CELL_CHARACTERS or NO_XML.search(text):
        # Without them, it would be another text. An error is refused where it is sent again.
        sheet.write_formula(row, place, "=NA()", styles.of(form, is_guilty=True), "#N/A")
        return
    value = value_of_cell(text, form)
    style = styles.of(AS_TEXT if isinstance(value, str) else form, is_guilty=guilty)
    if isinstance(value, bool):
        sheet.write_boolean(row, place, value, style)
    elif isinstance(value, float):
        sheet.write_number(row, place, AllDigits(value), style)
    elif isinstance(value, date):
        sheet.write_datetime(row, place, value, style)
    else:
        sheet.write_string(row, place, text, style)


def value_of_cell(text: str, form: str) -> str | float | bool | date:
    """What a cell holds, so that it is read as this text."""
    if form == NUMBER:
        return {"TRUE": True, "FALSE": False}.get(text, number_of(text))
    if form in (DAY, MOMENT):
        try:
            value: date = date.fromisoformat(text) if form == DAY else datetime.fromisoformat(text)
        except ValueError:
            return text
        is_late = (value.date() if isinstance(value, datetime) else value) >= FIRST_DAY
        return value if is_late and value.isoformat() == text and len(text) <= len("2024-02-29T12:00:00") else text
    return text


def number_of(text: str) -> str | float:
    try:
        value = float(text)
    except ValueError:
        return text
    return value if abs(value) < EXACT and number(value) == text else text
