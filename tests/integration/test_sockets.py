"""A websocket whose operations cannot be carried out says so, and is never silent."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.db import OperationalError

from bulkql.server.auth import token_for
from bulkql.server.authority.credentials import Token

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def away(monkeypatch):
    """The database, once its list is filled."""
    is_away: list[bool] = []
    real = Token.user

    async def user(self: Token) -> Any:
        if is_away:
            raise OperationalError("server closed the connection unexpectedly")
        return await real(self)

    monkeypatch.setattr(Token, "user", user)
    return is_away


async def opened(token: str) -> ApplicationCommunicator:
    from bulkql.server.asgi import application

    scope = {"type": "websocket", "path": "/graphql", "headers": [], "subprotocols": ["graphql-transport-ws"]}
    socket = ApplicationCommunicator(application, scope)
    await socket.send_input({"type": "websocket.connect"})
    assert (await socket.receive_output(10))["type"] == "websocket.accept"
    await send(socket, {"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
    return socket


async def send(socket: ApplicationCommunicator, message: Any) -> None:
    await socket.send_input({"type": "websocket.receive", "text": json.dumps(message)})


async def received(socket: ApplicationCommunicator) -> Any:
    return json.loads((await socket.receive_output(10))["text"])


def test_socket_that_cannot_sign_in_for_an_outage_is_closed_to_come_again(user, away):
    away.append(True)

    async def sign_in() -> Any:
        return await (await opened(token_for(user))).receive_output(10)

    assert asyncio.run(sign_in()) == {"type": "websocket.close", "code": 1013, "reason": "Try again later"}


def test_operation_that_an_outage_keeps_from_beginning_is_told(user, away):
    async def subscribe() -> Any:
        socket = await opened(token_for(user))
        assert (await received(socket))["type"] == "connection_ack"
        away.append(True)
        payload = {"query": "subscription { operations { id } }"}
        await send(socket, {"type": "subscribe", "id": "1", "payload": payload})
        told = await received(socket)
        await socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await socket.wait(10)
        return told

    told = asyncio.run(subscribe())

    assert [error["extensions"]["code"] for error in told["payload"]] == ["UNAVAILABLE"]
    assert (told["type"], told["id"]) == ("error", "1")
