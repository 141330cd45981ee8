"""A JSON array, or JSON values that span lines -> one value a line, as NDJSON has them, with the line of each.

They are told apart by their brackets alone, so a value that is broken inside is still one, and an error of its row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import UnreadableFile

#: What stands before the next bracket, texts included, and that bracket.
STEP = re.compile(rb'[^"{}\[\]]*+(?:"(?:[^"\\]++|\\.)*+"[^"{}\[\]]*+)*+([{}\[\]])', re.DOTALL)
OPENING = b"{["
#: Values that are given at a time.
MANY = 20_000


def is_array(beginning: bytes) -> bool:
    """Whether a text begins as a JSON array does."""
    return beginning.lstrip().startswith(b"[")


def spans_lines(beginning: bytes) -> bool:
    """Whether a text begins with an object that goes on in the next line."""
    first, _, rest = beginning.lstrip().partition(b"\n")
    if not first.startswith(b"{") or depth_of(first) <= 0 or not rest.strip():
        return False
    # A first line that is cut off is followed by objects that are whole.
    second = rest.lstrip().partition(b"\n")[0]
    return not (second.startswith(b"{") and depth_of(second) == 0)


def depth_of(text: bytes) -> int:
    """How many brackets a text opens and does not close."""
    depth = at = 0
    # Not by finditer: from a text that is never closed it would begin anew at each byte.
    while step := STEP.match(text, at):
        depth += 1 if step[1] in OPENING else -1
        at = step.end()
    return depth


class Values:
    """Takes pieces of a text, and gives its values."""

    def __init__(self, pieces: Iterator[bytes], line: int = 1) -> None:
        self._pieces = pieces
        self._rest = b""
        self._line = line
        self._in_array = False
        self._is_first = True
        self._is_over = False

    def blocks(self) -> Iterator[tuple[bytes, list[int]]]:
        """Values, one a line, and the line of the file on which each begins; raises UnreadableFile."""
        for piece in self._pieces:
            self._rest += piece
            yield from self._found()
            if len(self._rest) > limits().record_bytes:
                raise UnreadableFile(
                    f"The JSON value at line {self._line} is longer than {limits().record_bytes:,} bytes "
                    f"({setting_name('record_bytes')})."
                )
        if not self._is_over and (self._in_array or self._rest.strip()):
            what = "array" if self._in_array and not self._rest.strip(b", \t\r\n") else f"value at line {self._line}"
            raise UnreadableFile(f"The JSON {what} is never closed; the file may be cut off.")
        if self._rest.strip():
            self._line += self._rest[: len(self._rest) - len(self._rest.lstrip())].count(b"\n")
            raise UnreadableFile(f"Line {self._line} comes after the end of the JSON array; a file has only one array.")

    def _found(self) -> Iterator[tuple[bytes, list[int]]]:
        """The whole values of what is there."""
        buffer, values, lines = self._rest, list[bytes](), list[int]()
        place = at = depth = begin = 0
        while not self._is_over and (step := STEP.match(buffer, at)):
            at = step.end()
            is_opening = step[1] in OPENING
            if depth == 0:
                self._take_gap(buffer, place, at - 1, values, lines)
                place = begin = at - 1
                if not is_opening:
                    self._is_over = self._close()
                    place = at
                    continue
                if step[1] == b"[" and self._is_first:
                    self._in_array, self._is_first, place = True, False, at
                    continue
                self._is_first = False
            depth += 1 if is_opening else -1
            if depth == 0:
                self._take(buffer[begin:at], values, lines)
                place = at
                if len(values) >= MANY:
                    yield joined(values), lines
                    values, lines = [], []
        self._rest = buffer[place:]
        if values:
            yield joined(values), lines

    def _take(self, value: bytes, values: list[bytes], lines: list[int]) -> None:
        """A value, whose line breaks stand between its parts: a text has none."""
        before = value[: len(value) - len(value.lstrip())].count(b"\n")
        # As tabs, which JSON takes between parts, and refuses within a text as it does a line break.
        values.append(value.replace(b"\r", b"\t").replace(b"\n", b"\t"))
        lines.append(self._line + before)
        self._line += value.count(b"\n")

    def _take_gap(self, buffer: bytes, start: int, end: int, values: list[bytes], lines: list[int]) -> None:
        """What stands between objects: white space and commas, or values that are none."""
        gap = buffer[start:end]
        for part in gap.split(b",") if gap.strip() else [gap]:
            if part.strip():
                self._take(part, values, lines)
            else:
                self._line += part.count(b"\n")

    def _close(self) -> bool:
        """The end of the array; raises UnreadableFile where there is none."""
        if not self._in_array:
            raise UnreadableFile(f"Line {self._line} has a bracket that closes nothing.")
        return True


def joined(values: list[bytes]) -> bytes:
    return b"\n".join(values) + b"\n"
