"""Lines of JSON -> raw frames."""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import IO, Any

import msgspec
import polars as pl

from bulkql.workers.columns.cells import ExactFloat
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import Code, RowError, UnreadableFile
from bulkql.workers.frames import LINE
from bulkql.workers.readers import returned
from bulkql.workers.readers.bounds import is_too_deep, quoted_names, too_deep
from bulkql.workers.readers.objects import flattened, raw_frame
from bulkql.workers.readers.options import FileOptions, UnknownColumns, check_mapped, fields_of
from bulkql.workers.readers.records import Records
from bulkql.workers.readers.text.decoding import decoded
from bulkql.workers.readers.text.values import Values, is_array, spans_lines
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
EMPTY = "The file is empty; an NDJSON file has one JSON object per line."

decoder = msgspec.json.Decoder(float_hook=ExactFloat)
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read(file: IO[bytes], plan: Plan, options: FileOptions) -> Iterator[pl.DataFrame]:
    """Raw frames of the file's lines; blank lines are none. A line that is no JSON object is a row error."""
    is_first = is_empty = True
    records = Records(plan, options)
    for block in blocks(file, options):
        frame = None if is_too_deep(block.data) else records.frame(block.data)
        if frame is not None and block.has(frame.height) and has_names(block.data, cells_in(frame)):
            is_empty = False
            yield block.numbered(frame)
            continue
        rows, errors = decode(block)
        records.learn(rows)
        if is_first and (first := first_object(rows)) is not None:
            check_names(plan, first, options)
            is_first = False
        if rows:
            is_empty = False
            nullified(rows, options)
            yield block.numbered(
                raw_frame(
                    plan,
                    rows,
                    names=options.columns,
                    ignore_unknown=options.unknown_columns == UnknownColumns.IGNORE,
                    errors=errors,
                )
            )
    if is_empty:
        raise UnreadableFile(EMPTY)


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


def blocks(file: IO[bytes], options: FileOptions) -> Iterator[Block]:
    """The file's lines in blocks; an array, and objects that span lines, as if each were on a line of its own."""
    pieces = utf8_pieces(file, options)
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


def utf8_pieces(file: IO[bytes], options: FileOptions) -> Iterator[bytes]:
    """The file as pieces of UTF-8, growing; a line that is no UTF-8 is left to those who read it."""
    pieces = growing(file)
    if codecs.lookup(options.encoding).name not in ("utf-8", "utf-8-sig"):
        yield from decoded(pieces, options.encoding)
        return
    yield next(pieces, b"").removeprefix(codecs.BOM_UTF8)
    yield from pieces


def growing(file: IO[bytes]) -> Iterator[bytes]:
    size = FIRST_BYTES
    while piece := file.read(size):
        yield piece
        size = min(2 * size, BLOCK_BYTES)


class NdjsonBeginning:
    """A file's first rows: ROWS_ASKED of them, and what comes in one block with those."""

    def __init__(self, file: IO[bytes], options: FileOptions) -> None:
        self._options = options
        self._first: dict[str, Any] | None = None
        self._refusal = EMPTY
        self._names: dict[str, None] = {}
        asked = 0
        for block in blocks(file, options):
            rows, errors = decode(block)
            if self._first is None:
                self._first = first_object(rows)
            if rows and self._refusal is EMPTY:
                first = errors.get(0, [RowError(None, Code.MALFORMED, "")])[0].message
                self._refusal = f"This is not an NDJSON file. {first}"
            some = list(islice((row for row in rows if isinstance(row, dict)), ROWS_ASKED - asked))
            self._names.update(dict.fromkeys(name for row in some for name in row))
            asked += len(some)
            # A file that begins with blank lines is not empty.
            if self._refusal is not EMPTY and (asked >= ROWS_ASKED or file.tell() >= BYTES_ASKED):
                break

    def names(self) -> list[str]:
        """The names in the first rows: a row may leave a field out."""
        return list(self._names)

    def header(self, plan: Plan) -> list[str]:
        """The names in the first row, where {"accountBy": {"name": "Cash"}} is accountBy.name."""
        return list(flattened(plan, 0, self._first, {})) if self._first is not None else []

    def check(self, plan: Plan, *, may_be_empty: bool = False) -> None:
        """Is this such a file, and has it the resource's fields? Raises BadInput."""
        if self._first is None:
            raise UnreadableFile(self._refusal)
        check_mapped(self._names, self._options, f"its first {ROWS_ASKED:,} rows")
        check_names(plan, self._first, self._options)


def first_object(rows: list[Any]) -> dict[str, Any] | None:
    """The first row that is one; lines before it may be broken."""
    return next((row for row in rows if isinstance(row, dict)), None)


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


