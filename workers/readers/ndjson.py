"""Lines of JSON -> raw frames."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any

import msgspec
import polars as pl

from bulkql.workers.columns.cells import ExactFloat
from bulkql.workers.errors import Code, RowError, UnreadableFile
from bulkql.workers.readers import returned
from bulkql.workers.readers.objects import flattened, raw_frame
from bulkql.workers.readers.options import FileOptions, UnknownColumns, fields_of
from bulkql.workers.readers.records import Records
from bulkql.workers.resources.plan import Plan

#: Blocks grow up to this size.
BLOCK_BYTES = 2 * 1024 * 1024
#: The first ones are small: those who look at the beginning only need not wait for more.
FIRST_BYTES = 64 * 1024
#: Rows that are asked for their fields' names.
ROWS_ASKED = 1_000
#: A line longer than this is no row.
LINE_BYTES = 16 * 1024 * 1024
EMPTY = "The file is empty; an NDJSON file has one JSON object a line."

decoder = msgspec.json.Decoder(float_hook=ExactFloat)
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read(file: IO[bytes], plan: Plan, options: FileOptions) -> Iterator[pl.DataFrame]:
    """Raw frames of the file's lines; blank lines are none. A line that is no JSON object is a row error."""
    line, is_first = 1, True
    records = Records(plan, options)
    for block in lines(file):
        if (frame := records.frame(block)) is not None:
            yield frame
            line += block.count(b"\n")
            continue
        rows, errors = decode(block, line)
        records.learn(rows)
        if is_first and rows:
            check_first(plan, rows[0], line + first_line(block), options)
            is_first = False
        if rows:
            nullified(rows, options)
            yield raw_frame(
                plan,
                rows,
                names=options.columns,
                ignore_unknown=options.unknown_columns == UnknownColumns.IGNORE,
                errors=errors,
            )
        line += block.count(b"\n")
    if is_first:
        raise UnreadableFile(EMPTY)


class NdjsonBeginning:
    """A file's first rows: ROWS_ASKED of them, and what comes in one block with those."""

    def __init__(self, file: IO[bytes], options: FileOptions) -> None:
        self._options = options
        self._rows: list[Any] = []
        #: The line of the first row.
        self._line = line = 1
        for block in lines(file):
            rows, _ = decode(block, line)
            if not self._rows:
                self._line = line + first_line(block)
            self._rows += rows
            line += block.count(b"\n")
            if sum(isinstance(row, dict) for row in self._rows) >= ROWS_ASKED:
                break

    def names(self) -> list[str]:
        """The names in the first rows: a row may leave a field out."""
        rows = islice((row for row in self._rows if isinstance(row, dict)), ROWS_ASKED)
        return list(dict.fromkeys(name for row in rows for name in row))

    def header(self, plan: Plan) -> list[str]:
        """The names in the first row, where {"accountBy": {"name": "Cash"}} is accountBy.name."""
        first = self._rows[0] if self._rows else None
        return list(flattened(plan, 0, first, {})) if isinstance(first, dict) else []

    def check(self, plan: Plan) -> None:
        """Is this such a file, and has it the resource's fields? Raises BadInput."""
        if not self._rows:
            raise UnreadableFile(EMPTY)
        check_first(plan, self._rows[0], self._line, self._options)


def lines(file: IO[bytes]) -> Iterator[bytes]:
    """Blocks of whole lines."""
    rest = file.read(FIRST_BYTES).removeprefix(codecs.BOM_UTF8)
    if end := rest.rfind(b"\n") + 1:
        yield rest[:end]
        rest = rest[end:]
    size = FIRST_BYTES
    while piece := file.read(size := min(2 * size, BLOCK_BYTES)):
        block = rest + piece
        end = block.rfind(b"\n") + 1
        if end == 0 and len(block) > LINE_BYTES:
            raise UnreadableFile(f"A line is longer than {LINE_BYTES:,} bytes: one JSON object a line is expected.")
        if end:
            yield block[:end]
        rest = block[end:]
    if rest.strip():
        yield rest


def decode(block: bytes, line: int) -> tuple[list[Any], dict[int, list[RowError]]]:
    """The lines' values without bulkql's own; where one is not JSON, an error in its place."""
    rows, errors = decode_all(block, line)
    if b"bulkql_" in block:
        for row in rows:
            for name in returned.NAMES.intersection(row if isinstance(row, dict) else ()):
                del row[name]
    return rows, errors


def decode_all(block: bytes, line: int) -> tuple[list[Any], dict[int, list[RowError]]]:
    """The lines' values; where one is not JSON, an error in its place."""
    try:
        return decoder.decode_lines(block), {}
    except UNREADABLE:
        pass
    rows: list[Any] = []
    errors: dict[int, list[RowError]] = {}
    for number, text in enumerate(block.split(b"\n"), start=line):
        if not text.strip():
            continue
        try:
            rows.append(decoder.decode(text))
        except UNREADABLE as error:
            shown = text[:200].decode(errors="replace")
            errors[len(rows)] = [RowError(None, Code.INVALID, f"Line {number} is not JSON: {error}.", shown)]
            rows.append(None)
    return rows, errors


def first_line(block: bytes) -> int:
    """The place of the first line that is not blank."""
    return block[: len(block) - len(block.lstrip())].count(b"\n")


def check_first(plan: Plan, row: Any, line: int, options: FileOptions) -> None:
    """The first line tells whether this is such a file at all."""
    if not isinstance(row, dict):
        raise UnreadableFile(f"This is not an NDJSON file: line {line} is not a JSON object.")
    if row:
        fields_of(plan, list(flattened(plan, 0, row, {})), options)


def nullified(rows: list[Any], options: FileOptions) -> None:
    """Texts that stand for null, as the options say."""
    # JSON says "" where it means an empty text, and leaves a field out where it gives none: no cell is empty.
    nulls = set(options.null_values)
    if not nulls:
        return
    for row in rows:
        if isinstance(row, dict):
            for key, value in row.items():
                if isinstance(value, str) and value in nulls:
                    row[key] = None
