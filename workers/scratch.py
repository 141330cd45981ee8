"""Directories for what is too much for memory. They go with who made them; what a killed process left, the next clears.

A killed worker is started again with the same file: without that, each try would leave its gigabytes on the disk.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

try:
    import fcntl
except ImportError:  # Windows: what is left there, nobody clears
    fcntl = None  # type: ignore[assignment]

PREFIX = "bulkql-"
#: The file that whoever uses a directory holds a lock on: the system lets go of it when he dies.
LOCK = "in-use"
PIECE_BYTES = 1024 * 1024
#: Seconds that a directory is left alone without a lock, for it may have been made just now; and between two looks.
YOUNG_SECONDS = 60

_looked_at = 0.0


class Scratch(TemporaryDirectory[str]):
    """A directory of its own, until it is closed or this process ends, however that may be."""

    def __init__(self) -> None:
        clear_away()
        super().__init__(prefix=PREFIX)
        self._lock = self.path(LOCK).open("wb")
        if fcntl is not None:
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def path(self, name: str) -> Path:
        """Where a file of that name is."""
        return Path(self.name, name)

    def pieces(self, name: str) -> Iterator[bytes]:
        """The bytes of a file of that name, a mebibyte at a time."""
        with self.path(name).open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece

    def cleanup(self) -> None:
        """Forget everything in it."""
        self._lock.close()
        super().cleanup()

    # TemporaryDirectory's own gives the name.
    def __enter__(self) -> Scratch:  # type: ignore[override]
        return self


def clear_away() -> None:
    """Delete what killed processes of this user have left, once in a while."""
    global _looked_at
    if fcntl is None or time.monotonic() < _looked_at + YOUNG_SECONDS:
        return
    _looked_at = time.monotonic()
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another one clears it away, too, or it is another's
            if is_left(directory):
                shutil.rmtree(directory)


def is_left(directory: Path) -> bool:
    """Whether it is a directory of ours that nobody uses any more; raises OSError."""
    found = directory.lstat()
    lock = directory / LOCK
    is_young = time.time() < found.st_mtime + YOUNG_SECONDS
    if found.st_uid != os.getuid() or is_young or directory.is_symlink() or not lock.is_file():
        return False
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
