"""CSV bytes -> raw frames, a block of whole records at a time."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from itertools import chain
from typing import IO

import polars as pl

from bulkql.workers.columns.cells import MARK, NULL, escaped_column
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import BadInput, Code, RowError, UnreadableFile
from bulkql.workers.frames import INTAKE_ERRORS, errors_to_json
from bulkql.workers.readers.formulas import GUARD, restored
from bulkql.workers.readers.options import EmptyCells, FileOptions, fields_of
from bulkql.workers.readers.returned import columns_left_out, columns_of, unguarded_header, with_unmended
from bulkql.workers.resources.plan import Plan

BLOCK_BYTES = 2 * 1024 * 1024
#: The first block is small: those who look at the beginning only need not wait for more.
FIRST_BYTES = 64 * 1024
#: Cells that are decoded at a time. Two megabytes of short records have a million of them for each column that they
#: leave out.
BLOCK_CELLS = 1_000_000

#: Cells too many that polars may look at.
MANY_CELLS = 1_000

OVERFLOW = "__overflow"
BOM = "\N{BYTE ORDER MARK}"

#: A quoted part, or a line break that is in none. One pattern for a whole record would hold a gigabyte for a million
#: of them.
TOKEN = re.compile(rb'"[^"]*+"?|\n')

# Python's reader, which is asked about broken records only, would stop at cells of 128 kB.
csv.field_size_limit(2**31 - 1)


def read(file: IO[bytes], plan: Plan, options: FileOptions) -> Iterator[pl.DataFrame]:
    """Raw frames of the file's records; blank lines are none. Raises UnreadableFile with the line and the reason."""
    yield from CsvBeginning(file, options).frames(plan)


class CsvBeginning:
    """A file whose header is read, and whose records are not yet; raises UnreadableFile."""

    def __init__(self, file: IO[bytes], options: FileOptions) -> None:
        blocks = records(file, options)
        first = next(blocks, None)
        if first is None:
            raise UnreadableFile("The file is empty; a CSV file begins with a header.")
        end = end_of_record(first)
        self._options = options
        self._header = header_of(first[:end], options)
        self._line = 1 + first.count(b"\n", 0, end)
        self._blocks = chain([first[end:]], blocks)

    def names(self) -> list[str]:
        """The names in the header, those that say that their cells are guarded without that too."""
        return [*self._header, *(name.lstrip(GUARD) for name in self._header if name.startswith(GUARD))]

    def header(self, plan: Plan) -> list[str]:
        """What the file calls its columns."""
        return self._unguarded(plan)[0]

    def _unguarded(self, plan: Plan) -> tuple[list[str], list[bool]]:
        return unguarded_header(self._header, {*plan.names, *map(str.strip, self._options.columns)})

    def check(self, plan: Plan) -> None:
        """Are these the resource's columns, and is there a row? Raises BadInput."""
        if next(self.frames(plan), None) is None:
            raise BadInput("The file has no rows.")

    def frames(self, plan: Plan) -> Iterator[pl.DataFrame]:
        """Raw frames of the records; they can be had once."""
        header, guarded = self._unguarded(plan)
        fields = fields_of(plan, header, self._options)
        columns = columns_of(header, fields)
        line = self._line
        for block in self._blocks:
            for part in in_parts(block, len(fields)):
                frame = parse(part, columns, self._options, line, guarded)
                if not frame.is_empty():
                    yield frame
                line += part.count(b"\n")


def records(file: IO[bytes], options: FileOptions) -> Iterator[bytes]:
    """UTF-8 blocks that end where a record ends: at a line break outside of quotes."""
    rest, line = b"", 1
    for piece in decoded(file, options):
        block = rest + piece
        end = last_record_end(block)
        if end:
            yield block[:end]
            line += block.count(b"\n", 0, end)
        check_record(len(block) - end, line)
        rest = block[end:]
    if rest.strip(b"\r\n"):
        yield rest


