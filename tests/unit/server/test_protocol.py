"""Whoever does not end their headers is turned away: they are in memory before it is known whose they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from bulkql.server.traffic.protocol import HEAD_BYTES, TOO_LARGE, PatientProtocol

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


async def answers(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def talk(speak: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]) -> bytes:
    """What a client is answered by the protocol."""

    async def serve() -> bytes:
        config, state = Config(answers, lifespan="off"), ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: PatientProtocol(config, state, {}), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            try:
                async with asyncio.timeout(20):
                    return await speak(reader, writer)
            finally:
                writer.close()

    return asyncio.run(serve())


LONG = b"a: " + b"a" * HEAD_BYTES


@pytest.mark.parametrize(
    "begun",
    [b"GET /" + LONG[3:], HEAD + LONG, HEAD + b"a: b\r\n" * (HEAD_BYTES // 6)],
    ids=["url", "header", "headers"],
)
def test_a_head_that_is_too_long_is_refused(begun):
    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(begun)
        return await reader.read()

    assert talk(send) == TOO_LARGE


@pytest.mark.parametrize(
    ("answered", "begun"),
    [(HEAD + b"\r\n", HEAD + LONG), (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0\r\n" + LONG)],
    ids=["second request", "trailer"],
)
def test_what_follows_an_answer_is_refused_too(answered, begun):
    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(answered)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(begun)
        return await reader.read()

    assert talk(send) == TOO_LARGE


@pytest.mark.parametrize("begun", [b"", b"GET / HT", HEAD], ids=["nothing", "a line", "headers"])
def test_a_head_that_does_not_end_in_time_is_given_up(settings, begun):
    settings.BULKQL_STALL_SECONDS = 1

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(begun)
        return await reader.read()

    assert talk(wait) == b""


def test_long_bodies_and_many_requests_are_no_heads():
    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        for _ in range(5):
            writer.write(HEAD + b"a: " + b"a" * 30_000 + b"\r\nContent-Length: 300000\r\n\r\n" + b"a" * 300_000)
            await writer.drain()
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        return b""

    talk(ask)
