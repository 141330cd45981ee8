"""Cells -> the texts of CSV and the values of JSON from which they were made."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

import msgspec
import polars as pl

from bulkql.workers.columns.cells import MARK, NULL, BareText, is_encodable, shown, value_of
from bulkql.workers.columns.cleaning import refuse_constant
from bulkql.workers.columns.column import Column
from bulkql.workers.columns.kinds import BOOLEANS
from bulkql.workers.columns.lists import ListColumn

#: What stands before what is known of a value that could not be read: so it is no JSON.
UNREADABLE = "unreadable: "
#: A number, and what of it JSON takes: neither blanks around it nor a plus or zeros before it.
NUMBER = re.compile(r"\s*(?:\+|(-?))0*((?:0(?![0-9])|[1-9])[0-9]*)((?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*")


def texts(cells: pl.Series, null: str | None, decimal: str = ".", *, as_json: bool = False) -> pl.Series:
    """A column as CSV gives it, where null in the series is an empty cell; `null` stands for an explicit one.

    `decimal` stands before the fraction of numbers, as the file that is written is to be read. `as_json` is for fields
    whose texts are JSON: what is none there is none in the file.
    """
    marked = cells.filter(cells.str.starts_with(MARK)).unique()
    if marked.is_empty():
        return cells
    write = no_json if as_json else partial(json_as_text, decimal=decimal)
    found = [null if cell == NULL else write(cell) for cell in marked]
    return cells.replace(marked, pl.Series(found, dtype=pl.String))


def no_json(marked_cell: str) -> str:
    """What a field of JSON could not take, as a text that it does not take either."""
    value = value_of(marked_cell)
    return value if isinstance(value, str) and is_encodable(value) else f"{UNREADABLE}{shown(marked_cell)}"


def json_as_text(marked_cell: str, decimal: str = ".") -> str:
    """JSON of another kind than the field's as text, which is all that CSV has."""
    value = value_of(marked_cell)
    if isinstance(value, float):
        return shown(marked_cell).replace(".", decimal)
    return value if isinstance(value, str) and is_encodable(value) else shown(marked_cell)


def values(cells: pl.Series, column: Column | None) -> list[Any]:
    """A column as JSON gives it, with `...` where a row does not give the field."""
    return [... if cell is None else value(cell, column) for cell in cells]


def value(cell: str, column: Column | None) -> Any:
    """A value that is read as this very cell; numbers keep their digits. BareText where JSON has none."""
    if cell.startswith(MARK):
        is_lost = column is not None and column.as_json and cell != NULL and not isinstance(value_of(cell), str)
        return BareText(no_json(cell)) if is_lost else raw_json(shown(cell)) or value_of(cell)
    if column is None:
        return cell
    if isinstance(column, ListColumn) and not cell.lstrip().startswith("[") and not column.has_objects:
        (part,) = column.parts
        return [value(member, part) for member in map(str.strip, cell.split(",")) if member]
    if column.as_json or isinstance(column, ListColumn):
        return raw_json(cell) or BareText(cell)
    if str in column.accepts:
        return cell
    if bool in column.accepts:
        return BOOLEANS.get(cell, cell)
    number = NUMBER.fullmatch(cell)
    return msgspec.Raw(f"{number[1] or ''}{number[2]}{number[3]}".encode()) if number else cell


def raw_json(text: str) -> msgspec.Raw | None:
    """A text that is JSON, as it stands; None for any other."""
    try:
        json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return None
    return msgspec.Raw(text.encode())
