"""Pieces of CSV behind its header -> raw frames: the good records by polars, the malformed ones as row errors."""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from bulkql.workers.columns.cells import escaped_column
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import Code, RowError, UnreadableFile
from bulkql.workers.frames import INTAKE_ERRORS, LINE, errors_to_json, ignored
from bulkql.workers.readers import returned
from bulkql.workers.readers.formulas import restored
from bulkql.workers.readers.options import FileOptions, ShortRecords, UnknownColumns, with_nulls
from bulkql.workers.readers.text.decoding import BOM
from bulkql.workers.readers.text.pieces import Pieces
from bulkql.workers.readers.text.strict import (
    UNCLOSED,
    Malformed,
    NotStrict,
    StrictReader,
    Walked,
    cells_at,
    last_record_end,
    lines_in,
)

#: Cells that are decoded at a time. Two megabytes of short records have a million of them for each column that they
#: leave out.
BLOCK_CELLS = 1_000_000
#: DOS ended files so.
CTRL_Z = re.compile(rb"(?:\A|(?<=\n))\x1a+\s*\Z")
#: A record's place among the strict and the malformed ones of its block.
PLACE = "__place"


class Blocks:
    """Reads the records behind a header, and knows on which line it is."""

    def __init__(
        self,
        columns: list[tuple[str, str | None]],
        is_guarded: bool,
        options: FileOptions,
        delimiter: str,
        line: int,
    ) -> None:
        """`columns`: what the file calls each, and its field; `is_guarded`: formulas in cells are neutralised."""
        header = [name for name, _ in columns]
        named = [place for place, name in enumerate(header, start=1) if name]
        fills = options.short_records == ShortRecords.FILL
        self._reader = StrictReader(delimiter=delimiter, columns=len(header), needed=1 if fills else named[-1])
        self._names = [field or ignored(place, name) for place, (name, field) in enumerate(columns)]
        self._fields = [field for _, field in columns if field]
        is_kept = options.unknown_columns == UnknownColumns.IGNORE
        #: Columns that are left out, but go back with rows that fail.
        self._others = [
            ignored(place, name)
            for place, (name, field) in enumerate(columns)
            if is_kept and field is None and name not in returned.NAMES
        ]
        #: What records were before that could not be read.
        self._broken = [ignored(place, name) for place, (name, _) in enumerate(columns) if name == returned.LINE][:1]
        #: What empty cells say.
        self._empty = [ignored(place, name) for place, (name, _) in enumerate(columns) if name == returned.EMPTY][:1]
        self._places = dict(zip(header, self._names, strict=True))
        self._guarded = self._names if is_guarded else []
        #: Columns without a name, which may have no values.
        self._nameless = [name for name, column in zip(self._names, header, strict=True) if not column]
        self._options = options
        self._line = line

    def frames(self, rest: bytes, pieces: Pieces) -> Iterator[pl.DataFrame]:
        """Raw frames of what follows; `rest` comes before the pieces that are left."""
        buffer, is_first = rest, True
        while True:
            if not (is_first and buffer):
                if pieces.is_last:
                    break
                buffer += pieces.take()
            if pieces.is_last and b"\x1a" in buffer:
                buffer = CTRL_Z.sub(b"", buffer)
            is_first = False
            taken = 0
            for frame, end in self._frames_of(buffer, pieces.is_last):
                taken = end
                if not frame.is_empty():
                    yield frame.with_columns(newlines_as(b"\r")) if pieces.is_cr else frame
            buffer = buffer[taken:]
            check_record(buffer, self._line, self._reader.delimiter)

    def _frames_of(self, buffer: bytes, is_last: bool) -> Iterator[tuple[pl.DataFrame, int]]:
        """Raw frames of a buffer's whole records, each with its end."""
        end = len(buffer) if is_last else last_record_end(buffer)
        if end and self._reader.is_plain(buffer[:end]):
            start = 0
            for part in in_parts(buffer[:end], self._reader.columns):
                start += len(part)
                yield self._plain(part), start
            return
        most = max(1, BLOCK_CELLS // self._reader.columns)
        for walk, end in self._reader.walked(buffer, self._line, is_last, most):
            yield self._walked(walk), end
        self._line += buffer.count(b"\n", 0, end)

    def _plain(self, block: bytes) -> pl.DataFrame:
        """The rows of a block of strict records, and of blank lines."""
        try:
            cells = self._table(block)
        except pl.exceptions.PolarsError:  # some record has more cells
            most = max(1, BLOCK_CELLS // self._reader.columns)
            parts = [self._walked(walk) for walk, _ in self._reader.walked(block, self._line, True, most)]
            self._line += block.count(b"\n")
            return pl.concat(parts, how="diagonal")
        lines = pl.int_range(self._line, self._line + cells.height, dtype=pl.Int64, eager=True)
        if cells.height != lines_in(block):
            breaks = cells.select(pl.sum_horizontal(pl.all().str.count_matches("\n", literal=True))).to_series()
            lines += breaks.cast(pl.Int64).cum_sum().shift(1, fill_value=0)
        self._line += block.count(b"\n")
        return self._raw(cells.with_columns(lines.alias(LINE)), b"\0" in block)

    def _walked(self, walk: Walked) -> pl.DataFrame:
        """The rows of records that were looked at one by one."""
        if not walk.count:
            return pl.DataFrame()
        block = b"".join(walk.parts)
        cells = self._table(block)
        if cells.height != len(walk.lines):
            raise UnreadableFile(f"The records behind line {self._line:,} cannot be told apart.")
        bad = {one.place for one in walk.malformed}
        places = [place for place in range(walk.count) if place not in bad] if bad else range(walk.count)
        good = cells.with_columns(pl.Series(LINE, walk.lines, dtype=pl.Int64), pl.Series(PLACE, places, dtype=pl.Int64))
        rows = self._raw(good, b"\0" in block)
        if walk.malformed:
            rows = pl.concat([rows, malformed_rows(walk.malformed)], how="diagonal").sort(PLACE)
        return rows.drop(PLACE)

    def _table(self, block: bytes) -> pl.DataFrame:
        """The cells of strict records; raises PolarsError where one has more of them than the header."""
        if not block:
            return pl.DataFrame(schema=dict.fromkeys(self._names, pl.String))
        has_bom = block.startswith(BOM.encode())  # which polars would take for the file's own
        cells = pl.read_csv(
            b"\n" + block if has_bom else block,
            has_header=False,
            separator=self._reader.delimiter,
            schema=dict.fromkeys(self._names, pl.String),
            missing_columns="insert",
        )
        return cells[1:] if has_bom else cells

    def _raw(self, cells: pl.DataFrame, has_marks: bool) -> pl.DataFrame:
        """Cells with their lines as a raw frame, without the records that are empty."""
        own = [name for name in (LINE, PLACE) if name in cells.columns]
        cells = cells.filter(~pl.all_horizontal(pl.exclude(own).is_null()))
        if self._guarded:
            cells = cells.with_columns(restored(pl.col(self._guarded)))
        if has_marks:
            cells = cells.with_columns(escaped_column(pl.col(field)).alias(field) for field in self._fields)
        for said in self._empty:
            cells = returned.with_empty(cells, said, self._places)
        values = (with_nulls(pl.col(field), self._options).alias(field) for field in self._fields)
        broken = (pl.col(name).alias(returned.UNMENDED) for name in self._broken)
        return returned.with_unmended(
            cells.select(*values, *self._others, *own, *broken, *self._nameless_errors(cells))
        )

    def _nameless_errors(self, cells: pl.DataFrame) -> list[pl.Series]:
        """The row errors of values in columns that have no name."""
        if not self._nameless or self._options.unknown_columns == UnknownColumns.IGNORE:
            return []
        found = cells.select(self._nameless).with_columns(pl.all().replace("", None))
        if all(column.null_count() == cells.height for column in found):
            return []
        texts = [
            value and errors_to_json([RowError(None, Code.INVALID, f"Line {line:,}: {NAMELESS}", value)])
            for value, line in zip(found.select(pl.coalesce(pl.all())).to_series(), cells[LINE], strict=True)
        ]
        return [pl.Series(INTAKE_ERRORS, texts, dtype=pl.String)]


NAMELESS = "a cell has a value in a column that has no name in the header; name it, or set unknownColumns: IGNORE."


def malformed_rows(found: list[Malformed]) -> pl.DataFrame:
    """Rows that give nothing but their error, which holds their text."""
    texts = [
        errors_to_json([RowError(None, Code.MALFORMED, one.reason, one.text.decode(errors="replace"))]) for one in found
    ]
    places = pl.Series(PLACE, [one.place for one in found], dtype=pl.Int64)
    lines = pl.Series(LINE, [one.line for one in found], dtype=pl.Int64)
    return pl.DataFrame([places, lines, pl.Series(INTAKE_ERRORS, texts, dtype=pl.String)])


def check_record(record: bytes, line: int, delimiter: str) -> None:
    """Whether a record, which goes on, may be so long; raises UnreadableFile."""
    most = limits().record_bytes
    if len(record) <= most:
        return
    setting = setting_name("record_bytes")
    try:
        cells_at(record, 0, delimiter, is_last=True)
    except NotStrict as broken:
        if broken.reason == UNCLOSED:
            opened = line + record.count(b"\n", 0, broken.cell)
            raise UnreadableFile(
                f"The quote that opens a cell at line {opened:,} is not closed within {most:,} bytes ({setting}). "
                f"Close it; or, if it is part of the text, put the cell in quotes and double it."
            ) from None
    raise UnreadableFile(f"The record at line {line:,} is longer than {most:,} bytes ({setting}).")


def in_parts(block: bytes, columns: int) -> Iterator[bytes]:
    """A block as it is, or in parts of whole records where it has too many cells for one table."""
    if block.count(b"\n") * columns > BLOCK_CELLS and (end := last_record_end(block[: len(block) // 2])) > 0:
        yield from in_parts(block[:end], columns)
        yield from in_parts(block[end:], columns)
    else:
        yield block


def newlines_as(ending: bytes) -> pl.Expr:
    """Line breaks within cells as the file has them."""
    return pl.col(pl.String).str.replace_all("\n", ending.decode(), literal=True)
