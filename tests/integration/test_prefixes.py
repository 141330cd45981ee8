"""The service under a prefix, which its proxy strips or keeps: HTTP and the websocket are where Django is."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from asgiref.testing import ApplicationCommunicator
from django.test import override_settings

from bulkql.server.auth import token_for
from tests.integration.test_sockets import received, send, served

pytestmark = pytest.mark.django_db(transaction=True)

#: FORCE_SCRIPT_NAME, ASGI's root_path, and the path that arrives.
WAYS = {
    "no prefix": (None, "", "/graphql"),
    "a setting, and a proxy that keeps the prefix": ("/sub", "", "/sub/graphql"),
    "a setting, and a proxy that strips the prefix": ("/sub", "", "/graphql"),
    "root_path, and a server that puts it before the path": (None, "/sub", "/sub/graphql"),
    "root_path, and a server that leaves it out of the path": (None, "/sub", "/graphql"),
}
CREATE_UPLOAD = 'mutation { createUpload(name: "a.csv") { url } }'


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def way(request):
    forced, root_path, path = request.param
    with override_settings(FORCE_SCRIPT_NAME=forced):
        yield root_path, path, "http://localhost" + (forced or root_path)


def upload_url(answer: Any) -> str:
    """Without the upload's id."""
    return str(answer["data"]["createUpload"]["url"]).rpartition("/")[0]


def test_a_request_of_megabytes_is_served_under_the_prefix(user, way):
    root_path, path, base = way

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app=served(), root_path=root_path)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            # More than a form may have.
            body = {"query": CREATE_UPLOAD, "variables": {"unused": "x" * 2_000_000}}
            return await client.post(path, json=body, headers={"Authorization": f"Bearer {token_for(user)}"})

    answer = asyncio.run(post())

    assert answer.status_code == 200, answer.text
    assert upload_url(answer.json()) == f"{base}/uploads"


def test_a_websocket_is_served_under_the_prefix(user, way):
    root_path, path, base = way

    async def ask() -> Any:
        scope = {"type": "websocket", "path": path, "root_path": root_path, "headers": [(b"host", b"localhost")]}
        socket = ApplicationCommunicator(served(), {**scope, "subprotocols": ["graphql-transport-ws"]})
        await socket.send_input({"type": "websocket.connect"})
        assert (await socket.receive_output(10))["type"] == "websocket.accept"
        await send(socket, {"type": "connection_init", "payload": {"authorization": f"Bearer {token_for(user)}"}})
        assert (await received(socket))["type"] == "connection_ack"
        await send(socket, {"type": "subscribe", "id": "1", "payload": {"query": CREATE_UPLOAD}})
        answer = (await received(socket))["payload"]
        await socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await socket.wait(10)
        return answer

    assert upload_url(asyncio.run(ask())) == f"{base}/uploads"


@pytest.mark.parametrize("path", ["/sub/graphiql", "/sub/sub/graphql", "/elsewhere/graphql"])
def test_a_websocket_elsewhere_is_refused(path):
    async def connect() -> Any:
        socket = ApplicationCommunicator(
            served(), {"type": "websocket", "path": path, "root_path": "/sub", "headers": []}
        )
        await socket.send_input({"type": "websocket.connect"})
        return await socket.receive_output(10)

    assert asyncio.run(connect()) == {"type": "websocket.close"}