def decoded(file: IO[bytes], options: FileOptions) -> Iterator[bytes]:
    """The file's bytes as UTF-8, without a byte order mark."""
    decoder = codecs.getincrementaldecoder(options.encoding)()
    line, is_first = 1, True
    while True:
        piece = file.read(FIRST_BYTES if is_first else BLOCK_BYTES)
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")
            raise UnreadableFile(
                f"Line {line} is not {options.encoding}: {error.reason} (byte {error.object[error.start]:#04x}). "
                f"Save the file as UTF-8, or name its encoding."
            ) from error
        except UnicodeError as error:
            # UTF-16 without its mark, and what some encodings make of bytes: half a surrogate pair.
            raise UnreadableFile(
                f"The file is not {options.encoding}: {error}. Save it as UTF-8, or name its encoding."
            ) from error
        line += text.count("\n")
        if text:
            yield (text.removeprefix(BOM) if is_first else text).encode()
            is_first = False
        if not piece:
            return


def check_record(size: int, line: int) -> None:
    """Whether a record may be so long; raises UnreadableFile."""
    most = limits().record_bytes
    if size > most:
        raise UnreadableFile(
            f"The record at line {line} is longer than {most:,} bytes ({setting_name('record_bytes')}): "
            f"is a quote never closed?"
        )


def last_record_end(block: bytes) -> int:
    """The place after the last line break that has an even number of quotes before it; 0 if there is none."""
    is_odd = block.count(b'"') % 2
    if not is_odd and (newline := block.rfind(b"\n", block.rfind(b'"') + 1)) >= 0:
        return newline + 1
    # Read backwards, it begins within quotes or outside of them.
    backwards = block[::-1]
    end = outer_newline(backwards, backwards.find(b'"') + 1 if is_odd else 0)
    return len(block) - end if end >= 0 else 0


def end_of_record(block: bytes) -> int:
    """The place after the first record."""
    end = outer_newline(block, 0)
    return end + 1 if end >= 0 else len(block)


def outer_newline(block: bytes, start: int) -> int:
    """The first line break outside of quotes, from a place outside of quotes on; -1 if there is none."""
    return next((found.start() for found in TOKEN.finditer(block, start) if found[0] == b"\n"), -1)


