"""How a file is to be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

import polars as pl

from bulkql.workers.columns.cells import ABSENT, NULL
from bulkql.workers.columns.spelling import Spelling
from bulkql.workers.errors import BadInput, NoKnownColumn
from bulkql.workers.readers import returned
from bulkql.workers.readers.bounds import check_column_count, quoted_names
from bulkql.workers.resources.plan import Plan


class FileFormat(StrEnum):
    """The formats of files that bring rows."""

    CSV = "CSV"
    NDJSON = "NDJSON"
    PARQUET = "PARQUET"
    XLSX = "XLSX"

    @property
    def is_compressed_within(self) -> bool:
        """Whether its files are small by themselves, and none is compressed as a whole."""
        return self in (FileFormat.PARQUET, FileFormat.XLSX)


class UnknownColumns(StrEnum):
    """What becomes of columns that the resource does not have."""

    REJECT = "REJECT"
    IGNORE = "IGNORE"


class EmptyCells(StrEnum):
    """What an empty cell says: that the row does not give the field, or that it is null."""

    MISSING = "MISSING"
    NULL = "NULL"


class ShortRecords(StrEnum):
    """What becomes of records of CSV with fewer cells than the header."""

    REJECT = "REJECT"
    FILL = "FILL"


class Compression(StrEnum):
    """How a file was made smaller on its way."""

    GZIP = "GZIP"
    ZSTD = "ZSTD"


#: How close a name must be to a header that may have been split wrongly: `char;text` does not mean `text`.
CLOSE = 0.7
#: What CSV is read with unless the request or the file says otherwise.
DELIMITER = ","
ENCODING = "utf-8"

COMPRESSIONS = {".gz": Compression.GZIP, ".zst": Compression.ZSTD}

ENDINGS = {
    ".csv": FileFormat.CSV,
    ".tsv": FileFormat.CSV,
    ".txt": FileFormat.CSV,
    ".ndjson": FileFormat.NDJSON,
    ".jsonl": FileFormat.NDJSON,
    ".json": FileFormat.NDJSON,
    ".parquet": FileFormat.PARQUET,
    ".pq": FileFormat.PARQUET,
    ".xlsx": FileFormat.XLSX,
    ".xlsm": FileFormat.XLSX,
    ".ods": FileFormat.XLSX,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """The options of GraphQL's FileInput, complete."""

    format: FileFormat
    #: What the file calls a field -> what the resource calls it.
    columns: dict[str, str] = field(default_factory=dict)
    unknown_columns: UnknownColumns = UnknownColumns.REJECT
    short_records: ShortRecords = ShortRecords.REJECT
    null_values: tuple[str, ...] = ()
    empty_cells: EmptyCells = EmptyCells.MISSING
    delimiter: str = DELIMITER
    encoding: str = ENCODING
    #: What the file's name says.
    compression: Compression | None = None
    #: Options that the sender left to the file: delimiter, encoding.
    left_out: tuple[str, ...] = ()
    spelling: Spelling = field(default_factory=Spelling)
    #: Of a workbook: by default the first that is not hidden.
    sheet: str | None = None
    #: The header's row, from 1: by default the first that is not empty.
    header_row: int | None = None
    #: Rows of Python code that came as a file: who sent them knows of no file, and of no options of files.
    is_from_python: bool = False

    @property
    def is_text(self) -> bool:
        return self.format in (FileFormat.CSV, FileFormat.NDJSON)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> FileOptions:
        return cls(**{name: FROM_JSON[name](value) if name in FROM_JSON else value for name, value in stored.items()})


#: What JSON has other words for.
FROM_JSON: dict[str, Callable[[Any], Any]] = {
    "format": FileFormat,
    "unknown_columns": UnknownColumns,
    "short_records": ShortRecords,
    "null_values": tuple,
    "empty_cells": EmptyCells,
    "compression": lambda name: name and Compression(name),
    "left_out": tuple,
    "spelling": Spelling.from_json,
}


def compression_of(name: str) -> Compression | None:
    """How a file is compressed, by its name."""
    return next((found for ending, found in COMPRESSIONS.items() if name.lower().endswith(ending)), None)


