"""A service and a number -> that many websockets in a process of their own, and when each frame reached each of them.

`python -m bench.subscribers NUMBER`, with URL and TOKEN in the environment: says "connected", reads an operation's id,
says "subscribed" when each has its snapshot, and at the end prints a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from bench.client import WATCH

#: Handshakes at a time; a thousand at once would meet a full backlog.
AT_A_TIME = 50


@dataclass(frozen=True, slots=True)
class Subscribers:
    """The process with the websockets."""

    process: subprocess.Popen[str]

    def subscribe(self, operation_id: str) -> float:
        """All watch the operation; gives when the last one has its snapshot, by perf_counter."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{operation_id}\n")
        self.process.stdin.flush()
        self.read()
        # One clock for all processes of a machine.
        return perf_counter()

    def arrivals(self) -> list[list[tuple[float, int]]]:
        """For each subscriber: when a frame came, and how many rows were processed by then. Waits for the end."""
        found: list[list[tuple[float, int]]] = json.loads(self.read())
        return found

    def read(self) -> str:
        """The next line of the process; raises SystemExit without one."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("The subscribers' process ended early.")
        return line


@contextmanager
def connected(url: str, token: str, number: int) -> Iterator[Subscribers]:
    """That many open websockets."""
    command = [sys.executable, "-m", "bench.subscribers", str(number)]
    environment = {**os.environ, "URL": url, "TOKEN": token}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        subscribers = Subscribers(process)
        subscribers.read()
        yield subscribers
    finally:
        process.kill()
        process.wait()


async def main(url: str, token: str, number: int) -> None:
    """Connect, subscribe, listen to the end."""
    gate = asyncio.Semaphore(AT_A_TIME)
    sockets = await asyncio.gather(*(opened(url, token, gate) for _ in range(number)))
    print("connected", flush=True)
    operation_id = (await asyncio.to_thread(sys.stdin.readline)).strip()
    waiting = [asyncio.Event() for _ in sockets]
    async with asyncio.TaskGroup() as group:
        listening = [
            group.create_task(listen(socket, operation_id, joined))
            for socket, joined in zip(sockets, waiting, strict=True)
        ]
        for joined in waiting:
            await joined.wait()
        print("subscribed", flush=True)
    frames = [task.result() for task in listening]
    print(json.dumps([[(at, processed(frame)) for at, frame in one] for one in frames]), flush=True)


async def opened(url: str, token: str, gate: asyncio.Semaphore) -> ClientConnection:
    """A websocket that the service has accepted."""
    async with gate:
        socket = await connect(
            f"{url.replace('http', 'ws', 1)}/graphql",
            subprotocols=[Subprotocol("graphql-transport-ws")],
            open_timeout=120,
            # A pong must not wait behind a full machine's frames.
            ping_interval=None,
        )
        await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}))
        await socket.recv()
    return socket


async def listen(socket: ClientConnection, operation_id: str, joined: asyncio.Event) -> list[tuple[float, str]]:
    """The operation's frames, and when they came; they are read when all is over."""
    payload = {"query": WATCH, "variables": {"id": operation_id}}
    await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
    frames = [await frame_of(socket)]
    joined.set()
    while '"complete"' not in frames[-1][1][:200]:
        frames.append(await frame_of(socket))
    return frames[:-1]


async def frame_of(socket: ClientConnection) -> tuple[float, str]:
    message = await socket.recv()
    return perf_counter(), str(message)


def processed(frame: str) -> int:
    """How many rows a frame tells of; raises SystemExit for an error."""
    message: dict[str, Any] = json.loads(frame)
    if message["type"] != "next" or message["payload"].get("errors"):
        raise SystemExit(f"A subscription ended with {message}")
    return int(message["payload"]["data"]["operation"]["processed"])


if __name__ == "__main__":
    asyncio.run(main(os.environ["URL"], os.environ["TOKEN"], int(sys.argv[1])))
