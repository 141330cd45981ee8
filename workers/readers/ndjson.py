"""Lines of JSON -> raw frames."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import IO, Any

import msgspec
import polars as pl

from bulkql.workers.columns.cells import ExactFloat
from bulkql.workers.errors import Code, RowError, UnreadableFile
from bulkql.workers.readers import returned
from bulkql.workers.readers.bounds import is_too_deep, quoted_names, too_deep
from bulkql.workers.readers.objects import flattened, raw_frame
from bulkql.workers.readers.options import FileOptions, UnknownColumns, check_mapped, fields_of
from bulkql.workers.readers.records import Records
from bulkql.workers.readers.text.json_lines import Block, blocks
from bulkql.workers.resources.plan import Plan

#: Rows that are asked for their fields' names, and bytes: a row may have megabytes.
ROWS_ASKED = 1_000
BYTES_ASKED = 4 * 1024 * 1024
EMPTY = "The file is empty; an NDJSON file has one JSON object per line."

decoder = msgspec.json.Decoder(float_hook=ExactFloat)
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read(file: IO[bytes], plan: Plan, options: FileOptions) -> Iterator[pl.DataFrame]:
    """Raw frames of the file's lines; blank lines are none. A line that is no JSON object is a row error."""
    is_first = is_empty = True
    records = Records(plan, options)
    for block in blocks(file, options.encoding):
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


class NdjsonBeginning:
    """A file's first rows: ROWS_ASKED of them, and what comes in one block with those."""

    def __init__(self, file: IO[bytes], options: FileOptions) -> None:
        self._options = options
        self._first: dict[str, Any] | None = None
        self._refusal = EMPTY
        self._names: dict[str, None] = {}
        asked = 0
        for block in blocks(file, options.encoding):
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