def uncompressed(name: str) -> str:
    """A file's name without the ending that says how it is compressed."""
    return name[: name.rindex(".")] if compression_of(name) else name


def format_by_name(name: str) -> FileFormat | None:
    """The format of a file by its name."""
    return next((found for ending, found in ENDINGS.items() if uncompressed(name).lower().endswith(ending)), None)


def delimiter_by_name(name: str) -> str:
    """What stands between the cells of a CSV file of this name, unless the file itself says otherwise."""
    return "\t" if uncompressed(name).lower().endswith(".tsv") else DELIMITER


def with_nulls(cells: pl.Expr, options: FileOptions) -> pl.Expr:
    """A column's cells, with the nulls that the options ask for."""
    if options.null_values:
        cells = pl.when(cells.is_in(options.null_values)).then(pl.lit(NULL)).otherwise(cells)
    if options.empty_cells == EmptyCells.NULL:
        cells = cells.fill_null(NULL)
        cells = pl.when(cells != ABSENT).then(cells)
    return cells


def fields_of(plan: Plan, header: list[str], options: FileOptions) -> list[str | None]:
    """The plan's field for each column of a file, None for one to ignore; raises BadInput."""
    they_have, whose = ("The rows have", "") if options.is_from_python else ("The file has", "file's ")
    check_column_count(header, they_have)
    check_mapped(header, options, "the file")
    names = {**plan.names, **{name.strip(): field for name, field in options.columns.items()}}
    fields = [names.get(name.strip()) for name in header]
    known = ", ".join((*plan.columns, *plan.lists))
    unknown = [name for name, found in zip(header, fields, strict=True) if found is None and is_told(name, options)]
    if not any(fields):
        meant = next(filter(None, (like(name, plan.names, CLOSE) for name in header[:20])), "")
        doubt = f"; is the delimiter {options.delimiter!r} right, and does the file have a header?"
        raise NoKnownColumn(
            f"None of the {whose}columns ({quoted_names(header[:20])}) is a field of {plan.resource.name}{meant}. "
            f"Its fields are {known}{doubt if options.format == FileFormat.CSV else '.'}"
        )
    if unknown and options.unknown_columns == UnknownColumns.REJECT:
        way_out = "map others with `columns`, or set unknownColumns: IGNORE"
        unnamed = next(filter(None, map(plan.unnamed, unknown)), "")
        raise BadInput(
            f"{plan.resource.name} has no field for the column{'s' if len(unknown) > 1 else ''} "
            f"{quoted_names(unknown[:20])}{like(unknown[0], plan.names)}. Its fields are {known}; "
            f"{'rename others, or leave them out' if options.is_from_python else way_out}.{unnamed}"
        )
    counts = Counter(fields)
    twice = sorted(found for found, count in counts.items() if found is not None and count > 1)
    if twice:
        raise BadInput(f"{they_have} more than one column for {', '.join(twice)}.")
    return fields


def is_told(name: str, options: FileOptions) -> bool:
    """Whether a column that is no field's is one at all: a table has columns without a name where it has nothing."""
    is_ghost = not name.strip() and options.format not in (FileFormat.NDJSON, FileFormat.PARQUET)
    return not is_ghost and name not in returned.NAMES


def check_mapped(header: Iterable[str], options: FileOptions, place: str) -> None:
    """Whether a file has the columns that are mapped; raises BadInput."""
    names = [name.strip() for name in header]
    missing = sorted({name.strip() for name in options.columns} - set(names))
    if missing:
        verb = "have" if place.endswith("rows") else "has"
        raise BadInput(
            f"`columns` maps {quoted_names(missing[:20])}, but {place} {verb} no such column{like(missing[0], names)}. "
            f"It has {quoted_names(names[:20])}."
        )


def like(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """The name that may have been meant, as a question."""
    found = get_close_matches(name, [one for one in names if one != name], n=1, cutoff=cutoff)
    return f" (did you mean {found[0]!r}?)" if found else ""