def decode(block: Block) -> tuple[list[Any], dict[int, list[RowError]]]:
    """The lines' values without bulkql's own; where one is no JSON object, an error in its place."""
    rows, errors = decode_all(block)
    if not has_names(block.data, sum(map(names_in, rows))):
        refuse_twice(block, rows, errors)
    if b"bulkql_" in block.data:
        returned.without_own(rows, errors)
    if not all(isinstance(row, dict) for row in rows):
        texts = [text for text in block.data.split(b"\n") if text.strip()]
        for place, number in enumerate(block.numbers()):
            if not isinstance(rows[place], dict) and place not in errors:
                reason = f"Line {number:,} is not a JSON object."
                errors[place] = [RowError(None, Code.MALFORMED, reason, texts[place].decode(errors="replace"))]
    return rows, errors


def cells_in(frame: pl.DataFrame) -> int:
    """How many cells rows give."""
    return frame.height * frame.width - int(sum(frame.null_count().row(0)))


def has_names(data: bytes, count: int) -> bool:
    """Whether so many names are all that a text of objects has: of two that are one, decoders keep the last.

    Where texts or writers have a way of their own it says no, and the names are looked at one by one.
    """
    return data.count(b'":') == count


def names_in(value: Any) -> int:
    """How many names the objects of a value have."""
    if isinstance(value, dict):
        return len(value) + sum(names_in(one) for one in value.values() if isinstance(one, dict | list))
    return sum(map(names_in, value)) if isinstance(value, list) else 0


def refuse_twice(block: Block, rows: list[Any], errors: dict[int, list[RowError]]) -> None:
    """Take out the rows that have a name twice: nobody knows which of its values is meant."""
    texts = (text for text in block.data.split(b"\n") if text.strip())
    for place, (number, text) in enumerate(zip(block.numbers(), texts, strict=True)):
        if isinstance(rows[place], dict) and (twice := names_twice(text)):
            reason = f"Line {number:,} has {quoted_names(twice)} twice; leave one of them out."
            errors[place] = [RowError(None, Code.MALFORMED, reason, text.rstrip(b"\r").decode(errors="replace"))]
            rows[place] = None


def names_twice(text: bytes) -> list[str]:
    """The names that an object has more than once."""
    # Its numbers are not looked at, and Python reads none of thousands of digits.
    pairs = json.loads(text.decode(), object_pairs_hook=list, parse_int=str, parse_float=str)
    return [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]


def decode_all(block: Block) -> tuple[list[Any], dict[int, list[RowError]]]:
    """The lines' values; where one is not JSON, an error in its place."""
    is_deep = is_too_deep(block.data)
    try:
        if not is_deep and block.has(len(found := decoder.decode_lines(block.data))):
            return found, {}
    except UNREADABLE:
        pass
    rows: list[Any] = []
    errors: dict[int, list[RowError]] = {}
    for number, text in zip(block.lines, block.data.split(b"\n"), strict=False):
        if not text.strip():
            continue
        try:
            if is_deep and is_too_deep(text):
                raise msgspec.DecodeError(too_deep())
            rows.append(decoder.decode(text))
        except UNREADABLE as error:
            reason = f"Line {number:,} is not JSON: {why_not_json(text, error)}."
            errors[len(rows)] = [RowError(None, Code.MALFORMED, reason, text.rstrip(b"\r").decode(errors="replace"))]
            rows.append(None)
    return rows, errors


def why_not_json(text: bytes, error: Exception) -> str:
    """Why a line is not JSON, and what that may come from."""
    try:
        text.decode()
    except UnicodeDecodeError as undecoded:
        byte = text[undecoded.start]
        return f"it is not UTF-8 (byte {byte:#04x}); give the file's `encoding`"
    if text.rstrip().endswith(b","):
        return "it ends with a comma; in NDJSON there are no commas between objects"
    if HALF_PAIR.search(text):
        return "it has half a surrogate pair, which is no character; write both of its halves, or U+FFFD"
    constant = CONSTANT.search(text)
    return f"{error}; {constant[0].decode()} is not a valid number there" if constant else str(error)


#: An escaped half of a character that another half has to follow, or to precede.
HALF_PAIR = re.compile(
    rb"(?<!\\)(?:\\\\)*+(?:\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)
#: What some writers write for numbers that JSON has not.
CONSTANT = re.compile(rb"-?\b(?:NaN|Infinity)\b")


def check_names(plan: Plan, row: dict[str, Any], options: FileOptions) -> None:
    """The first object tells whether the file has the resource's fields; raises BadInput."""
    if row:
        fields_of(plan, list(flattened(plan, 0, row, {})), replace(options, columns=mapped_in(row, options)))


def mapped_in(row: dict[str, Any], options: FileOptions) -> dict[str, str]:
    """The mappings of names that a row has: others may leave these out."""
    return {name: field for name, field in options.columns.items() if name in row}


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
