"""A file on disk -> its header and its Arrow streams, from a process that decodes it (process.py)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeAlias

from bulkql.workers.errors import UnreadableFile
from bulkql.workers.readers.decoding import process
from bulkql.workers.readers.decoding.process import MESSAGE, seconds_for
from bulkql.workers.scratch import Scratch

#: Why a process stopped: its letter, its words, and whether it had told the header -> what the sender is told.
Refusal: TypeAlias = Callable[[str, str, bool], UnreadableFile]
MEMORY, SLOW = "M", "T"


@contextmanager
def spooled(file: IO[bytes], suffix: str) -> Iterator[Path]:
    """The file on disk, for as long as it is read."""
    with Scratch() as directory:
        path = directory.path(f"file{suffix}")
        file.seek(0)
        with path.open("wb") as local:
            shutil.copyfileobj(file, local, 1024 * 1024)
        yield path


class Decoder:
    """The process that decodes a file, and what it says; it ends with this object.

    `arguments` have the file's `path`.
    """

    def __init__(self, module: str, memory_bytes: int, arguments: dict[str, Any], refusal: Refusal) -> None:
        self._refusal = refusal
        self._seconds = seconds_for(arguments["path"])
        # Python itself, with a path that we made.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", process.__file__, module, str(memory_bytes), json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A library's own words, as it dies of its limit.
            stderr=subprocess.DEVNULL,
            # The system's allocator fails where there is no more; others abort, or hold what was given back.
            env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"},
        )

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def header(self) -> Any:
        """What the file calls its columns, and what else is told before its rows; raises UnreadableFile."""
        kind, data = self._message()
        if kind != b"H":
            raise self._refusal(data[:1].decode(), data[1:].decode(), False)
        return json.loads(data)

    def streams(self, wanted: Any) -> Iterator[bytes]:
        """Arrow streams of the columns that are wanted; raises UnreadableFile."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has died, and will say nothing
            self._process.stdin.write(json.dumps(wanted).encode() + b"\n")
            self._process.stdin.flush()
        while True:
            kind, data = self._message()
            if kind == b"Z":
                return
            if kind != b"F":
                raise self._refusal(data[:1].decode(), data[1:].decode(), True)
            yield data

    def _message(self) -> tuple[bytes, bytes]:
        """The next message; an error of ours where the process died."""
        assert self._process.stdout is not None
        head = self._process.stdout.read(MESSAGE.size)
        if len(head) < MESSAGE.size:
            return b"E", self._cause_of_death()
        kind, size = MESSAGE.unpack(head)
        data = self._process.stdout.read(size)
        return (kind, data) if len(data) == size else (b"E", self._cause_of_death())

    def _cause_of_death(self) -> bytes:
        if self._process.wait() != -signal.SIGXCPU:
            return MEMORY.encode()
        return f"{SLOW}takes more than {self._seconds} seconds to decode".encode()