def in_parts(block: bytes, columns: int) -> Iterator[bytes]:
    """A block as it is, or in parts of whole records where it has too many cells for one table."""
    if block.count(b"\n") * columns > BLOCK_CELLS and (end := last_record_end(block[: len(block) // 2])) > 0:
        yield from in_parts(block[:end], columns)
        yield from in_parts(block[end:], columns)
    else:
        yield block


def header_of(record: bytes, options: FileOptions) -> list[str]:
    """The names in the first record."""
    text = record.decode()
    if MARK in text:
        raise UnreadableFile("This is not a CSV file: line 1 has null characters.")
    if "\r" in text.rstrip("\r\n"):
        raise UnreadableFile("Line 1 has a carriage return in its middle; lines end with LF or CRLF.")
    reader = csv.reader(io.StringIO(text), delimiter=options.delimiter, strict=True)
    try:
        names = next(reader, [])
    except csv.Error as error:
        raise UnreadableFile(f"Line 1 is not CSV: {error}.") from error
    if not any(name.strip() for name in names):
        raise UnreadableFile("Line 1 is empty; a CSV file begins with a header.")
    return [name.strip() for name in names]


def parse(block: bytes, names: list[str], options: FileOptions, line: int, guarded: list[bool]) -> pl.DataFrame:
    """The records of a block as a raw frame; `guarded` are the columns in which formulas were neutralised."""
    if not block.strip(b"\r\n"):
        return pl.DataFrame()
    try:
        if begins_wide(block, len(names), options):
            block = with_one_surplus(block, len(names), options)
        frame = table(block, [*names, OVERFLOW], options)
    except (pl.exceptions.PolarsError, csv.Error):
        # Some record has more cells than that, or is broken.
        try:
            frame = table(with_one_surplus(block, len(names), options), [*names, OVERFLOW], options)
        except (pl.exceptions.PolarsError, csv.Error) as error:
            raise unreadable(block, options, line) from error
    frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    frame = frame.with_columns(
        restored(pl.col(name)) for name, is_guarded in zip(names, guarded, strict=True) if is_guarded
    )
    fields = (name for name in names if not name.startswith("__"))
    cells = (with_nulls(pl.col(field), options, b"\0" in block).alias(field) for field in fields)
    return with_unmended(frame.select(*cells, *columns_left_out(names), *overflowing(frame, names, options)))


def table(block: bytes, names: list[str], options: FileOptions) -> pl.DataFrame:
    """The cells of a block; raises PolarsError where a record has more of them than there are names."""
    if block.startswith(BOM.encode()):
        block = b"\n" + block  # or polars takes it for the file's own
    return pl.read_csv(
        block,
        has_header=False,
        separator=options.delimiter,
        schema=dict.fromkeys(names, pl.String),
        missing_columns="insert",
    )


def with_nulls(column: pl.Expr, options: FileOptions, has_marks: bool) -> pl.Expr:
    """A column's cells, with the nulls that the options ask for."""
    if has_marks:
        column = escaped_column(column)
    if options.null_values:
        column = pl.when(column.is_in(options.null_values)).then(pl.lit(NULL)).otherwise(column)
    if options.empty_cells == EmptyCells.NULL:
        column = column.fill_null(NULL)
    return column


def overflowing(frame: pl.DataFrame, names: list[str], options: FileOptions) -> list[pl.Series]:
    """The row errors of records with more cells than the header."""
    if frame[OVERFLOW].null_count() == frame.height:
        return []
    message = f"The row has more than the header's {len(names)} cells; quote cells that contain the delimiter."
    records = frame.select(*names, OVERFLOW)
    texts = [
        None
        if extra is None
        else errors_to_json(
            [
                RowError(
                    None,
                    Code.MALFORMED,
                    message,
                    records[row].write_csv(include_header=False, separator=options.delimiter).rstrip("\n"),
                )
            ]
        )
        for row, extra in enumerate(frame[OVERFLOW])
    ]
    return [pl.Series(INTAKE_ERRORS, texts, dtype=pl.String)]


def begins_wide(block: bytes, count: int, options: FileOptions) -> bool:
    """Whether the first record may have far more cells than `count`: polars makes a column for each before it looks."""
    return block.count(options.delimiter.encode(), 0, end_of_record(block)) > count + MANY_CELLS


def with_one_surplus(block: bytes, count: int, options: FileOptions) -> bytes:
    """The block, in which records with more cells than `count` keep the first that says something, and no other.

    A table has a column for each cell of its widest record: of a hundred thousand, one record is enough for a gigabyte.
    """
    if block.count(b'"') % 2:
        raise csv.Error("unexpected end of data")
    mark = options.delimiter.encode()
    tokens = re.compile(rb'"[^"]*+"|\n|' + re.escape(mark))
    kept: list[bytes] = []
    extra = b""
    cells = record = cell = kept_end = 0
    for end in chain((found.start() for found in tokens.finditer(block)), [len(block)]):
        ending = block[end : end + 1]
        if ending == b'"':
            continue
        cells += 1
        if cells <= count:
            kept_end = end
        else:
            extra = extra or block[cell:end].strip(b"\r")
        cell = end + 1
        if ending != mark:
            surplus = mark + extra if extra else b""
            kept.append(block[record:kept_end] + surplus + b"\n" if cells > count else block[record : end + 1])
            record, cells, extra = end + 1, 0, b""
    return b"".join(kept)


def unreadable(block: bytes, options: FileOptions, line: int) -> UnreadableFile:
    """The record at which a strict reader stumbles over the block."""
    reader = csv.reader(io.StringIO(block.decode()), delimiter=options.delimiter, strict=True)
    end_of_last = 0
    try:
        for _ in reader:
            end_of_last = reader.line_num
    except csv.Error as error:
        return UnreadableFile(f"The record at line {line + end_of_last} is not CSV: {error}.")
    # What is left: a quote in the middle of a cell, which opens a cell for some readers and is text for others.
    odd = next((place for place, text in enumerate(io.BytesIO(block)) if text.count(b'"') % 2), 0)
    return UnreadableFile(
        f"The record at line {line + odd} is not CSV: a cell with a quote in it stands in quotes, and doubles its own."
    )
