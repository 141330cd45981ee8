"""Frames that are too many for memory -> buckets on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bulkql.workers.scratch import Scratch

#: Rows that are held before they go to disk.
HELD_ROWS = 250_000
#: Rows of a part that are looked at together.
BATCH_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class SpilledRows:
    """Rows of one bucket, or of all; they can be gone through again and again.

    Whatever the rows are, many of them may be of one bucket: who reads them as a whole may take any amount of memory.
    """

    files: Sequence[Path]
    held: Sequence[pl.DataFrame]

    def batches(self) -> Iterator[pl.DataFrame]:
        """The rows in the order in which they were added, about BATCH_ROWS at a time."""
        some: list[pl.DataFrame] = []
        rows = 0
        for frame in self._frames():
            some.append(frame)
            rows += frame.height
            if rows >= BATCH_ROWS:
                yield pl.concat(some)
                some, rows = [], 0
        if some:
            yield pl.concat(some)

    def _frames(self) -> Iterator[pl.DataFrame]:
        yield from map(pl.read_ipc, self.files)
        yield from self.held


def last_rows(batches: Iterable[pl.DataFrame], of_key: Sequence[str]) -> pl.DataFrame:
    """Each key once: its columns, and `last`, the highest `row` that has it."""
    found: pl.DataFrame | None = None
    for batch in batches:
        some = batch.select(*of_key, last="row")
        found = (some if found is None else pl.concat([found, some])).group_by(of_key).agg(pl.col("last").max())
    assert found is not None
    return found


class Spill:
    """Frames of one schema, divided by the integer column `bucket`; small ones never touch the disk."""

    def __init__(self) -> None:
        self._held: list[pl.DataFrame] = []
        self._held_rows = 0
        self._directory: Scratch | None = None
        self._runs = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Take a frame; past HELD_ROWS, all held ones go to disk."""
        if frame.is_empty():
            return
        self._held.append(frame)
        self._held_rows += frame.height
        if self._held_rows >= HELD_ROWS:
            self._flush()

    def buckets(self) -> list[int]:
        """The buckets that hold anything."""
        held = {bucket for frame in self._held for bucket in frame["bucket"].unique()}
        return sorted(held | {int(path.stem.partition("-")[0]) for path in self._files("*")})

    def parts(self) -> Iterator[SpilledRows]:
        """All rows, bucket by bucket; in one part where they never went to disk."""
        if self._directory is None:
            yield from [SpilledRows([], self._held)] if self._held else []
        else:
            yield from map(self.part, self.buckets())

    def part(self, bucket: int) -> SpilledRows:
        """The rows of a bucket."""
        held = [frame.filter(pl.col("bucket") == bucket) for frame in self._held]
        return SpilledRows(self._files(f"{bucket}-*"), held)

    def read(self, bucket: int) -> pl.DataFrame:
        """All rows of a bucket that has no more than memory can hold, in the order in which they were added."""
        found = list(self.part(bucket).batches())
        return pl.concat(found) if found else pl.DataFrame()

    def close(self) -> None:
        """Forget everything."""
        self._held.clear()
        if self._directory is not None:
            self._directory.cleanup()

    def _flush(self) -> None:
        if self._directory is None:
            self._directory = Scratch()
        for (bucket,), frame in pl.concat(self._held).partition_by("bucket", as_dict=True).items():
            frame.write_ipc(self._directory.path(f"{bucket}-{self._runs:09}.arrow"), compression="lz4")
        self._held.clear()
        self._held_rows = 0
        self._runs += 1

    def _files(self, pattern: str) -> list[Path]:
        return sorted(Path(self._directory.name).glob(f"{pattern}.arrow")) if self._directory is not None else []
