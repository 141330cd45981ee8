"""A buffer of CSV -> its records as a strict reader takes them, each whole, or told why it is malformed.

Strict is RFC 4180 as Python's csv reads it with strict=True: a quote opens a cell where it stands first, is doubled
inside, and is followed by a delimiter or the line's end where it closes; anywhere else in a cell it is an inch mark.
polars is lenient: it takes quotes away that it does not understand. So a block goes to it only as records that are
known to be strict. Most blocks are so by one pattern; the others are walked record by record.

What is broken ends at the end of a line, and is never read as other records than were sent. Behind an undoubled quote
that may be within the cell still: of both possibilities the one that stays strict for longer is taken, and where that
does not tell, the lines count as broken too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

QUOTE = ord('"')
#: A cell in quotes. Possessive, or a cell with a million quotes would hold a gigabyte.
QUOTED = rb'"[^"]*+(?:""[^"]*+)*+"'
#: Bytes behind a broken record that are looked at to find its end.
AHEAD_BYTES = 1024 * 1024
BLANKS = (b" ", b"\t", b"\v", b"\f")
BLANK = re.compile(rb"(?:\A|\n)[ \t\v\f]+\r?(?:\n|\Z)")
QUOTES = re.compile(rb'"+')


@dataclass(frozen=True, slots=True)
class Malformed:
    """A record that is no row: its place among the records, its line, what it is and why."""

    place: int
    line: int
    text: bytes
    reason: str


@dataclass(slots=True)
class Walked:
    """Records of a buffer: strict ones as CSV, the line of each, and the malformed ones between them."""

    parts: list[bytes] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    malformed: list[Malformed] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.lines) + len(self.malformed)


class Incomplete(Exception):
    """The buffer ends before the record does."""


class NotStrict(Exception):
    """A record is no strict CSV: (place of the fault, reason, place of the cell)."""

    def __init__(self, place: int, reason: str, cell: int) -> None:
        super().__init__(place, reason)
        self.place, self.reason, self.cell = place, reason, cell


@dataclass(slots=True, kw_only=True)
class StrictReader:
    """Knows what a record of a file should be: its delimiter, how many cells it has, and how many it may not lack."""

    delimiter: str
    columns: int
    needed: int
    #: Whether the last record was broken: where it ended is not certain.
    is_in_doubt: bool = False

    def is_plain(self, block: bytes) -> bool:
        """Whether all records of a block are strict, and none of them is short; wide ones are found by polars."""
        # Where a line of blanks looks like a record, it is told from one by looking at it.
        if self.is_in_doubt or ((self.needed == 1 or self.delimiter.isspace()) and has_blank_line(block)):
            return False
        if b'"' in block:
            return plain_pattern(self.delimiter, self.columns).fullmatch(block) is not None
        if block.count(b"\r") != block.count(b"\r\n"):
            return False
        if self.needed == 1 < self.columns:
            return True
        return block.count(self.delimiter.encode()) == (self.columns - 1) * lines_in(block)

    def walked(self, buffer: bytes, line: int, is_last: bool, most: int) -> Iterator[tuple[Walked, int]]:
        """The records of a buffer, at most so many at a time, each time with the place where the next ones begin."""
        walk = Walked()
        start = 0
        while start < len(buffer):
            was_in_doubt = self.is_in_doubt
            try:
                end, kept, reason = self._record(buffer, start, line, is_last)
            except Incomplete:
                self.is_in_doubt = was_in_doubt
                break
            if reason is not None:
                text = buffer[start:end].rstrip(b"\r\n")
                walk.malformed.append(Malformed(walk.count, line, text, f"{lines_in_words(line, text)}: {reason}"))
            elif kept:
                walk.parts.append(kept)
                walk.lines.append(line)
            line += buffer.count(b"\n", start, end)
            start = end
            if walk.count >= most:
                yield walk, start
                walk = Walked()
        yield walk, start

    def _record(self, buffer: bytes, start: int, line: int, is_last: bool) -> tuple[int, bytes, str | None]:
        """The end of a record, the record as strict CSV (empty for a blank line), and why it is malformed."""
        newline = buffer.find(b"\n", start)
        if newline < 0 and not is_last:
            raise Incomplete
        end = newline + 1 if newline >= 0 else len(buffer)
        was_in_doubt, self.is_in_doubt = self.is_in_doubt, False
        if buffer.find(b'"', start, end) < 0:
            kept, reason = self._unquoted(buffer[start:end])
            self.is_in_doubt = was_in_doubt and not kept
            return end, kept, reason
        try:
            cells, end = cells_at(buffer, start, self.delimiter, is_last)
            # An inch mark there is more likely one within the broken cell.
            if was_in_doubt and any(cell[:1] != b'"' and b'"' in cell for cell in cells):
                raise NotStrict(end - 1, UNDOUBLED, start)
        except NotStrict as broken:
            end = end_of_broken(buffer, broken.place, self.delimiter, is_last)
            self.is_in_doubt = True
            opened = line + buffer.count(b"\n", start, broken.cell)
            return end, b"", broken.reason.format(line=f"{opened:,}")
        kept, reason = self._quoted(cells)
        self.is_in_doubt = was_in_doubt and not kept
        return end, kept, reason

    def _unquoted(self, record: bytes) -> tuple[bytes, str | None]:
        """A line without quotes."""
        text = record.rstrip(b"\r\n")
        mark = self.delimiter.encode()
        count = text.count(mark) + 1
        if not text.strip() and (not text or count <= self.columns):
            return b"", None
        if b"\r" in text:
            return b"", CARRIAGE_RETURN
        if self.needed <= count <= self.columns:
            return text + b"\n", None
        return b"", self._wrong_count(count)

    def _quoted(self, cells: list[bytes]) -> tuple[bytes, str | None]:
        """A record with quotes, by its cells."""
        if not self.needed <= len(cells) <= self.columns:
            return b"", self._wrong_count(len(cells))
        return self.delimiter.encode().join(map(requoted, cells)) + b"\n", None

    def _wrong_count(self, count: int) -> str:
        if count > self.columns:
            way_out = "quote cells that contain the delimiter"
        else:
            way_out = "quote cells that contain line breaks, or set shortRecords: FILL"
        return f"the record has {cells_in_words(count)}, and the header {self.columns:,}; {way_out}."


CARRIAGE_RETURN = "a carriage return stands in the middle of the line; quote cells that contain line breaks."
UNCLOSED = "the quote that opens a cell at line {line} is never closed."
UNDOUBLED = "text follows the quote that closes a cell; within a quoted cell, each quote is doubled."


def has_blank_line(block: bytes) -> bool:
    """Whether a block may have a line of nothing but blanks; those within quotes are found too."""
    is_likely = block[:1] in BLANKS or any(b"\n" + one in block for one in BLANKS)
    return is_likely and BLANK.search(block) is not None


def lines_in_words(line: int, text: bytes) -> str:
    last = line + text.count(b"\n")
    return f"Lines {line:,} to {last:,}" if last > line else f"Line {line:,}"


def cells_in_words(count: int) -> str:
    return f"{count:,} cell{'' if count == 1 else 's'}"


def lines_in(block: bytes) -> int:
    return block.count(b"\n") + (not block.endswith(b"\n"))


@lru_cache(maxsize=100)
def plain_pattern(delimiter: str, columns: int) -> re.Pattern[bytes]:
    """Strict records of so many cells, and blank lines."""
    mark = re.escape(delimiter.encode())
    cell = rb'(?:%b|[^"%b\r\n]*+)' % (QUOTED, mark)
    return re.compile(rb"(?:%b(?:%b%b){%d}\r?(?:\n|\Z)|\r?\n)*+" % (cell, mark, cell, columns - 1))


@lru_cache(maxsize=100)
def cell_pattern(delimiter: str) -> re.Pattern[bytes]:
    """A cell, and the delimiter or the end of the line behind it."""
    mark = re.escape(delimiter.encode())
    return re.compile(rb'(%b|[^"%b\r\n][^%b\r\n]*+|)(%b|\r*\n|\r*\Z)' % (QUOTED, mark, mark, mark))


def cells_at(buffer: bytes, start: int, delimiter: str, is_last: bool) -> tuple[list[bytes], int]:
    """The cells of the record at a place, as they are written, and its end. Raises Incomplete, NotStrict."""
    match = cell_pattern(delimiter).match
    cells: list[bytes] = []
    while found := match(buffer, start):
        cell, ending = found.groups()
        if not ending.endswith(b"\n") and found.end() == len(buffer) and not is_last:
            raise Incomplete
        cells.append(cell)
        start = found.end()
        if ending != delimiter.encode():
            return cells, start
    raise fault_at(buffer, start, is_last)


def fault_at(buffer: bytes, start: int, is_last: bool) -> Exception:
    """Why there is no cell at this place."""
    if buffer[start] != QUOTE:
        # A carriage return ends the buffer, or is followed by something.
        place = buffer.find(b"\r", start)
        is_open = place + 1 >= len(buffer) and not is_last
        return Incomplete() if is_open else NotStrict(place, CARRIAGE_RETURN, start)
    quoted = re.compile(QUOTED).match(buffer, start)
    if quoted is None and not is_last:
        return Incomplete()
    if quoted is None:
        return NotStrict(len(buffer), UNCLOSED, start)
    if not is_last and not buffer[quoted.end() :].strip(b"\r"):
        return Incomplete()
    return NotStrict(quoted.end(), UNDOUBLED, start)


def end_of_broken(buffer: bytes, place: int, delimiter: str, is_last: bool) -> int:
    """The end of a record that is broken at a place: that of its line, or of those that may be within its cell too."""
    while (newline := buffer.find(b"\n", place)) >= 0:
        start = newline + 1
        seen = min(len(buffer), start + AHEAD_BYTES)
        if not is_last and seen < start + AHEAD_BYTES:
            raise Incomplete
        within, closed = violation(buffer, start, seen, delimiter, is_quoted=True)
        outside, _ = violation(buffer, start, seen, delimiter, is_quoted=False, until=within)
        if within is not None and (outside is None or outside > within):
            return start
        # The same quote breaks both: nobody knows which of them the lines before it are.
        if within is not None and (not closed or outside == within):
            place = within
        elif buffer[closed : closed + 1] != delimiter.encode():
            return end_of_line(buffer, closed)
        else:
            try:
                return cells_at(buffer, closed + 1, delimiter, is_last)[1]
            except NotStrict as broken:
                place = broken.place
    if not is_last:
        raise Incomplete
    return len(buffer)


def end_of_line(buffer: bytes, place: int) -> int:
    newline = buffer.find(b"\n", place)
    return newline + 1 if newline >= 0 else len(buffer)


def violation(
    buffer: bytes, start: int, end: int, delimiter: str, *, is_quoted: bool, until: int | None = None
) -> tuple[int | None, int]:
    """The first place that is no strict CSV if a line begins within quotes, or outside; and where they first close.

    An inch mark counts as one here, and an end within quotes. 0 where they do not close. Behind `until` nobody cares.
    """
    before = delimiter.encode() + b"\n"
    behind = delimiter.encode() + b"\r\n"
    closed = 0
    for run in QUOTES.finditer(buffer, start, end):
        first, last = run.span()
        if until is not None and first > until:
            return None, closed
        if not is_quoted and buffer[first - 1] not in before:
            return first, closed
        # The first opens the cell, unless it is open; of the others each second one is a text's.
        was_quoted, is_quoted = is_quoted, (is_quoted + last - first) % 2 == 1
        if not is_quoted:
            if last < len(buffer) and buffer[last] not in behind:
                return last if not was_quoted else last - 1, closed
            closed = closed or last
    return (end if is_quoted else None), closed


def requoted(cell: bytes) -> bytes:
    """A cell as every reader takes it: an inch mark stands in quotes, and is doubled."""
    if cell[:1] == b'"' or b'"' not in cell:
        return cell
    return b'"' + cell.replace(b'"', b'""') + b'"'


def unquoted(cell: bytes) -> str:
    """The text of a cell."""
    return (cell[1:-1].replace(b'""', b'"') if cell[:1] == b'"' else cell).decode()


#: A quoted part, or a line break that is in none.
TOKEN = re.compile(rb'"[^"]*+"?|\n')


def last_record_end(block: bytes) -> int:
    """The place after the last line break that has an even number of quotes before it; 0 if there is none.

    Where a record is not strict that may be anywhere: who asks makes sure of what comes before it.
    """
    is_odd = block.count(b'"') % 2
    if not is_odd and (newline := block.rfind(b"\n", block.rfind(b'"') + 1)) >= 0:
        return newline + 1
    # Read backwards, it begins within quotes or outside of them.
    backwards = block[::-1]
    start = backwards.find(b'"') + 1 if is_odd else 0
    end = next((found.start() for found in TOKEN.finditer(backwards, start) if found[0] == b"\n"), -1)
    return len(block) - end if end >= 0 else 0
