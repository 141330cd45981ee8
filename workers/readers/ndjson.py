"""Lines of JSON -> raw frames."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any

import msgspec
import polars as pl

from bulkql.workers.columns.cells import ExactFloat
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import Code, RowError, UnreadableFile
from bulkql.workers.readers import returned
from bulkql.workers.readers.bounds import is_too_deep, too_deep
from bulkql.workers.readers.objects import flattened, raw_frame
from bulkql.workers.readers.options import FileOptions, UnknownColumns, fields_of
from bulkql.workers.readers.records import Records
from bulkql.workers.resources.plan import Plan

#: Blocks grow up to this size.
BLOCK_BYTES = 2 * 1024 * 1024
#: The first ones are small: those who look at the beginning only need not wait for more.
FIRST_BYTES = 64 * 1024
#: Rows that are asked for their fields' names, and bytes: a row may have megabytes.
ROWS_ASKED = 1_000
BYTES_ASKED = 4 * 1024 * 1024
#: Lines that are decoded at a time: objects without a field take a hundred times the bytes of their text.
BLOCK_LINES = 20_000
EMPTY = "The file is empty; an NDJSON file has one JSON object a line."

decoder = msgspec.json.Decoder(float_hook=ExactFloat)
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read(file: IO[bytes], plan: Plan, options: FileOptions) -> Iterator[pl.DataFrame]:
    """Raw frames of the file's lines; blank lines are none. A line that is no JSON object is a row error."""
    line, is_first = 1, True
    records = Records(plan, options)
    for block in lines(file):
        if not is_too_deep(block) and (frame := records.frame(block)) is not None:
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
        self._first: Any = ...
        self._names: dict[str, None] = {}
        #: The line of the first row.
        self._line = line = 1
        asked = 0
        for block in lines(file):
            rows, _ = decode(block, line)
            if rows and self._first is ...:
                self._line = line + first_line(block)
                self._first = rows[0]
            some = list(islice((row for row in rows if isinstance(row, dict)), ROWS_ASKED - asked))
            self._names.update(dict.fromkeys(name for row in some for name in row))
            asked += len(some)
            line += block.count(b"\n")
            if asked >= ROWS_ASKED or file.tell() >= BYTES_ASKED:
                break

    def names(self) -> list[str]:
        """The names in the first rows: a row may leave a field out."""
        return list(self._names)

    def header(self, plan: Plan) -> list[str]:
        """The names in the first row, where {"accountBy": {"name": "Cash"}} is accountBy.name."""
        return list(flattened(plan, 0, self._first, {})) if isinstance(self._first, dict) else []

    def check(self, plan: Plan) -> None:
        """Is this such a file, and has it the resource's fields? Raises BadInput."""
        if self._first is ...:
            raise UnreadableFile(EMPTY)
        check_first(plan, self._first, self._line, self._options)


def lines(file: IO[bytes]) -> Iterator[bytes]:
    """Blocks of whole lines, none of them of more than BLOCK_LINES or so."""
    rest, line, size = b"", 1, FIRST_BYTES
    while piece := file.read(size):
        if line == 1 and not rest:
            piece = piece.removeprefix(codecs.BOM_UTF8)
        size = min(2 * size, BLOCK_BYTES)
        block = rest + piece
        end = block.rfind(b"\n") + 1
        if end:
            yield from halves(block[:end])
            line += block.count(b"\n")
        rest = block[end:]
        check_line(len(rest), line)
    if rest.strip():
        yield rest


def check_line(size: int, line: int) -> None:
    """Whether a line may be so long; raises UnreadableFile."""
    most = limits().record_bytes
    if size > most:
        raise UnreadableFile(
            f"Line {line} is longer than {most:,} bytes ({setting_name('record_bytes')}): one JSON object a line is "
            f"expected."
        )


def halves(block: bytes) -> Iterator[bytes]:
    """A block as it is, or in parts of whole lines where it has too many."""
    if block.count(b"\n") > BLOCK_LINES:
        middle = block.find(b"\n", len(block) // 2) + 1
        if middle == len(block):
            middle = block.rfind(b"\n", 0, len(block) // 2) + 1
        yield from halves(block[:middle])
        yield from halves(block[middle:])
    else:
        yield block


def decode(block: bytes, line: int) -> tuple[list[Any], dict[int, list[RowError]]]:
    """The lines' values without bulkql's own; where one is not JSON, an error in its place."""
    rows, errors = decode_all(block, line)
    if b"bulkql_" in block:
        returned.without_own(rows, errors)
    return rows, errors


def decode_all(block: bytes, line: int) -> tuple[list[Any], dict[int, list[RowError]]]:
    """The lines' values; where one is not JSON, an error in its place."""
    is_deep = is_too_deep(block)
    try:
        if not is_deep:
            return decoder.decode_lines(block), {}
    except UNREADABLE:
        pass
    rows: list[Any] = []
    errors: dict[int, list[RowError]] = {}
    for number, text in enumerate(block.split(b"\n"), start=line):
        if not text.strip():
            continue
        try:
            if is_deep and is_too_deep(text):
                raise msgspec.DecodeError(too_deep())
            rows.append(decoder.decode(text))
        except UNREADABLE as error:
            sent = text.rstrip(b"\r").decode(errors="replace")
            errors[len(rows)] = [RowError(None, Code.MALFORMED, f"Line {number} is not JSON: {error}.", sent)]
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
