"""A file of JSON -> blocks of whole lines, each value on a line of its own, with the lines of the file."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import IO

import polars as pl

from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import UnreadableFile
from bulkql.workers.frames import LINE
from bulkql.workers.readers.text.decoding import decoded
from bulkql.workers.readers.text.values import Values, is_array, spans_lines

#: Blocks grow up to this size.
BLOCK_BYTES = 2 * 1024 * 1024
#: The first ones are small: those who look at the beginning only need not wait for more.
FIRST_BYTES = 64 * 1024
#: Lines that are decoded at a time: objects without a field take a hundred times the bytes of their text.
BLOCK_LINES = 20_000


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of JSON, and the line of the file on which each begins."""

    data: bytes
    lines: Sequence[int]

    def has(self, count: int) -> bool:
        """Whether each of so many objects is on a line of its own, and has it to itself.

        The decoder takes two on a line, and one that goes on in the next. But where a line ends with } and the next
        begins with {, no object goes on: there would be a comma between them.
        """
        # Counting takes as long as decoding: the lines have been counted, and files end them in one way.
        if len(self.lines) == count and count - 1 in (self.data.count(end) for end in (b"}\n{", b"}\r\n{")):
            return True
        texts = [text.strip() for text in self.data.split(b"\n") if text.strip()]
        return len(texts) == count and all(text[:1] == b"{" and text[-1:] == b"}" for text in texts)

    def numbers(self) -> Sequence[int]:
        """The line of each value; blank lines have none."""
        texts = self.data.split(b"\n")
        return [number for number, text in zip(self.lines, texts, strict=False) if text.strip()]

    def numbered(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A frame of the values with their lines."""
        numbers = self.lines if frame.height == len(self.lines) else self.numbers()
        if isinstance(numbers, range):
            series = pl.int_range(numbers.start, numbers.stop, dtype=pl.Int64, eager=True)
        else:
            series = pl.Series(numbers, dtype=pl.Int64)
        return frame.with_columns(series.alias(LINE))


def blocks(file: IO[bytes], encoding: str) -> Iterator[Block]:
    """The file's lines in blocks; an array, and objects that span lines, as if each were on a line of its own."""
    pieces = utf8_pieces(file, encoding)
    beginning = first_lines(pieces)
    pieces = chain([beginning], pieces)
    if is_array(beginning) or spans_lines(beginning):
        for data, numbers in Values(pieces).blocks():
            yield Block(data, numbers)
        return
    line = 1
    for data, count in lines(pieces):
        yield Block(data, range(line, line + count))
        line += count


def first_lines(pieces: Iterator[bytes]) -> bytes:
    """So many pieces that the first two lines are among them, unless these are longer than a record may be."""
    found = b""
    for piece in pieces:
        found += piece
        if is_array(found) or found.lstrip().count(b"\n") > 1 or len(found) > limits().record_bytes:
            break
    return found


def utf8_pieces(file: IO[bytes], encoding: str) -> Iterator[bytes]:
    """The file as pieces of UTF-8, growing; a line that is no UTF-8 is left to those who read it."""
    pieces = growing(file)
    if codecs.lookup(encoding).name not in ("utf-8", "utf-8-sig"):
        yield from decoded(pieces, encoding)
        return
    yield next(pieces, b"").removeprefix(codecs.BOM_UTF8)
    yield from pieces


def growing(file: IO[bytes]) -> Iterator[bytes]:
    size = FIRST_BYTES
    while piece := file.read(size):
        yield piece
        size = min(2 * size, BLOCK_BYTES)


def lines(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, int]]:
    """Blocks of whole lines, and how many: none of them of more than BLOCK_LINES or so."""
    rest, line = b"", 1
    for piece in pieces:
        block = rest + piece
        end = block.rfind(b"\n") + 1
        for part, count in halves(block[:end]) if end else ():
            yield part, count
            line += count
        rest = block[end:]
        check_line(len(rest), line)
    if rest.strip():
        yield rest, 1


def check_line(size: int, line: int) -> None:
    """Whether a line may be so long; raises UnreadableFile."""
    most = limits().record_bytes
    if size > most:
        raise UnreadableFile(
            f"Line {line} is longer than {most:,} bytes ({setting_name('record_bytes')}): one JSON object per line is "
            f"expected."
        )


def halves(block: bytes) -> Iterator[tuple[bytes, int]]:
    """A block of whole lines and how many they are, or parts of it where it has too many."""
    count = block.count(b"\n")
    if count > BLOCK_LINES:
        middle = block.find(b"\n", len(block) // 2) + 1
        if middle == len(block):
            middle = block.rfind(b"\n", 0, len(block) // 2) + 1
        yield from halves(block[:middle])
        yield from halves(block[middle:])
    else:
        yield block, count
