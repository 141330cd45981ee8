"""A service and a number -> that many websockets in a process of their own, and when each frame reached each of them.

`python -m bench.subscribers NUMBER`, with URL and TOKEN in the environment: says "connected", reads an operation's id,
says "subscribed" when each has its snapshot, and at the end prints a line of JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

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


class Subscriber(WSListener):
    """A websocket's frames, and when they came. It does no more: it shares the service's cores."""

    def __init__(self) -> None:
        self.frames: list[tuple[float, bytes]] = []
        #: At the next frame.
        self.heard = asyncio.Event()
        self.is_over = asyncio.Event()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        self.frames.append((perf_counter(), payload))
        self.heard.set()
        if b'"complete"' in payload:
            self.is_over.set()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.is_over.set()


async def main(url: str, token: str, number: int) -> None:
    """Connect, subscribe, listen to the end."""
    gate = asyncio.Semaphore(AT_A_TIME)
    sockets = await asyncio.gather(*(opened(url, token, gate) for _ in range(number)))
    print("connected", flush=True)
    operation_id = (await asyncio.to_thread(sys.stdin.readline)).strip()
    payload = {"query": WATCH, "variables": {"id": operation_id}}
    for transport, subscriber in sockets:
        subscriber.heard.clear()
        subscriber.frames.clear()
        send(transport, {"id": "1", "type": "subscribe", "payload": payload})
    for _, subscriber in sockets:
        await subscriber.heard.wait()
    print("subscribed", flush=True)
    for _, subscriber in sockets:
        await subscriber.is_over.wait()
    arrivals = [[(at, processed(frame)) for at, frame in one.frames[:-1]] for _, one in sockets]
    print(json.dumps(arrivals), flush=True)


async def opened(url: str, token: str, gate: asyncio.Semaphore) -> tuple[WSTransport, Subscriber]:
    """A websocket that the service has accepted."""
    subscriber = Subscriber()
    async with gate:
        transport, _ = await ws_connect(
            lambda: subscriber,
            f"{url.replace('http', 'ws', 1)}/graphql",
            websocket_handshake_timeout=120,
            extra_headers={"Sec-WebSocket-Protocol": "graphql-transport-ws"},
        )
        send(transport, {"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
        await subscriber.heard.wait()
    return transport, subscriber


def send(transport: WSTransport, message: dict[str, Any]) -> None:
    transport.send(WSMsgType.TEXT, json.dumps(message).encode())


def processed(frame: bytes) -> int:
    """How many rows a frame tells of; raises SystemExit for an error."""
    message: dict[str, Any] = json.loads(frame)
    if message["type"] != "next" or message["payload"].get("errors"):
        raise SystemExit(f"A subscription ended with {message}")
    return int(message["payload"]["data"]["operation"]["processed"])


if __name__ == "__main__":
    # What is heard is kept: looking for what could go would only be late for the next frame.
    gc.disable()
    uvloop.run(main(os.environ["URL"], os.environ["TOKEN"], int(sys.argv[1])))
