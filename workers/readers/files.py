"""An upload and its options -> raw frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import IO, TypeAlias

import polars as pl

from bulkql.workers.columns.spelling import check_spelling
from bulkql.workers.errors import BadInput, UnreadableFile
from bulkql.workers.readers import csv, ndjson, parquet, workbooks
from bulkql.workers.readers.bounds import bounded
from bulkql.workers.readers.options import (
    FileFormat,
    FileOptions,
    compression_of,
    fields_of,
    format_by_name,
    like,
)
from bulkql.workers.readers.text.compression import decompressed
from bulkql.workers.readers.text.decoding import HEAD_BYTES, check_encoding, encoding_of
from bulkql.workers.readers.text.signs import check_signs, check_unknown, format_by_signs
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


def read_file(file: IO[bytes], plan: Plan, options: FileOptions) -> Iterator[pl.DataFrame]:
    """Raw frames of a file, in its order; raises UnreadableFile."""
    return bounded(READERS[options.format](decompressed(file, options.compression), plan, options), plan)


class FileStart:
    """A file's beginning, decoded once and asked three times: for its names, what it is, and its header.

    `options` are those that were given, with what the file itself says. Raises BadInput for options by which no file
    can be read, and UnreadableFile.
    """

    def __init__(self, file: IO[bytes], options: FileOptions) -> None:
        check_options(options)
        if options.compression is not None and not options.is_text:
            raise UnreadableFile(f"A {options.format} file is compressed in itself; send it as it is.")
        head = decompressed(file, options.compression).read(HEAD_BYTES)
        check_signs(head, options.format)
        self.options = options
        if options.is_text:
            said = None if "encoding" in options.left_out else options.encoding
            self.options = replace(options, encoding=encoding_of(head, said))
        self._found = BEGINNINGS[options.format](decompressed(file, options.compression), self.options)
        if isinstance(self._found, csv.CsvBeginning):
            self.options = replace(self.options, delimiter=self._found.delimiter)

    def names(self) -> set[str]:
        """What the file calls its columns, and what the options call them."""
        found = self._found.names()
        return {*found, *(to for name, to in self.options.columns.items() if name in found)}

    def check(self, plan: Plan, *, may_be_empty: bool = False) -> None:
        """Is it what it claims to be, and whose columns are these? Raises BadInput, also where it has no rows."""
        check_targets(plan, self.options)
        self._found.check(plan, may_be_empty=may_be_empty)

    def header(self, plan: Plan) -> list[tuple[str, str | None]] | None:
        """What a checked file calls its columns, each with its field; None where only its reader will see them."""
        names = self._found.header(plan)
        if names is None:
            return None
        found = replace(self.options, columns={name: to for name, to in self.options.columns.items() if name in names})
        return list(zip(names, fields_of(plan, names, found) if names else [], strict=True))


def format_of_file(name: str, file: IO[bytes]) -> FileFormat:
    """The format of a file by its name, or where that says nothing by its first bytes; raises BadInput."""
    if (named := format_by_name(name)) is not None:
        return named
    head = decompressed(file, compression_of(name)).read(HEAD_BYTES)
    file.seek(0)
    if (found := format_by_signs(head)) is not None:
        return found
    check_unknown(head)
    line = head.partition(b"\n")[0].rstrip(b"\r").decode(errors="replace")
    raise BadInput(
        f"The name {name} does not show its format, and neither does the file, which begins with {line!r}; "
        f"give `format`: {', '.join(FileFormat)}."
    )


def check_targets(plan: Plan, options: FileOptions) -> None:
    """Whether columns are mapped to fields that there are; raises BadInput."""
    wrong = sorted(set(options.columns.values()) - plan.all_columns.keys())
    if wrong:
        has = [*plan.columns, *plan.lists]
        raise BadInput(
            f"`columns` maps to {', '.join(wrong)}{like(wrong[0], has)}; {plan.resource.name} has {', '.join(has)}."
        )


def check_options(options: FileOptions) -> None:
    """Whether a file can be read so at all; raises BadInput."""
    check_encoding(options.encoding)
    check_spelling(options.spelling)
    if options.header_row is not None and options.header_row < 1:
        raise BadInput(f"headerRow is {options.header_row}; the first row of a sheet is 1.")
    for name, value in (("sheet", options.sheet), ("headerRow", options.header_row)):
        if value is not None and options.format != FileFormat.XLSX:
            raise BadInput(f"{name} is for workbooks, and this file is {options.format}; leave it out.")
    csv.check_delimiter(options.delimiter)
