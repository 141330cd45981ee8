"""What an HTTP request costs, counted and not timed: trips into threads, and connections to the database."""

from __future__ import annotations

import asyncio
from typing import Any

import asgiref.sync
import httpx
import pytest
from django.db import connection

from bulkql.server.auth import token_for
from bulkql.workers.uploads.uploads import announce

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The functions for which the event loop went into a thread."""
    went: list[str] = []
    original = asgiref.sync.SyncToAsync.__call__

    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        went.append(getattr(self.func, "__qualname__", repr(self.func)))
        return await original(self, *args, **kwargs)

    monkeypatch.setattr(asgiref.sync.SyncToAsync, "__call__", call)
    return went


async def ask(method: str, path: str, **options: Any) -> httpx.Response:
    """One request to the service, without its server."""
    from bulkql.server.asgi import application

    transport = httpx.ASGITransport(app=application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.request(method, path, **options)


def test_request_without_a_database_goes_into_threads_for_its_begin_and_its_end_alone(trips):
    assert asyncio.run(ask("GET", "/healthz")).json() == {"status": "ok"}

    assert trips == [
        "Signal.asend.<locals>.sync_send",  # request_started: connections of the last request
        "close_old_connections",  # before the client reads
        "HttpResponseBase.close",  # request_finished: the connection goes back to its pool
    ]


def test_query_goes_into_a_thread_for_its_user_and_for_its_work(user, trips):
    headers = {"Authorization": f"Bearer {token_for(user)}"}

    answer = asyncio.run(ask("POST", "/graphql", headers=headers, json={"query": "{ operations { totalCount } }"}))

    assert answer.json() == {"data": {"operations": {"totalCount": 0}}}
    assert trips == [
        "user_of_token",  # before the body is read
        "Signal.asend.<locals>.sync_send",
        "operations_page",
        "close_old_connections",
        "HttpResponseBase.close",
    ]


def test_requests_share_a_connection(user):
    headers = {"Authorization": f"Bearer {token_for(user)}"}
    query = {"query": "{ operations { totalCount } }"}
    asyncio.run(ask("POST", "/graphql", headers=headers, json=query))
    opened = connection.pool.get_stats()["connections_num"]

    for _ in range(10):
        asyncio.run(ask("POST", "/graphql", headers=headers, json=query))

    assert connection.pool.get_stats()["connections_num"] == opened


def test_upload_gives_its_connection_back(user):
    def taken() -> int:
        stats = connection.pool.get_stats()
        return int(stats["pool_size"] - stats["pool_available"])

    upload = announce(user, "rows.csv", None)
    headers = {"Authorization": f"Bearer {token_for(user)}"}
    before = taken()

    answer = asyncio.run(ask("PUT", f"/uploads/{upload.id}", headers=headers, content=b"amount\n1\n"))

    assert (answer.json(), taken()) == ({"id": str(upload.id), "size": 9}, before)
