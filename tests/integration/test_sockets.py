"""A websocket whose operations cannot be carried out says so, and is never silent."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.db import OperationalError

from bulkql.schema import mutations, subscriptions
from bulkql.server.auth import token_for
from bulkql.server.authority.credentials import Token
from bulkql.workers.models import Upload

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


def served() -> Any:
    from bulkql.server.asgi import application

    return application


async def opened(token: str, application: Any = None) -> ApplicationCommunicator:
    application = application or served()
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


class ClientDisconnected(OSError):
    """What a server raises from `send` once its client has gone: a kind of OSError, says ASGI's specification."""


def test_watcher_who_leaves_before_the_last_frame_is_no_error(user, caplog):
    left: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        async def send_to_who_is_left(message: Any) -> None:
            if '"next"' in message.get("text", ""):
                left.append(message)
                await socket.send_input({"type": "websocket.disconnect", "code": 1000})
                raise ClientDisconnected
            await send(message)

        await served()(scope, receive, send_to_who_is_left)

    async def subscribe() -> None:
        nonlocal socket
        socket = await opened(token_for(user), application)
        assert (await received(socket))["type"] == "connection_ack"
        await send(socket, {"type": "subscribe", "id": "1", "payload": {"query": "{ bulkResources { name } }"}})
        await socket.wait(10)

    socket: Any = None
    with caplog.at_level(logging.INFO, "bulkql"):
        asyncio.run(subscribe())

    assert len(left) == 1
    assert caplog.messages == []


FORBIDDEN = {"type": "websocket.close", "code": 4403, "reason": "Forbidden"}
MUTATION = {"query": 'mutation { createUpload(name: "a.csv") { id } }'}


@pytest.mark.parametrize(
    ("token", "frames", "closing"),
    [
        ("junk", [], FORBIDDEN),
        (None, [{"type": "connection_init"}], {"code": 4429, "reason": "Too many initialisation requests"}),
        (None, [{"type": "x"}], {"code": 4400, "reason": "Unknown message type: x"}),
        (None, [{"type": "subscribe", "id": 5}], {"code": 4400, "reason": "The id of subscribe is not a text"}),
    ],
)
def test_socket_is_closed_once_whatever_its_client_has_sent_meanwhile(user, caplog, token, frames, closing):
    late = [{"type": "subscribe", "id": "1", "payload": MUTATION}, {"type": "x"}, {"type": "connection_init"}]

    async def close() -> Any:
        socket = await opened(token or token_for(user))
        for frame in (*frames, *late):
            await send(socket, frame)
        told = await socket.receive_output(10)
        while told["type"] != "websocket.close":
            told = await socket.receive_output(10)
        await socket.send_input({"type": "websocket.disconnect", "code": told["code"]})
        await socket.wait(10)
        return told, await socket.receive_nothing()

    told, is_all = asyncio.run(close())

    assert (told, is_all) == ({"type": "websocket.close", **closing}, True)
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING] == []
    assert Upload.objects.count() == 0


def test_a_payload_of_null_is_none(user):
    async def sign_in() -> Any:
        scope = {"type": "websocket", "path": "/graphql", "headers": [], "subprotocols": ["graphql-transport-ws"]}
        socket = ApplicationCommunicator(served(), scope)
        await socket.send_input({"type": "websocket.connect"})
        await socket.receive_output(10)
        await send(socket, {"type": "connection_init", "payload": None})
        return await socket.receive_output(10)

    assert asyncio.run(sign_in()) == FORBIDDEN  # as without a payload: nobody is signed in


def test_frame_with_a_name_twice_closes_the_socket_with_the_reason(user):
    async def close() -> Any:
        socket = await opened(token_for(user))
        assert (await received(socket))["type"] == "connection_ack"
        await socket.send_input({"type": "websocket.receive", "text": '{"type": "ping", "type": "pong"}'})
        return await socket.receive_output(10)

    reason = "An object has 'type' more than once, with 'ping' and 'pong'; leave all but one out."
    assert asyncio.run(close()) == {"type": "websocket.close", "code": 4400, "reason": reason}


@pytest.mark.parametrize("length", [0, 3_000], ids=["short", "long"])
@pytest.mark.parametrize("text", ["{ __typename }", "subscription { operations { id } }"])
def test_name_of_an_operation_that_is_not_there_is_told(user, caplog, text, length):
    async def name() -> Any:
        socket = await opened(token_for(user))
        assert (await received(socket))["type"] == "connection_ack"
        payload = {"query": text + " " * length, "operationName": "Other"}
        await send(socket, {"type": "subscribe", "id": "1", "payload": payload})
        told = await received(socket)
        await socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await socket.wait(10)
        return told

    told = asyncio.run(name())

    (error,) = told["payload"]
    message = "The document has no operation 'Other', which operationName asks for."
    assert (told["type"], told["id"]) == ("error", "1")
    assert (error["extensions"]["code"], error["message"]) == ("BAD_INPUT", message)
    assert caplog.messages == []


