"""CSV bytes -> raw frames, a block of whole records at a time."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator
from typing import IO

import polars as pl

from workers.cells import MARK, NULL
from workers.errors import UnreadableFile
from workers.formats.options import EmptyCells, FileOptions, fields_of
from workers.frames import INTAKE_ERRORS
from workers.resources import BulkResource

BLOCK_BYTES = 4 * 1024 * 1024
#: A record longer than this is a quote that nobody closed.
RECORD_BYTES = 16 * 1024 * 1024

OVERFLOW = "__overflow"


def read(file: IO[bytes], resource: BulkResource, options: FileOptions) -> Iterator[pl.DataFrame]:
    """Raw frames of the file's records; blank lines are none. Raises UnreadableFile with the line and the reason."""
    fields: list[str | None] | None = None
    line = 1
    for block in records(file, options):
        start = 0
        if fields is None:
            start = end_of_record(block)
            fields = fields_of(resource, header_of(block[:start], options), options)
        frame = parse(block[start:], fields, options, line + block.count(b"\n", 0, start))
        if not frame.is_empty():
            yield frame
        line += block.count(b"\n")
    if fields is None:
        raise UnreadableFile("The file is empty; a CSV file begins with a header.")


def records(file: IO[bytes], options: FileOptions) -> Iterator[bytes]:
    """UTF-8 blocks that end where a record ends: at a line break outside of quotes."""
    rest = b""
    for piece in decoded(file, options):
        block = rest + piece
        end = last_record_end(block)
        if end == 0 and len(block) > RECORD_BYTES:
            raise UnreadableFile(f"A record is longer than {RECORD_BYTES:,} bytes: is a quote never closed?")
        if end:
            yield block[:end]
        rest = block[end:]
    if rest.strip():
        yield rest


def decoded(file: IO[bytes], options: FileOptions) -> Iterator[bytes]:
    """The file's bytes as UTF-8, without a byte order mark."""
    encoding = codecs.lookup(options.encoding).name
    decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)()
    line = 1
    while True:
        piece = file.read(BLOCK_BYTES)
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")
            raise UnreadableFile(
                f"Line {line} is not {options.encoding}: {error.reason} (byte {error.object[error.start]:#04x}). "
                f"Save the file as UTF-8, or name its encoding."
            ) from error
        line += text.count("\n")
        if text:
            yield text.encode()
        if not piece:
            return


def last_record_end(block: bytes) -> int:
    """The place after the last line break that has an even number of quotes before it; 0 if there is none."""
    quotes = block.count(b'"')
    end = len(block)
    while (newline := block.rfind(b"\n", 0, end)) >= 0:
        quotes -= block.count(b'"', newline, end)
        if quotes % 2 == 0:
            return newline + 1
        end = newline
    return 0


def end_of_record(block: bytes) -> int:
    """The place after the first record."""
    end = 0
    while (newline := block.find(b"\n", end)) >= 0:
        end = newline + 1
        if block.count(b'"', 0, end) % 2 == 0:
            return end
    return len(block)


def header_of(record: bytes, options: FileOptions) -> list[str]:
    """The names in the first record."""
    text = record.decode()
    if MARK in text:
        raise UnreadableFile("This is not a CSV file: line 1 has null characters.")
    names = next(csv.reader(io.StringIO(text), delimiter=options.delimiter), [])
    if not any(name.strip() for name in names):
        raise UnreadableFile("Line 1 is empty; a CSV file begins with a header.")
    return [name.strip() for name in names]


def parse(block: bytes, fields: list[str | None], options: FileOptions, line: int) -> pl.DataFrame:
    """The records of a block as a raw frame."""
    if not block.strip():
        return pl.DataFrame()
    names = [field or f"__ignored_{place}" for place, field in enumerate(fields)]
    try:
        frame = pl.read_csv(
            block,
            has_header=False,
            separator=options.delimiter,
            schema=dict.fromkeys([*names, OVERFLOW], pl.String),
            missing_columns="insert",
            truncate_ragged_lines=True,
        )
    except pl.exceptions.ComputeError as error:
        raise unreadable(block, options, line) from error
    frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    kept = [field for field in fields if field]
    return frame.select(*(cell(pl.col(name), options, b"\0" in block).alias(name) for name in kept), *overflowing(frame, fields))


def cell(column: pl.Expr, options: FileOptions, has_marks: bool) -> pl.Expr:
    """A column's cells, with the nulls that the options ask for."""
    if has_marks:
        column = pl.when(column.str.starts_with(MARK)).then(pl.format('{}"{}"', pl.lit(MARK), column)).otherwise(column)
    if options.null_values:
        column = pl.when(column.is_in(options.null_values)).then(pl.lit(NULL)).otherwise(column)
    if options.empty_cells == EmptyCells.NULL:
        column = column.fill_null(NULL)
    return column


def overflowing(frame: pl.DataFrame, fields: list[str | None]) -> list[pl.Series]:
    """The row errors of records with more cells than the header."""
    if frame[OVERFLOW].null_count() == frame.height:
        return []
    message = f"The row has more than the header's {len(fields)} cells; quote cells that contain the delimiter."
    texts = [
        None if extra is None else json.dumps([["INVALID", None, message, extra]]) for extra in frame[OVERFLOW]
    ]
    return [pl.Series(INTAKE_ERRORS, texts, dtype=pl.String)]


def unreadable(block: bytes, options: FileOptions, line: int) -> UnreadableFile:
    """The line at which a strict reader stumbles over the block."""
    reader = csv.reader(io.StringIO(block.decode()), delimiter=options.delimiter, strict=True)
    try:
        for _ in reader:
            pass
    except csv.Error as error:
        return UnreadableFile(f"Line {line + reader.line_num - 1} is not CSV: {error}.")
    return UnreadableFile(f"The file is not CSV between line {line} and line {line + block.count(bytes([10]))}.")
