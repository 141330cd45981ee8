"""GraphQL documents as bytes -> answers and events. As lean as a client can be: it shares the service's cores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

WATCH = "subscription ($id: ID!) { operation(id: $id) { state total processed failed message } }"
CREATE_UPLOAD = """
mutation ($name: String!, $size: BigInt) {
  createUpload(name: $name, size: $size) { id url method headers { name value } }
}
"""

numbers = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """An operation's last event."""

    operation: dict[str, Any]
    #: When it came, by perf_counter.
    at: float
    #: How many events there were, with this one.
    events: int


@dataclass(frozen=True, slots=True)
class Client:
    """One kept HTTP connection and one kept websocket, as a page in a browser has them."""

    http: httpx.Client
    websocket: ClientConnection

    def post(self, body: bytes) -> dict[str, Any]:
        """The data of a query or a mutation; raises SystemExit on errors."""
        answer = self.http.post("/graphql", content=body, headers={"Content-Type": "application/json"})
        result = answer.raise_for_status().json()
        if result.get("errors"):
            raise SystemExit(f"The service answered with errors: {result['errors']}")
        data: dict[str, Any] = result["data"]
        return data

    def upload(self, path: Path) -> str:
        """Send a file; gives its uploadId."""
        body = document(CREATE_UPLOAD, name=path.name, size=path.stat().st_size)
        place = self.post(body)["createUpload"]
        headers = {header["name"]: header["value"] for header in place["headers"]}
        with path.open("rb") as file:
            self.http.request(place["method"], place["url"], content=file, headers=headers).raise_for_status()
        return str(place["id"])

    def watch(self, operation_id: str) -> End:
        """Follow an operation to its last event; raises SystemExit unless it is COMPLETED."""
        subscription = str(next(numbers))
        payload = {"query": WATCH, "variables": {"id": operation_id}}
        self.websocket.send(json.dumps({"id": subscription, "type": "subscribe", "payload": payload}))
        end: End | None = None
        for events in count(1):
            message = json.loads(self.websocket.recv())
            if message["type"] == "complete":
                break
            if message["type"] != "next" or message["payload"].get("errors"):
                raise SystemExit(f"The subscription ended with {message}")
            operation = message["payload"]["data"]["operation"]
            end = End(operation=operation, at=perf_counter(), events=events)
        if end is None or end.operation["state"] != "COMPLETED":
            raise SystemExit(f"The operation did not complete: {end}")
        return end


@contextmanager
def connected(url: str, token: str) -> Iterator[Client]:
    """A client whose connections are open, as those of the limit's client are."""
    authorization = f"Bearer {token}"
    with (
        httpx.Client(base_url=url, headers={"Authorization": authorization}, timeout=600) as http,
        connect(
            f"{url.replace('http', 'ws', 1)}/graphql",
            subprotocols=[Subprotocol("graphql-transport-ws")],
        ) as websocket,
    ):
        websocket.send(json.dumps({"type": "connection_init", "payload": {"authorization": authorization}}))
        answer = json.loads(websocket.recv())
        if answer["type"] != "connection_ack":
            raise SystemExit(f"The websocket was not accepted: {answer}")
        yield Client(http, websocket)


def document(query: str, **variables: Any) -> bytes:
    """The body of a GraphQL request."""
    return json.dumps({"query": query, "variables": variables}).encode()
