"""A sheet of a workbook, XLSX or ODS -> raw frames."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile

import polars as pl
from django.db import models

from bulkql.workers.columns.column import Column
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import Code, RowError, UnreadableFile
from bulkql.workers.frames import INTAKE_ERRORS, errors_to_json, ignored
from bulkql.workers.readers import faults, returned
from bulkql.workers.readers.decoding import workbook as workbook_process
from bulkql.workers.readers.decoding.decoder import MEMORY, SLOW, Decoder, spooled
from bulkql.workers.readers.decoding.process import DAMAGED
from bulkql.workers.readers.decoding.workbook import FAULTS, LINE, letters_of
from bulkql.workers.readers.options import FileOptions, fields_of, with_nulls
from bulkql.workers.resources.plan import Plan

FRAME_BYTES = 8 * 1024 * 1024
SUFFIX = ".workbook"

#: What a cell's value is written as depends on the field that takes it: the first class decides.
KINDS: tuple[tuple[type[models.Field[Any, Any]], str], ...] = (
    (models.DateTimeField, "datetime"),
    (models.DateField, "date"),
    (models.TimeField, "time"),
    (models.DurationField, "duration"),
    (models.FloatField, "float"),
)
TEXT, IGNORED_KIND = "text", "ignored"


@dataclass(frozen=True, slots=True)
class Header:
    """Where the header of a sheet is, and what it says."""

    sheet: str
    #: The place of its first column, from 0.
    left: int
    #: Its row, from 0.
    line: int
    #: "" for a column that has none.
    names: list[str]


def read(file: IO[bytes], plan: Plan, options: FileOptions) -> Iterator[pl.DataFrame]:
    """Raw frames of the rows below the header; empty rows are none. Raises UnreadableFile."""
    with opened_workbook(file, options) as (path, decoding, header):
        fields = places_of(plan, header, options)
        without_value = broken_cells(path, header, decoding.header())
        kinds = list(kinds_of(plan, header, fields, options))
        broken = Broken.of(without_value, plan, fields, header)
        for data in decoding.streams({"kinds": kinds, "lines": sorted(broken.errors)}):
            yield cells_in_frame(pl.read_ipc_stream(io.BytesIO(data)), plan, fields, options, broken, header)


class WorkbookBeginning:
    """A workbook is read whole before its first cell is known: only those who must know its header do so."""

    def __init__(self, file: IO[bytes], options: FileOptions) -> None:
        self._file, self._options = file, options

    def names(self) -> list[str]:
        """The names in the header; raises UnreadableFile."""
        with opened_workbook(self._file, self._options) as (_, _, header):
            return [name for name in header.names if name]

    def header(self, plan: Plan) -> None:
        """The file's reader will see it."""

    def check(self, plan: Plan, *, may_be_empty: bool = False) -> None:
        """Workbooks are ZIP archives; raises UnreadableFile."""
        self._file.seek(0)
        if self._file.read(4) != b"PK\x03\x04":
            raise UnreadableFile("This is not a workbook: it is neither XLSX nor ODS.")


@contextmanager
def opened_workbook(file: IO[bytes], options: FileOptions) -> Iterator[tuple[Path, Decoder, Header]]:
    """A workbook on disk, the process that reads it, and its header."""
    with spooled(file, SUFFIX) as path:
        arguments = {
            "path": str(path),
            "sheet": options.sheet,
            "header_row": options.header_row,
            "memory_bytes": limits().workbook_memory_bytes,
            "frame_bytes": FRAME_BYTES,
            "most_faults": faults.MOST_FAULTS,
        }
        module, memory_bytes = workbook_process.__file__, limits().workbook_memory_bytes
        with Decoder(module, memory_bytes, arguments, workbook_refusal) as decoding:
            yield path, decoding, Header(**decoding.header())


def workbook_refusal(letter: str, words: str, has_header: bool) -> UnreadableFile:
    """Why a workbook was not read to its end."""
    if letter == workbook_process.Unsuitable.letter:
        return UnreadableFile(f"{words}.")
    if letter == SLOW:
        return UnreadableFile(
            f"The workbook {words}; is it damaged? Save it again in a spreadsheet, or send it as CSV."
        )
    if letter != MEMORY:
        return UnreadableFile(
            f"The workbook cannot be read: {words}. Save it again in a spreadsheet, or send it as CSV."
        )
    return UnreadableFile(
        f"The workbook takes more than {limits().workbook_memory_bytes:,} bytes of memory to read "
        f"({setting_name('workbook_memory_bytes')}): is there a cell far below the others, or far to their right, as "
        f"far as XFD1048576? Delete the rows and columns around the data, or send it as CSV."
    )


def places_of(plan: Plan, header: Header, options: FileOptions) -> list[str | None]:
    """The field of each column of a sheet; None for one without a name, or to ignore. Raises BadInput."""
    found = iter(fields_of(plan, [name for name in header.names if name], options))
    return [next(found) if name else None for name in header.names]


