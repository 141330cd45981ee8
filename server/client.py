"""A client of the public API, as a script would write it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
        self.url = url
        self._authorization = f"Bearer {token}"

    def execute(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of a query or a mutation; raises RequestFailed."""
        body = {"query": query, "variables": variables}
        headers = {"Authorization": self._authorization}
        answer = httpx.post(f"{self.url}/graphql", json=body, headers=headers, timeout=120)
        return answered(answer)

    def upload(self, path: Path) -> str:
        """Send a file, however large; gives its uploadId. Raises RequestFailed."""
        with path.open("rb") as file:
            return self.send(path.name, file, path.stat().st_size)

    def send(self, name: str, content: Iterable[bytes], size: int | None) -> str:
        """Send bytes as a file of this name; gives its uploadId. Raises RequestFailed."""
        place = self.execute(CREATE_UPLOAD, name=name, size=size)["createUpload"]
        headers = {"Authorization": self._authorization, **{one["name"]: one["value"] for one in place["headers"]}}
        if size is not None:
            headers["Content-Length"] = str(size)
        answer = httpx.request(place["method"], place["url"], content=content, headers=headers, timeout=600)
        if answer.is_error:
            raise RequestFailed(errors_of(answer))
        return str(place["id"])

    @contextmanager
    def download(self, url: str) -> Iterator[Iterator[bytes]]:
        """The bytes of an operation's file, piece by piece; raises RequestFailed."""
        headers = {"Authorization": self._authorization}
        with httpx.stream("GET", url, headers=headers, timeout=120) as answer:
            if answer.is_error:
                answer.read()
                raise RequestFailed(errors_of(answer))
            yield answer.iter_bytes()

    def watch(self, operation_id: str, fields: str = TOTALS) -> Iterator[dict[str, Any]]:
        """An operation's events, to the last; raises RequestFailed."""
        query = f"subscription ($id: ID!) {{ operation(id: $id) {{ {fields} }} }}"
        for data in self.subscribe(query, id=operation_id):
            yield data["operation"]

    def subscribe(self, query: str, **variables: Any) -> Iterator[dict[str, Any]]:
        """The data of each event; raises RequestFailed.

        The protocol is graphql-transport-ws: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
        """
        url = f"{self.url.replace('http', 'ws', 1)}/graphql"
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


def answered(answer: httpx.Response) -> dict[str, Any]:
    """The data of a GraphQL answer; raises RequestFailed, also where it is none."""
    if answer.is_error or (body := json_of(answer)) is None or body.get("errors"):
        raise RequestFailed(errors_of(answer))
    data: dict[str, Any] = body["data"]
    return data


def errors_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """The errors of a refusal; one that says what came instead, where a proxy or another service answered."""
    body = json_of(answer)
    if body is not None and body.get("errors"):
        errors: list[dict[str, Any]] = body["errors"]
        return errors
    return [{"message": f"{answer.url} answered {answer.status_code}, and not as bulkql does; is the URL right?"}]


def json_of(answer: httpx.Response) -> dict[str, Any] | None:
    """The object that an answer is; None for one of another kind."""
    try:
        body = answer.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
