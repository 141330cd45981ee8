"""What a websocket's client sends stays with the client until there is room for it."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from bulkql.schema.limits.shares import FRAMES
from bulkql.server.auth import token_for
from bulkql.server.authority.credentials import Token
from tests.integration.test_sockets import opened, received, send

pytestmark = pytest.mark.django_db(transaction=True)

WATCH = "subscription { operations { id } }"
PING = {"type": "ping"}


@pytest.fixture
def limited(settings):
    settings.BULKQL_USER_FRAME_BYTES = 100_000
    return settings


async def signed_in(user: Any) -> ApplicationCommunicator:
    socket = await opened(token_for(user))
    assert (await received(socket))["type"] == "connection_ack"
    return socket


async def subscribe(socket: ApplicationCommunicator, name: str, size: int, query: str = WATCH) -> None:
    payload = {"query": query, "variables": {"unused": "x" * size}}
    await send(socket, {"type": "subscribe", "id": name, "payload": payload})


async def leave(socket: ApplicationCommunicator) -> None:
    await socket.send_input({"type": "websocket.disconnect", "code": 1000})
    await socket.wait(10)


async def answer(socket: ApplicationCommunicator) -> Any:
    """A ping's, which comes once the frames before it are handled."""
    await send(socket, PING)
    return await received(socket)


def test_a_socket_is_not_read_while_a_frame_of_it_is_handled(user, monkeypatch):
    real = Token.user
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def answered_later(self: Token) -> Any:
        is_asked.set()
        await may_answer.wait()
        return await real(self)

    monkeypatch.setattr(Token, "user", answered_later)

    async def sign_in() -> Any:
        socket = await opened(token_for(user))
        for _ in range(20):
            await send(socket, PING)
        await is_asked.wait()
        for _ in range(1_000):
            await asyncio.sleep(0)  # a turn of the loop, in which it could read
        unread = socket.input_queue.qsize()
        may_answer.set()
        told = [(await received(socket))["type"] for _ in range(21)]
        await leave(socket)
        return unread, told

    unread, told = asyncio.run(sign_in())

    assert unread == 20
    assert told == ["connection_ack", *["pong"] * 20]


def test_operations_beyond_the_bytes_of_a_user_are_refused_until_others_end(user, limited):
    async def watch() -> Any:
        socket, another = await signed_in(user), await signed_in(user)
        await subscribe(socket, "1", 60_000)
        assert (await answer(socket))["type"] == "pong"
        await subscribe(another, "2", 60_000)
        refused = await received(another)
        await send(socket, {"type": "complete", "id": "1"})
        assert (await answer(socket))["type"] == "pong"
        await subscribe(another, "3", 60_000)
        told = await answer(another)
        for one in (socket, another):
            await leave(one)
        return refused, told

    refused, told = asyncio.run(watch())

    (error,) = refused["payload"]
    assert (refused["type"], refused["id"]) == ("error", "2")
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert (
        " of your operations over websockets at once exceed the limit of 100,000 (BULKQL_USER_FRAME" in error["message"]
    )
    assert told == {"type": "pong"}
    assert FRAMES.used(user.pk) == 0


def test_one_operation_alone_is_served_however_heavy(user, limited):
    async def ask() -> Any:
        socket = await signed_in(user)
        await subscribe(socket, "1", 300_000, "{ bulkResources { name } }")
        told = [(await received(socket))["type"] for _ in range(2)]
        await leave(socket)
        return told

    assert asyncio.run(ask()) == ["next", "complete"]
    assert FRAMES.used(user.pk) == 0


def test_many_small_values_count_as_what_they_take(user, limited):
    async def ask() -> Any:
        socket = await signed_in(user)
        await subscribe(socket, "1", 60_000)
        values = {"query": WATCH, "variables": {"unused": [[]] * 1_500}}
        await send(socket, {"type": "subscribe", "id": "2", "payload": values})
        told = await received(socket)
        await leave(socket)
        return told

    told = asyncio.run(ask())

    assert (told["type"], told["id"]) == ("error", "2")
    assert "(BULKQL_USER_FRAME_BYTES)" in told["payload"][0]["message"]


def test_a_client_that_vanishes_leaves_nothing_behind(user, limited):
    async def vanish() -> None:
        socket = await signed_in(user)
        await subscribe(socket, "1", 60_000)
        for name in ("2", "3", "4"):
            await subscribe(socket, name, 60_000)
        await leave(socket)

    asyncio.run(vanish())

    assert FRAMES.used(user.pk) == 0


def test_a_socket_that_waits_for_its_next_frame_holds_none(user):
    async def ask() -> int:
        socket = await signed_in(user)
        await subscribe(socket, "1", 1, "{ bulkResources { name } }")
        for _ in range(2):
            await received(socket)
        gc.collect()
        tracemalloc.start()
        try:
            await subscribe(socket, "2", 8_000_000, "{ bulkResources { name } }")
            assert [(await received(socket))["type"] for _ in range(2)] == ["next", "complete"]
            gc.collect()
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        await leave(socket)
        return held

    assert asyncio.run(ask()) < 4_000_000


def test_subscriptions_that_have_ended_hold_no_frames(user):
    async def watch() -> int:
        first = await signed_in(user)
        await subscribe(first, "1", 1)
        assert (await answer(first))["type"] == "pong"
        await leave(first)
        socket = await signed_in(user)
        gc.collect()
        # What is large goes at once: the next collection may be far away.
        gc.disable()
        tracemalloc.start()
        try:
            for name in ("1", "2", "3"):
                await subscribe(socket, name, 8_000_000)
            assert (await answer(socket))["type"] == "pong"
            await leave(socket)
            del socket
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            gc.enable()
        return held

    assert asyncio.run(watch()) < 4_000_000
