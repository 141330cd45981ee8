"""Whoever unsubscribes, at whatever moment, leaves nothing behind: no task, no channel, no share of the user's."""

from __future__ import annotations

import asyncio

import pytest

from bulkql.schema.limits.shares import SUBSCRIPTIONS
from bulkql.schema.subscriptions import heard
from bulkql.server.auth import token_for
from bulkql.workers.messaging.servers import layer
from tests.integration.test_sockets import opened, received, send

pytestmark = pytest.mark.django_db(transaction=True)

#: Of a loop and a process each: the reader of Redis, and whoever asks whether credentials are still good.
STANDING = {"RedisSingleShardConnection._do_receiving", "OpenSockets._ask_again_and_again"}


def at_work() -> list[asyncio.Task[object]]:
    """What goes on in this loop besides the test."""
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    return [task for task in tasks if task.get_coro().__qualname__ not in STANDING]


async def to_end() -> None:
    """Until nothing goes on any more; fails after ten seconds."""
    async with asyncio.timeout(10):
        while tasks := at_work():
            await asyncio.wait(tasks)


@pytest.mark.parametrize("pause", [0, 0.001, 0.02])
def test_a_subscription_that_is_completed_at_once_goes_on_nowhere(user, pause):
    async def subscribe() -> None:
        socket = await opened(token_for(user))
        assert (await received(socket))["type"] == "connection_ack"
        for number in range(50):
            payload = {"query": "subscription { operations { id } }"}
            await send(socket, {"type": "subscribe", "id": str(number), "payload": payload})
            await asyncio.sleep(pause)  # so that each is completed in another of its steps
            await send(socket, {"type": "complete", "id": str(number)})
        await socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await socket.wait(10)
        await to_end()

    asyncio.run(subscribe())

    assert SUBSCRIPTIONS.used(user.pk) == 0


@pytest.mark.parametrize("steps", range(12))
def test_a_member_who_leaves_while_joining_leaves_the_group(steps):
    async def join() -> None:
        async with heard("a group"):
            await asyncio.Event().wait()

    async def leave() -> tuple[dict[str, object], dict[str, object]]:
        joining = asyncio.create_task(join())
        for _ in range(steps):
            await asyncio.sleep(0)
        joining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await joining
        await to_end()
        here = layer()._get_layer()
        return here.channels, here.groups

    assert asyncio.run(leave()) == ({}, {})
