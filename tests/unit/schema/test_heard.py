"""A subscriber who joins while Redis comes back is not told of an error."""

from __future__ import annotations

import asyncio

import pytest
import redis

from bulkql.schema import subscriptions


class Layer:
    """A channel layer, one step of which meets a connection that another task has closed."""

    def __init__(self, broken: str) -> None:
        self.broken = broken

    async def new_channel(self) -> str:
        return self.step("new_channel")

    async def group_add(self, *_: str) -> None:
        self.step("group_add")

    async def group_discard(self, *_: str) -> None:
        self.step("group_discard")

    async def receive(self, _: str) -> None:
        await asyncio.Event().wait()

    def step(self, name: str) -> str:
        if name == self.broken:
            raise AttributeError("'NoneType' object has no attribute 'read'")  # what redis-py 6 raises then
        return name


async def joined() -> None:
    async with subscriptions.heard("a group"):
        pass


@pytest.mark.parametrize("broken", ["new_channel", "group_add"])
def test_a_connection_that_is_closed_meanwhile_is_an_error_of_redis(monkeypatch, broken):
    monkeypatch.setattr(subscriptions, "layer", lambda: Layer(broken))

    with pytest.raises(redis.ConnectionError):
        asyncio.run(joined())


def test_who_leaves_meanwhile_has_left(monkeypatch):
    monkeypatch.setattr(subscriptions, "layer", lambda: Layer("group_discard"))

    asyncio.run(joined())
