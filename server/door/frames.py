"""What a websocket's client sends -> its handler, one frame after the other; the rest stays with the client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from strawberry.channels import GraphQLWSConsumer

from bulkql.schema.context import Context

Receive = Callable[[], Awaitable[Any]]


class Frames:
    """The websocket is not read while a frame is being handled: a frame may have 16 MB, and a client sends hundreds.

    A server that is not read from stops reading its client, which then has to wait. That the client has gone is read
    after its frames, as it was before: the handler ends when it has handled those.
    """

    def __init__(self) -> None:
        self._is_free = asyncio.Event()
        self._is_free.set()
        self.is_over = False

    def in_turn(self, receive: Receive) -> Receive:
        """The same `receive`, which waits until the frame before is handled."""

        async def receive_in_turn() -> Any:
            await self._is_free.wait()
            message = await receive()
            if message["type"] == "websocket.receive" and not self.is_over:
                self._is_free.clear()
            return message

        return receive_in_turn

    def handled(self) -> None:
        """The next frame may come."""
        self._is_free.set()

    def end(self) -> None:
        """No frame is handled any more. All are read from now on, for the end of the websocket is behind them."""
        self.is_over = True
        self._is_free.set()


class OneAtATime(GraphQLWSConsumer[Context, None]):
    """A consumer that holds one frame of its client, and none while it waits for the next one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.frames = Frames()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await super().__call__(scope, self.frames.in_turn(receive), send)

    async def connect(self) -> None:
        await super().connect()
        assert self.run_task is not None
        self.run_task.add_done_callback(lambda _: self.frames.end())

    async def websocket_receive(self, message: Any) -> None:
        await super().websocket_receive(message)
        # Channels keeps the message until the next one comes.
        message.clear()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not self.frames.is_over:
            await super().receive(text_data, bytes_data)
