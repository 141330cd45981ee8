"""A file -> what a library makes of it, in messages, from a process that may take only so much memory.

What a few kilobytes decode to is not written in them: a page of 2 GB, a text that is repeated a million times, a sheet
whose last cell is in column XFD. So files are decoded where the system bounds the memory, and nothing else is lost when
it runs out.
Started as a script, by its path, so that it imports neither Django nor bulkql; modules beside it import each other
as neighbours (`from .values import ...`):

    python process.py MODULE MEMORY_BYTES ARGUMENTS

MODULE is the path of a module beside this one, and its `messages(ARGUMENTS as JSON)` are written, each a letter, a
length and so many bytes; batches of Arrow become streams. In place of any of them may come E and why it stops: a letter
(M memory, D damaged, or what an exception of the module has as its `letter`), and words. A message
that takes too long is never written: the system ends the process.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, TypeAlias

#: A letter, and what it says.
Message: TypeAlias = tuple[bytes, bytes | memoryview]
MESSAGE = struct.Struct("<cQ")
DAMAGED = "D"
#: Seconds of CPU until the next message: of any file, the imports among them, and more for each megabyte that it has.
SECONDS, MEGABYTE_SECONDS = 4, 4


def main(module: str, memory_bytes: int, arguments: str) -> None:
    # Before anything is allocated; what a thread or a library maps for itself counts too.
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        given = json.loads(arguments)
        seconds = seconds_for(given["path"])
        allow(seconds)
        for kind, data in answers(loaded(module).messages, given):
            write_message(kind, data)
            allow(seconds)
    except BrokenPipeError:
        pass  # whoever read is gone


def loaded(module: str) -> ModuleType:
    """The module at a path, in a package of its neighbours. A folder of `sys.path` would hide modules of Python's."""
    path = Path(module)
    package = ModuleType("decoding")
    package.__path__ = [str(path.parent)]
    sys.modules[package.__name__] = package
    return importlib.import_module(f"{package.__name__}.{path.stem}")


def seconds_for(path: str) -> int:
    """Seconds of CPU that a file may take until its next message: honest ones need a tenth of them."""
    return SECONDS + MEGABYTE_SECONDS * Path(path).stat().st_size // 1_000_000


def allow(seconds: int) -> None:
    """So many from now on. A library that goes round in circles sees no signal of Python's: the system ends it."""
    used = sum(os.times()[:2])
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + seconds + 1, resource.RLIM_INFINITY))


def answers(messages: Callable[..., Iterator[tuple[bytes, Any]]], arguments: dict[str, Any]) -> Iterator[Message]:
    """The messages of a module, and the last of them E where it stops."""
    try:
        for kind, data in messages(**arguments):
            yield kind, data if isinstance(data, bytes) else stream_of(data)
    except MemoryError:
        yield b"E", b"M"
    except (GeneratorExit, KeyboardInterrupt, SystemExit):
        raise
    # Whatever a library raises over bytes that it does not like; a library in Rust panics with what is no Exception.
    except BaseException as error:
        letter = getattr(error, "letter", DAMAGED)
        words = (str(error).splitlines() or [type(error).__name__])[0][:300]
        yield b"E", f"{letter}{words}".encode(errors="replace")


def stream_of(batch: Any) -> memoryview:
    """A batch as an Arrow stream."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return memoryview(sink.getvalue())


def write_message(kind: bytes, data: bytes | memoryview) -> None:
    out: BinaryIO = sys.stdout.buffer
    out.write(MESSAGE.pack(kind, len(data)))
    out.write(data)
    out.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
