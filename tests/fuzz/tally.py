"""Counts that outlive the process that counts: a file of numbers in memory, which another process looks at."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

from tests.fuzz.cases import KINDS

#: What becomes of cases. `died`: the library that decodes ended its process, as it may; `real`: with one of their own.
OUTCOMES = ("read", "refused", "died", "real", "faults", "rows")
FIELDS = ("number", "kind_place", "has_begun", "is_decoding", "slowest_us", "peak_bytes", "child_peak_bytes")
SIZE = 8 * (len(FIELDS) + len(KINDS) * len(OUTCOMES))


def field(name: str) -> Any:
    place = FIELDS.index(name)
    return property(lambda tally: tally._cells[place], lambda tally, value: tally._cells.__setitem__(place, value))


class Tally:
    """The numbers of one process, after another where it had to be started again."""

    #: The case that is read now, and whether it is being decoded.
    number = field("number")
    kind_place = field("kind_place")
    has_begun = field("has_begun")
    is_decoding = field("is_decoding")
    slowest_us = field("slowest_us")
    peak_bytes = field("peak_bytes")
    child_peak_bytes = field("child_peak_bytes")

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(SIZE))
        self._file = path.open("r+b")
        self._map = mmap.mmap(self._file.fileno(), SIZE)
        self._cells = memoryview(self._map).cast("Q")

    def __enter__(self) -> Tally:
        return self

    def __exit__(self, *_: object) -> None:
        self._cells.release()
        self._map.close()
        self._file.close()

    @property
    def kind(self) -> str:
        """Of the case that is read now."""
        return list(KINDS)[self.kind_place]

    def begin(self, number: int, kind: str) -> None:
        self.has_begun = 1
        self.number, self.kind_place = number, list(KINDS).index(kind)

    def count(self, kind: str, outcome: str, times: int = 1) -> None:
        self._cells[self._place(kind, outcome)] += times

    def of(self, kind: str, outcome: str) -> int:
        return self._cells[self._place(kind, outcome)]

    def _place(self, kind: str, outcome: str) -> int:
        return len(FIELDS) + list(KINDS).index(kind) * len(OUTCOMES) + OUTCOMES.index(outcome)
