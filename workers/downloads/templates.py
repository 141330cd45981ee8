"""Columns -> an empty workbook to fill in: headers, a line of help, formats, and drop-downs where there are choices.

The line of help is known by the sign before each of its cells, and passed over when the workbook is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any

from bulkql.workers.downloads.failed_rows import Pieces
from bulkql.workers.downloads.workbook import SHEET_ROWS, Styles, workbook
from bulkql.workers.readers.decoding.workbook import HELP, letters_of

#: The hidden sheet with the choices: a list in a rule itself has 255 characters at most.
CHOICES = "choices"
#: The first row to fill in, from 0.
FIRST_ROW = 2
#: Characters of a column's width, and the height of the line of help in points.
NARROWEST, WIDEST, HELP_HEIGHT = 14, 40, 75
#: Characters that a rule's message may have, and that Excel lets a cell's text be bounded to.
MESSAGE_CHARACTERS, LONGEST = 255, 32_767


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateColumn:
    """A column of a template."""

    name: str
    help: str
    #: The number format of its cells.
    form: str
    is_required: bool
    #: What its cells may hold; nothing where they are free.
    choices: tuple[str, ...] = ()
    #: The choices are all that there is; else a cell may name what comes with the same request.
    is_closed: bool = True
    max_length: int | None = None


def as_template(name: str, columns: list[TemplateColumn]) -> Pieces:
    """The bytes of a template whose sheet has this name."""
    yield from workbook(partial(write_template, name, columns))


def write_template(name: str, columns: list[TemplateColumn], book: Any, styles: Styles) -> None:
    sheet = book.add_worksheet(name[:31])
    choices = book.add_worksheet(CHOICES)
    choices.hide()
    required, optional = styles.header("#F8CBAD"), styles.header()
    help_style = book.add_format({"italic": True, "font_color": "#595959", "text_wrap": True, "valign": "top"})
    sheet.freeze_panes(FIRST_ROW, 0)
    for place, column in enumerate(columns):
        sheet.set_column(place, place, min(max(len(column.name) + 2, NARROWEST), WIDEST), styles.of(column.form))
    for place, column in enumerate(columns):
        sheet.write_string(0, place, column.name, required if column.is_required else optional)
    sheet.set_row(1, HELP_HEIGHT)
    for place, column in enumerate(columns):
        sheet.write_string(1, place, f"{HELP} {column.help}", help_style)
        if rule := rule_of_cells(place, column):
            sheet.data_validation(FIRST_ROW, place, SHEET_ROWS, place, rule)
    for row, values in enumerate(zip_longest(*(column.choices for column in columns))):
        for place, value in enumerate(values):
            if value is not None:
                choices.write_string(row, place, value)


def rule_of_cells(place: int, column: TemplateColumn) -> dict[str, Any]:
    """What a spreadsheet looks after while a column is filled in."""
    if column.choices:
        letters = letters_of(place)
        return {
            "validate": "list",
            "source": f"={CHOICES}!${letters}$1:${letters}${len(column.choices)}",
            "error_type": "stop" if column.is_closed else "warning",
            "error_message": column.help[:MESSAGE_CHARACTERS],
        }
    if column.max_length is not None and column.max_length <= LONGEST:
        return {
            "validate": "length",
            "criteria": "<=",
            "value": column.max_length,
            "error_message": f"At most {column.max_length} characters.",
        }
    return {}
