"""Two threads: one reads rows and writes bytes of files, the other stores these while the first reads on."""

from __future__ import annotations

import hashlib
import io
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from django.core.files.base import File
from django.db import connections

from bulkql.workers.exports.formats import pieces_of_file
from bulkql.workers.exports.jobs import Job
from bulkql.workers.exports.snapshot import snapshot_of
from bulkql.workers.uploads.uploads import storage

#: Pieces that wait to be stored: who reads faster than the storage takes them waits, and memory stays as it is.
WAITING = 8
#: Seconds between two looks at whether anybody still wants what a thread waits for.
LOOK_SECONDS = 0.2


class Stopped(Exception):
    """Nobody wants the files any more."""


@dataclass(frozen=True, slots=True)
class StoredExport:
    """A file that is in the storage: its name there, its bytes, and their digest."""

    path: str
    size: int
    digest: str


class Relay:
    """The threads of one export; `result` is what they stored, when `wait` says that it is there."""

    def __init__(self, jobs: Sequence[Job], paths: Sequence[str]) -> None:
        self._jobs, self._paths = jobs, paths
        self._pieces: queue.Queue[bytes | None] = queue.Queue(WAITING)
        self._stopped = threading.Event()
        self._asking = threading.Lock()
        #: The connections on which the reader waits for rows.
        self._asked: list[Any] = []
        self._pool = ThreadPoolExecutor(2, "bulkql-export")
        self._reader: Future[None] = self._pool.submit(self._alone, self._read)
        self._storer: Future[list[StoredExport]] = self._pool.submit(self._alone, self._store)

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        with self._asking:
            for connection in self._asked:
                if hasattr(connection, "cancel"):  # the database may still look for the first row
                    connection.cancel()
        self._pool.shutdown()

    def wait(self, seconds: float) -> bool:
        """Whether all is over, within so many seconds."""
        try:
            self._storer.exception(seconds)
        except TimeoutError:
            return False
        return True

    def result(self) -> list[StoredExport]:
        """The stored files; raises what went wrong, where it began."""
        failed = self._reader.exception() if self._reader.done() or self._storer.exception() else None
        if failed is not None and not isinstance(failed, Stopped):
            raise failed
        return self._storer.result()

    def _alone(self, work: Callable[[], Any]) -> Any:
        """In a thread with database connections of its own, which go with it. One that fails stops the other."""
        try:
            return work()
        except BaseException:
            self._stopped.set()
            raise
        finally:
            connections.close_all()

    def _read(self) -> None:
        with in_one_snapshot(self._jobs):
            try:
                self._asked = [connections[job.alias].connection for job in self._jobs]
                for job in self._jobs:
                    for piece in pieces_of_file(job):
                        self._put(piece)
                    self._put(None)
            finally:
                # Who has a connection of the pool after this one is not to be interrupted.
                with self._asking:
                    self._asked = []

    def _put(self, piece: bytes | None) -> None:
        while True:
            if self._stopped.is_set():
                raise Stopped
            if piece == b"":  # a packer that waits for more
                return
            try:
                self._pieces.put(piece, timeout=LOOK_SECONDS)
            except queue.Full:
                continue
            return

    def _store(self) -> list[StoredExport]:
        return [stored(path, self._taken()) for path in self._paths]

    def _taken(self) -> Iterator[bytes]:
        """The pieces of one file."""
        while True:
            if self._stopped.is_set():
                raise Stopped
            try:
                piece = self._pieces.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                continue
            if piece is None:
                return
            yield piece


def in_one_snapshot(jobs: Sequence[Job]) -> ExitStack:
    """One moment of each database that holds some of the rows."""
    stack = ExitStack()
    for alias in dict.fromkeys(job.alias for job in jobs):
        stack.enter_context(snapshot_of(alias))
    return stack


def stored(path: str, pieces: Iterator[bytes]) -> StoredExport:
    """Store a file's pieces under a name, as they come."""
    stream = PieceStream(pieces)
    content: File[bytes] = File(stream, name=path)  # type: ignore[arg-type]  # a stream is no IO to the stubs
    name = storage().save(path, content)
    return StoredExport(name, stream.place, stream.digest.hexdigest())


class PieceStream(io.RawIOBase):
    """Pieces of bytes as a file that is read once, from its beginning to its end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")
        self.place = 0
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Storages go to the beginning before they read; there is no other place to go to."""
        if (offset, whence) != (self.place, io.SEEK_SET) and (offset, whence) != (0, io.SEEK_CUR):
            raise io.UnsupportedOperation("An export is stored as it comes, from its beginning to its end.")
        return self.place

    # RawIOBase takes any writable buffer.
    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        self.digest.update(taken)
        self.place += len(taken)
        return len(taken)