@pytest.mark.parametrize("length", [0, 3_000], ids=["short", "long"])
def test_an_operation_that_waits_keeps_nobody_else_waiting(user, monkeypatch, length):
    goes_on = threading.Event()
    real = mutations.announce
    monkeypatch.setattr(mutations, "announce", lambda *given: goes_on.wait(30) and real(*given))

    async def ask() -> Any:
        sockets = [await opened(token_for(user)) for _ in range(2)]
        for socket in sockets:
            assert (await received(socket))["type"] == "connection_ack"
        first, second = sockets
        await send(first, {"type": "subscribe", "id": "1", "payload": MUTATION})
        payload = {"query": "{ operations { totalCount } }" + " " * length}
        await send(second, {"type": "subscribe", "id": "2", "payload": payload})
        told = await received(second)
        is_waiting = not goes_on.is_set()
        goes_on.set()
        done = await received(first)
        for socket in sockets:
            await socket.send_input({"type": "websocket.disconnect", "code": 1000})
            await socket.wait(10)
        return told, is_waiting, done

    told, is_waiting, done = asyncio.run(ask())

    assert (told["payload"], is_waiting) == ({"data": {"operations": {"totalCount": 0}}}, True)
    assert done["payload"]["data"]["createUpload"]["id"]


def test_operations_of_a_websocket_wait_in_their_users_line(user, settings, monkeypatch):
    settings.BULKQL_USER_REQUESTS, settings.BULKQL_USER_REQUESTS_WAITING = 1, 1
    goes_on = threading.Event()
    real = mutations.announce
    monkeypatch.setattr(mutations, "announce", lambda *given: goes_on.wait(30) and real(*given))

    async def ask() -> Any:
        socket = await opened(token_for(user))
        assert (await received(socket))["type"] == "connection_ack"
        for number in "123":
            await send(socket, {"type": "subscribe", "id": number, "payload": MUTATION})
        told = [await received(socket)]
        goes_on.set()
        told += [await received(socket) for _ in range(4)]
        await socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await socket.wait(10)
        return told

    refused, *done = asyncio.run(ask())

    assert (refused["type"], refused["id"]) == ("error", "3")
    assert refused["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert [(one["type"], one["id"]) for one in done] == [
        ("next", "1"), ("complete", "1"), ("next", "2"), ("complete", "2"),
    ]  # fmt: skip


def test_one_socket_has_as_many_subscriptions_as_its_user_may_have(user):
    most = 200

    async def subscribe() -> Any:
        socket = await opened(token_for(user))
        assert (await received(socket))["type"] == "connection_ack"
        for number in range(most):
            payload = {"query": "subscription { operations { id } }"}
            await send(socket, {"type": "subscribe", "id": str(number), "payload": payload})
        await send(socket, {"type": "subscribe", "id": "last", "payload": {"query": "{ __typename }"}})
        told = [await received(socket), await received(socket)]
        await socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await socket.wait(10)
        return told

    told = asyncio.run(subscribe())

    assert [(one["type"], one["id"]) for one in told] == [("next", "last"), ("complete", "last")]


def test_who_watches_keeps_nobody_from_signing_in(user, monkeypatch):
    is_reading, goes_on = threading.Event(), threading.Event()
    real = subscriptions.at_work

    def at_work(*given: Any) -> Any:
        is_reading.set()
        goes_on.wait(30)
        return real(*given)

    monkeypatch.setattr(subscriptions, "at_work", at_work)

    async def sign_in() -> bool:
        watching = await opened(token_for(user))
        assert (await received(watching))["type"] == "connection_ack"
        await send(
            watching, {"type": "subscribe", "id": "1", "payload": {"query": "subscription { operations { id } }"}}
        )
        assert await asyncio.to_thread(is_reading.wait, 10)
        other = await opened(token_for(user))
        assert (await received(other))["type"] == "connection_ack"
        is_watching = not goes_on.is_set()
        goes_on.set()
        for socket in (watching, other):
            await socket.send_input({"type": "websocket.disconnect", "code": 1000})
            await socket.wait(10)
        return is_watching

    assert asyncio.run(sign_in())
