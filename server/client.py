"""A client of the public API, as a script would write it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from websockets import Subprotocol
from websockets.sync.client import connect

CREATE_UPLOAD = """
mutation CreateUpload($name: String!, $size: BigInt) {
  createUpload(name: $name, size: $size) { id url method headers { name value } }
}
"""
TOTALS = "id state total processed created updated unchanged deleted failed skipped rowsPerSecond message"


class RequestFailed(Exception):
    """The service refused a request; `errors` are GraphQL's."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        self.errors = errors
        super().__init__("; ".join(error["message"] for error in errors))


class BulkClient:
    """HTTP for mutations and queries, a websocket for subscriptions, PUT for files."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._authorization = f"Bearer {token}"

    def execute(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of a query or a mutation; raises RequestFailed."""
        body = {"query": query, "variables": variables}
        headers = {"Authorization": self._authorization}
        answer = httpx.post(f"{self._url}/graphql", json=body, headers=headers, timeout=120).json()
        if answer.get("errors"):
            raise RequestFailed(answer["errors"])
        data: dict[str, Any] = answer["data"]
        return data

    def upload(self, path: Path) -> str:
        """Send a file, however large; gives its uploadId. Raises RequestFailed."""
        place = self.execute(CREATE_UPLOAD, name=path.name, size=path.stat().st_size)["createUpload"]
        headers = {"Authorization": self._authorization, **{one["name"]: one["value"] for one in place["headers"]}}
        with path.open("rb") as file:
            answer = httpx.request(place["method"], place["url"], content=file, headers=headers, timeout=600)
        if answer.is_error:
            raise RequestFailed(answer.json()["errors"])
        return str(place["id"])

    def watch(self, operation_id: str, fields: str = TOTALS) -> Iterator[dict[str, Any]]:
        """An operation's events, to the last; raises RequestFailed."""
        query = f"subscription ($id: ID!) {{ operation(id: $id) {{ {fields} }} }}"
        for data in self.subscribe(query, id=operation_id):
            yield data["operation"]

    def subscribe(self, query: str, **variables: Any) -> Iterator[dict[str, Any]]:
        """The data of each event; raises RequestFailed.

        The protocol is graphql-transport-ws: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
        """
        url = f"{self._url.replace('http', 'ws', 1)}/graphql"
        with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], max_size=None) as socket:
            socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": self._authorization}}))
            for text in socket:
                message = json.loads(text)
                if message["type"] == "connection_ack":
                    payload = {"query": query, "variables": variables}
                    socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
                elif message["type"] == "next":
                    if errors := message["payload"].get("errors"):
                        raise RequestFailed(errors)
                    yield message["payload"]["data"]
                elif message["type"] == "error":
                    raise RequestFailed(message["payload"])
                elif message["type"] == "ping":
                    socket.send(json.dumps({"type": "pong"}))
                elif message["type"] == "complete":
                    return
