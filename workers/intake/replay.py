"""Frames as they come by -> the same frames once more, from memory, or from disk where they are too many for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from bulkql.workers.scratch import Scratch

#: Bytes of frames that are held before they go to disk.
HELD_BYTES = 16 * 1024 * 1024
#: What a cell takes beside the bytes of its text, which is all that polars counts.
CELL_BYTES = 16


class ReplayBuffer:
    """Frames that are needed twice: to decode a file a second time would take longer."""

    def __init__(self) -> None:
        self._held: list[pl.DataFrame] = []
        self._held_bytes = 0
        self._directory: Scratch | None = None
        self._stored = 0

    def recording(self, frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """The same frames, each recorded as it comes by."""
        for frame in frames:
            self._held.append(frame)
            self._held_bytes += int(frame.estimated_size()) + CELL_BYTES * frame.height * frame.width
            if self._held_bytes >= HELD_BYTES:
                self._flush()
            yield frame

    def playback(self) -> Iterator[pl.DataFrame]:
        """The frames that were recorded, each forgotten as it is given."""
        for number in range(self._stored):
            path = self._path(number)
            yield pl.read_ipc(path)
            path.unlink()
        while self._held:
            yield self._held.pop(0)

    def close(self) -> None:
        """Forget everything."""
        self._held.clear()
        if self._directory is not None:
            self._directory.cleanup()

    def _flush(self) -> None:
        if self._directory is None:
            self._directory = Scratch()
        for frame in self._held:
            frame.write_ipc(self._path(self._stored), compression="lz4")
            self._stored += 1
        self._held.clear()
        self._held_bytes = 0

    def _path(self, number: int) -> Path:
        assert self._directory is not None
        return self._directory.path(f"{number:09}.arrow")
