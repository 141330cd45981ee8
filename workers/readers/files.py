"""An upload and its options -> raw frames."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from typing import IO, TypeAlias

import polars as pl

from bulkql.workers.columns.spelling import check_spelling
from bulkql.workers.errors import BadInput
from bulkql.workers.readers import csv, ndjson, parquet, workbooks
from bulkql.workers.readers.bounds import bounded
from bulkql.workers.readers.options import FileFormat, FileOptions, fields_of
from bulkql.workers.resources.plan import Plan

READERS: dict[FileFormat, Callable[[IO[bytes], Plan, FileOptions], Iterator[pl.DataFrame]]] = {
    FileFormat.CSV: csv.read,
    FileFormat.NDJSON: ndjson.read,
    FileFormat.PARQUET: parquet.read,
    FileFormat.XLSX: workbooks.read,
}

Beginning: TypeAlias = (
    csv.CsvBeginning | ndjson.NdjsonBeginning | parquet.ParquetBeginning | workbooks.WorkbookBeginning
)

BEGINNINGS: dict[FileFormat, Callable[[IO[bytes], FileOptions], Beginning]] = {
    FileFormat.CSV: csv.CsvBeginning,
    FileFormat.NDJSON: ndjson.NdjsonBeginning,
    FileFormat.PARQUET: parquet.ParquetBeginning,
    FileFormat.XLSX: workbooks.WorkbookBeginning,
}


def read(file: IO[bytes], plan: Plan, options: FileOptions) -> Iterator[pl.DataFrame]:
    """Raw frames of a file, in its order; raises UnreadableFile."""
    return bounded(READERS[options.format](file, plan, options), plan)


class FileStart:
    """A file's beginning, decoded once and asked three times: for its names, what it is, and its header.

    Raises BadInput for options by which no file can be read.
    """

    def __init__(self, file: IO[bytes], options: FileOptions) -> None:
        check_options(options)
        file.seek(0)
        self._options = options
        self._found = BEGINNINGS[options.format](file, options)

    def names(self) -> set[str]:
        """What the file calls its columns, and what the options call them."""
        found = self._found.names()
        return {*found, *(to for name, to in self._options.columns.items() if name in found)}

    def check(self, plan: Plan) -> None:
        """Is it what it claims to be, and whose columns are these? Raises BadInput."""
        wrong = sorted(set(self._options.columns.values()) - plan.all_columns.keys())
        if wrong:
            has = ", ".join((*plan.columns, *plan.lists))
            raise BadInput(f"`columns` maps to {', '.join(wrong)}; {plan.resource.name} has {has}.")
        self._found.check(plan)

    def header(self, plan: Plan) -> list[tuple[str, str | None]] | None:
        """What a checked file calls its columns, each with its field; None where only its reader will see them."""
        names = self._found.header(plan)
        if names is None:
            return None
        return list(zip(names, fields_of(plan, names, self._options) if names else [], strict=True))


def check_options(options: FileOptions) -> None:
    """Whether a file can be read so at all; raises BadInput."""
    check_encoding(options.encoding)
    check_spelling(options.spelling)
    if options.header_row is not None and options.header_row < 1:
        raise BadInput(f"headerRow is {options.header_row}; the first row of a sheet is 1.")
    if len(options.delimiter.encode()) != 1 or options.delimiter in '"\r\n\0':
        raise BadInput(f"A delimiter is one ASCII character, and no quote or line break; not {options.delimiter!r}.")


def check_encoding(name: str) -> None:
    """Whether Python can decode texts of this encoding, piece by piece; raises BadInput."""
    try:
        " ".encode(name).decode(name)
        codecs.getincrementaldecoder(name)
    except (LookupError, ValueError):
        raise BadInput(f"There is no encoding {name}; utf-8, utf-16 and cp1252 are some.") from None
