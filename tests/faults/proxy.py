"""A TCP proxy in a process of its own, whose connections can be cut or stalled: `python -m tests.faults.proxy`.

It is told what to do by words on its standard input: `cut`, `stall`, `go`.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from bulkql.server.embedded import free_port


@dataclass(frozen=True)
class Proxy:
    """The proxy's process, seen by who started it."""

    process: subprocess.Popen[str]
    port: int

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()


@contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """A proxy to a port of this machine."""
    own = free_port()
    command = [sys.executable, "-m", "tests.faults.proxy", str(own), str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield Proxy(process, own)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.kill()
        process.wait()


class Server:
    """The proxy itself."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._going = asyncio.Event()
        self._going.set()
        self._open: set[asyncio.StreamWriter] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, back}
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
        self._open -= {writer, back}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 18):
                await self._going.wait()
                writer.write(data)
                await writer.drain()
        with suppress(OSError, RuntimeError):
            writer.close()

    def do(self, word: str) -> None:
        if word == "cut":
            for writer in list(self._open):
                writer.transport.abort()
        elif word == "stall":
            self._going.clear()
        elif word == "go":
            self._going.set()


async def serve(own: int, target: int) -> None:
    proxy = Server(target)
    words = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    async with await asyncio.start_server(proxy.accept, "127.0.0.1", own):
        while word := await words.readline():
            proxy.do(word.decode().strip())


if __name__ == "__main__":
    asyncio.run(serve(*map(int, sys.argv[1:])))
