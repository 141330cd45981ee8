"""Frames of graphql-transport-ws -> operations; what is no such frame closes its own socket, with a reason.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack
from typing import Any

from django.db import InterfaceError, OperationalError
from graphql import GraphQLError
from strawberry.channels.handlers.ws_handler import ChannelsWebSocketAdapter
from strawberry.http.exceptions import NonJsonMessageReceived, NonTextMessageReceived
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler

from bulkql.schema.checks.weight import LIGHT_BYTES, in_thread
from bulkql.schema.context import Context
from bulkql.schema.failures import coded, extensions_of
from bulkql.schema.limits.shares import FRAMES
from bulkql.server.door.requests import request_data
from bulkql.server.door.values import weight
from bulkql.server.traffic.protocol import LIMIT_MESSAGES
from bulkql.workers.errors import BulkError, place_of

logger = logging.getLogger("bulkql")

#: https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
FAILED, TRY_AGAIN = 1011, 1013
#: The code for a frame that is none, from the protocol graphql-transport-ws.
INVALID = 4400
#: Bytes of a closing frame's reason: https://www.rfc-editor.org/rfc/rfc6455#section-5.5
REASON_BYTES = 123
#: Bytes that are kept of a message of somebody who has not signed in; with a longer one the websocket is closed (1009).
STRANGER_BYTES = 256 * 1024


class Socket(ChannelsWebSocketAdapter):
    """Frames as values; long ones are read in a thread, and only for those who have signed in."""

    is_signed_in = False
    #: Bytes that the frame which is being handled takes.
    weight = 0

    def __init__(self, view: Any, request: Any, response: Any) -> None:
        super().__init__(view, request, response)
        self._limit(STRANGER_BYTES)

    def _limit(self, size: int) -> None:
        """How long a message may be. A server that cannot be told keeps what it was started with."""
        if (limit := self.ws_consumer.scope.get(LIMIT_MESSAGES)) is not None:
            limit(size)

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        consumer: Any = self.ws_consumer
        while not (message := await consumer.message_queue.get())["disconnected"] and not consumer.is_closed:
            text = message["message"]
            if text is None:
                raise NonTextMessageReceived
            is_long = len(text) > LIGHT_BYTES
            if is_long and not self.is_signed_in:
                raise NonJsonMessageReceived
            try:
                value, self.weight = await in_thread(self._read, text) if is_long else self._read(text)
            except json.JSONDecodeError as error:
                raise NonJsonMessageReceived from error
            except BulkError as error:
                await self.close(INVALID, str(error))
                return
            # Until the next frame comes, which may be never, nothing here holds on to this one.
            del message, text
            yield value
            del value
            consumer.frames.handled()

    def _read(self, text: str) -> tuple[object, int]:
        return self.view.decode_json(text), weight(text)

    async def send_json(self, message: Mapping[str, object]) -> None:
        if message["type"] == "connection_ack":
            self.is_signed_in = True
            self._limit(sys.maxsize)
        await super().send_json(message)

    async def close(self, code: int, reason: str) -> None:
        # A longer reason would be an error of ours, and leave the socket open.
        fitting = reason.encode(errors="replace")[:REASON_BYTES].decode(errors="ignore")
        await super().close(code, fitting)


class Handler(BaseGraphQLTransportWSHandler[Context, None]):
    """Strawberry's, but that a client's mistake in one operation leaves its siblings alone, and in a frame is told."""

    websocket: Socket

    async def handle(self) -> None:
        try:
            await super().handle()
        except Exception as error:
            # Nobody listens to it any more: a socket that stayed open would be silent for ever.
            await self.handle_task_exception(error)
            is_outage = isinstance(error, OperationalError | InterfaceError)
            code, reason = (TRY_AGAIN, "Try again later") if is_outage else (FAILED, "Something went wrong here")
            await self.websocket.close(code=code, reason=reason)

    async def handle_message(self, message: Any) -> None:
        fault = fault_of(message)
        if fault is not None:
            await self.handle_invalid_message(fault)
            return
        if message["type"] == "connection_init" and message.get("payload") is None:
            message = {"type": "connection_init"}  # a payload of null is none, and Strawberry's type has no null
        if message["type"] == "subscribe" and self.connection_acknowledged and message["id"] not in self.operations:
            try:
                request_data(message["payload"])
                held = hold(self.context, self.websocket.weight)
            except BulkError as error:
                await self.send_message({"id": message["id"], "type": "error", "payload": [formatted(error)]})
                return
            with held:
                await super().handle_message(message)
                if (operation := self.operations.get(message["id"])) is not None and operation.task is not None:
                    release = held.pop_all().close
                    operation.task.add_done_callback(lambda _: release())
        else:
            await super().handle_message(message)
        # Strawberry's loop keeps the message until the next one comes.
        message.clear()

    async def _handle_pre_execution_error(self, operation: Any, result: Any) -> None:
        """A syntax error is told to the operation that has it: closing the socket would end the others."""
        await operation.send_initial_errors([coded(error) for error in result.errors])

    async def handle_task_exception(self, error: Exception) -> None:
        """One line, without the message and the values of a traceback, which may quote rows."""
        logger.error("%s, in an operation over the websocket", place_of(error))


def hold(context: Context, bytes_held: int) -> ExitStack:
    """The bytes of a frame among those of its user's operations, until it is closed; raises TooManyAtOnce."""
    assert context.user is not None
    held = ExitStack()
    # However heavy, one alone is served.
    held.enter_context(FRAMES.taken(context.user.pk, min(bytes_held, FRAMES.most)))
    return held


def fault_of(message: Any) -> str | None:
    """What is wrong with a frame; None for those of the protocol."""
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return "A frame is a JSON object with a type"
    if message["type"] in ("subscribe", "complete") and not (isinstance(message.get("id"), str) and message["id"]):
        return f"The id of {message['type']} is not a text"
    if message["type"] == "subscribe" and not isinstance(message.get("payload"), dict):
        return "The payload of subscribe is not an object"
    if message["type"] in ("ping", "pong") and not isinstance(message.get("payload"), dict | None):
        return f"The payload of {message['type']} is not an object"
    return None


def formatted(error: BulkError) -> Any:
    return GraphQLError(str(error), extensions=extensions_of(error.code)).formatted