def kinds_of(plan: Plan, header: Header, fields: list[str | None], options: FileOptions) -> Iterator[str | None]:
    """What the values of each column are written as; None for those without a name, and for bulkql's own."""
    for name, field in zip(header.names, fields, strict=True):
        if name == returned.EMPTY:
            yield TEXT
        elif field is not None:
            yield kind_of_values(plan.all_columns[field], options)
        else:
            yield IGNORED_KIND if name and name not in returned.NAMES else None


def kind_of_values(column: Column, options: FileOptions) -> str:
    """What a column's values are written as."""
    kind = next((kind for field, kind in KINDS if isinstance(column.value_field, field)), TEXT)
    # Numbers are no texts, which may have a comma before their fraction.
    return f"marked {kind}" if column.is_number and options.spelling.decimal is not None else kind


def broken_cells(path: Path, header: Header, of_ods: list[tuple[int, int, str]]) -> faults.Faults:
    """The cells below the header that have no value to read; raises UnreadableFile."""
    try:
        found = faults.faults_of(path, header.sheet, of_ods)
    except (BadZipFile, KeyError, StopIteration, SyntaxError, EOFError, NotImplementedError) as error:
        raise workbook_refusal(DAMAGED, str(error), True) from error
    width = range(header.left, header.left + len(header.names))
    return {(line, column): shown for (line, column), shown in found.items() if line > header.line and column in width}


@dataclass(frozen=True, slots=True)
class Broken:
    """Cells without a value to read, of the columns that have a field. Lines are counted from 0."""

    errors: dict[int, list[RowError]]
    #: Place of the column -> line -> what the cell shows.
    shown: dict[int, dict[int, str]]

    @classmethod
    def of(cls, without_value: faults.Faults, plan: Plan, fields: list[str | None], header: Header) -> Broken:
        found = cls({}, {})
        for (line, column), shown in sorted(without_value.items()):
            field = fields[column - header.left]
            if field is not None:
                error = broken_cell(line, column, plan.all_columns[field], shown)
                found.errors.setdefault(line, []).append(error)
                found.shown.setdefault(column - header.left, {})[line] = error.data or ""
        return found


def broken_cell(line: int, column: int, field: Column, shown: str) -> RowError:
    """The error of a cell without a value."""
    name = f"{letters_of(column)}{line + 1}"
    if faults.is_number(shown):
        message = (
            f"The cell {name} is formatted as a date or a time, and its number, {shown}, is neither; correct it, or "
            f"format a number as one, and a duration as [h]:mm:ss."
        )
        return RowError(field.graphql_name, Code.INVALID, message, shown)
    if shown:
        message = f"The cell {name} has the error {shown}; fix its formula."
        return RowError(field.graphql_name, Code.INVALID, message, shown)
    message = f"The cell {name} has a formula that was never computed; open the file in a spreadsheet, and save it."
    return RowError(field.graphql_name, Code.INVALID, message, "=")


def cells_in_frame(
    frame: pl.DataFrame,
    plan: Plan,
    fields: list[str | None],
    options: FileOptions,
    broken: Broken,
    header: Header,
) -> pl.DataFrame:
    """The texts of a frame as cells, and what is wrong with its rows."""
    errors = faults_as_json(frame, plan, fields, broken)
    places = {name: str(place) for place, name in enumerate(header.names) if str(place) in frame.columns}
    if (said := places.pop(returned.EMPTY, None)) is not None:
        frame = returned.with_empty(frame, said, places).drop(said)
    present = frozenset(frame.columns)
    cells = (
        with_nulls(with_shown(pl.col(str(place)), broken.shown.get(place, {})), options).alias(
            field or ignored(place, name)
        )
        for place, (name, field) in enumerate(zip(header.names, fields, strict=True))
        if str(place) in present
    )
    told = [pl.Series(INTAKE_ERRORS, errors, dtype=pl.String)] if any(errors) else []
    return frame.select(*cells, pl.col(LINE), *told)


def with_shown(cell: pl.Expr, shown: dict[int, str]) -> pl.Expr:
    """A column's cells with what broken ones show."""
    if not shown:
        return cell
    return pl.coalesce((pl.col(LINE) - 1).replace_strict(shown, default=None, return_dtype=pl.String), cell)


def faults_as_json(frame: pl.DataFrame, plan: Plan, fields: list[str | None], broken: Broken) -> list[str | None]:
    """What cannot be read of each row."""
    found: list[str | None] = []
    for line, told in frame.select(LINE, FAULTS).iter_rows():
        errors = [
            RowError(path_of(plan, fields, place), Code.INVALID, message, data)
            for place, message, data in json.loads(told or "[]")
        ]
        errors += broken.errors.get(line - 1, [])
        found.append(errors_to_json(errors) if errors else None)
    return found


def path_of(plan: Plan, fields: list[str | None], place: int | None) -> str | None:
    field = None if place is None else fields[place]
    return None if field is None else plan.all_columns[field].graphql_name
