"""CSV bytes -> raw frames: a header, and behind it blocks of whole records (readers/text/blocks.py)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

import polars as pl

from bulkql.workers.columns.cells import MARK
from bulkql.workers.errors import BadInput, NoKnownColumn, UnreadableFile
from bulkql.workers.readers.bounds import quoted_names
from bulkql.workers.readers.formulas import GUARD
from bulkql.workers.readers.options import FileOptions, fields_of
from bulkql.workers.readers.returned import unguarded_header
from bulkql.workers.readers.text.blocks import Blocks, check_record
from bulkql.workers.readers.text.decoding import decoded, pieces_of
from bulkql.workers.readers.text.pieces import Pieces
from bulkql.workers.readers.text.strict import Incomplete, NotStrict, cells_at, unquoted
from bulkql.workers.resources.plan import Plan

BLOCK_BYTES = 2 * 1024 * 1024
#: The first block is small: those who look at the beginning only need not wait for more.
FIRST_BYTES = 64 * 1024
#: Excel's way to say the delimiter, in a line before the header.
SEP_LINE = re.compile(rb'"?sep=([^\r\n])"?\r?(?:\n|\Z)', re.IGNORECASE)
#: Delimiters that are tried for a header that says nothing.
DELIMITERS = (",", ";", "\t", "|")
#: Cells of a record that a message shows.
SHOWN_CELLS = 10


def read(file: IO[bytes], plan: Plan, options: FileOptions) -> Iterator[pl.DataFrame]:
    """Raw frames of the file's records; blank lines are none. Raises UnreadableFile with the line and the reason."""
    yield from CsvBeginning(file, options).frames(plan)


class CsvBeginning:
    """A file whose header is read, and whose records are not yet; raises UnreadableFile, BadInput."""

    def __init__(self, file: IO[bytes], options: FileOptions) -> None:
        self._options = options
        self._pieces = Pieces(decoded(pieces_of(file, FIRST_BYTES, BLOCK_BYTES), options.encoding))
        self._buffer = self._pieces.take()
        self._line = 1
        self.delimiter = options.delimiter
        self._take_sep_line()
        self._cells = self._header_cells()
        self._header = header_of(self._cells, self._line)
        # A line break within a name counts too.
        self._record, self._buffer = self._buffer[: self._end], self._buffer[self._end :]
        self._header_line, self._line = self._line, self._line + self._record.count(b"\n")

    def names(self) -> list[str]:
        """The names in the header, those that are guarded without their guard too."""
        return [*self._header, *(name.lstrip(GUARD) for name in self._header if name.startswith(GUARD))]

    def header(self, plan: Plan) -> list[str]:
        """What the file calls its columns."""
        return self._unguarded(plan)[0]

    def _unguarded(self, plan: Plan) -> tuple[list[str], bool]:
        return unguarded_header(self._header, {*plan.names, *map(str.strip, self._options.columns)})

    def check(self, plan: Plan, *, may_be_empty: bool = False) -> None:
        """Are these the resource's columns, and is there a row, unless there need be none? Raises BadInput."""
        if next(self.frames(plan), None) is None and not may_be_empty:
            raise BadInput("The file has no rows.")

    def frames(self, plan: Plan) -> Iterator[pl.DataFrame]:
        """Raw frames of the records; they can be had once."""
        header, is_guarded = self._unguarded(plan)
        try:
            fields = fields_of(plan, header, self._options)
        except NoKnownColumn as error:
            raise NoKnownColumn(f"{error} {self._readings()}".rstrip()) from None
        columns = list(zip(header, fields, strict=True))
        blocks = Blocks(columns, is_guarded, self._options, self.delimiter, self._line)
        yield from blocks.frames(self._buffer, self._pieces)

    def _take_sep_line(self) -> None:
        """Excel's line before the header, which says the delimiter."""
        found = SEP_LINE.match(self._buffer)
        if found is None:
            return
        said = found[1].decode(errors="replace")
        if "delimiter" not in self._options.left_out and said != self.delimiter:
            raise BadInput(
                f"The file's first line says that its delimiter is {said!r} (sep=), and the option says that it is "
                f"{self.delimiter!r}; leave `delimiter` out."
            )
        check_delimiter(said)
        self.delimiter, self._buffer, self._line = said, self._buffer[found.end() :], 2

    def _header_cells(self) -> list[bytes]:
        """The cells of the header, as they are written; remembers where they end."""
        while True:
            if not self._buffer and self._pieces.is_last:
                raise UnreadableFile("The file is empty; a CSV file begins with a header.")
            try:
                cells, self._end = cells_at(self._buffer, 0, self.delimiter, self._pieces.is_last)
            except NotStrict as broken:
                reason = broken.reason.format(line=f"{self._line:,}")
                raise UnreadableFile(f"Line {self._line} is not CSV: {reason}") from None
            except Incomplete:
                check_record(self._buffer, self._line, self.delimiter)
                self._buffer += self._pieces.take()
            else:
                return cells

    def _readings(self) -> str:
        """What the header and the first record would be with other delimiters than the one that was taken."""
        found = {}
        for one in DELIMITERS:
            try:
                cells, _ = cells_at(self._record, 0, one, is_last=True)
                first, _ = cells_at(self._buffer, 0, one, is_last=True)
            except (NotStrict, Incomplete, IndexError):
                continue
            if one == self.delimiter or len(cells) > 1:
                found[one] = (cells, first)
        likely = sorted(found, key=lambda one: (one != self.delimiter, -len(found[one][0])))[:2]
        if len(likely) < 2:
            return ""
        (taken, other), (here, there) = likely, (found[one] for one in likely)
        return (
            f"With {taken!r} the header is {shown_cells(here[0])}, and the first row {shown_cells(here[1])}; with "
            f"{other!r} they would be {shown_cells(there[0])}, and {shown_cells(there[1])}. Give `delimiter`."
        )


def shown_cells(cells: list[bytes]) -> str:
    return quoted_names(map(unquoted, cells[:SHOWN_CELLS]))


def check_delimiter(delimiter: str) -> None:
    """Whether cells can be told apart by it; raises BadInput."""
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
        raise BadInput(f"A delimiter is one ASCII character other than a quote or line break, not {delimiter!r}.")


def header_of(cells: list[bytes], line: int) -> list[str]:
    """The names in the header."""
    if MARK.encode() in b"".join(cells):
        raise UnreadableFile(f"This is not a CSV file: line {line} has null characters.")
    names = [unquoted(cell).strip() for cell in cells]
    if not any(names):
        raise UnreadableFile(f"Line {line} is empty; a CSV file begins with a header.")
    return names
