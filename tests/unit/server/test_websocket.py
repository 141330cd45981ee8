"""Websockets before their consumer has begun."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from asgiref.sync import async_to_sync

from bulkql.server.websocket import Websocket

SCOPE = {"type": "websocket", "path": "/graphql", "root_path": ""}


class Consumer:
    """It finds Redis away so many times, before or after it has received something."""

    def __init__(self, failures: int, *, is_begun: bool = False) -> None:
        self.left, self.is_begun, self.served = failures, is_begun, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.is_begun:
            await receive()
        if self.left:
            self.left -= 1
            raise redis.ConnectionError("Connection lost")
        self.served += 1


def connect(consumer: Consumer) -> int:
    """Let it have a websocket; how many it served."""

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    websocket = Websocket(None)
    vars(websocket)["_consumer"] = consumer
    async_to_sync(websocket)(SCOPE, receive, None)
    return consumer.served


def test_a_connection_that_was_lost_is_made_again():
    assert connect(Consumer(1)) == 1


@pytest.mark.parametrize("consumer", [Consumer(2), Consumer(1, is_begun=True)], ids=["away", "begun"])
def test_where_redis_is_away_or_something_was_received_it_is_an_error(consumer):
    with pytest.raises(redis.ConnectionError):
        connect(consumer)
