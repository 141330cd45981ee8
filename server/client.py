"""A client of the public API, as a script would write it."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

import httpx
from websockets import Subprotocol
from websockets.sync.client import connect

CREATE_UPLOAD = """
mutation CreateUpload($name: String!, $size: BigInt) {
  createUpload(name: $name, size: $size) { id url method headers { name value } }
}
"""
TOTALS = "id state total processed created updated unchanged deleted failed skipped rowsPerSecond message"


PIECE_BYTES = 256 * 1024
#: What is tried again: the offset was another's, too many requests, and what a proxy says of a service that restarts.
AGAIN = (409, 423, 429, 502, 503, 504)
#: Tries without a byte getting through, after which an upload is given up: they take two minutes.
TRIES = 10


@cache
def trusted() -> ssl.SSLContext:
    """Whose certificates are good; to read those for each request would take longer than most requests."""
    return httpx.create_ssl_context()


class RequestFailed(Exception):
    """The service refused a request; `errors` are GraphQL's."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        self.errors = errors
        super().__init__("; ".join(error["message"] for error in errors))

    @property
    def reasons(self) -> list[str]:
        """What the errors tell programs beyond their codes (docs/errors.md)."""
        return [error["extensions"]["reason"] for error in self.errors if "reason" in (error.get("extensions") or {})]


class GatewayFailed(RequestFailed):
    """A proxy answered in the place of the service, which may have got the request all the same."""


class BulkClient:
    """HTTP for mutations and queries, a websocket for subscriptions, PUT for files."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._authorization = f"Bearer {token}"

    def execute(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of a query or a mutation; raises RequestFailed."""
        body = {"query": query, "variables": variables}
        headers = {"Authorization": self._authorization}
        answer = httpx.post(f"{self.url}/graphql", json=body, headers=headers, timeout=120, verify=trusted())
        return answered(answer)

    def upload(self, path: Path) -> str:
        """Send a file, however large; gives its uploadId. Raises RequestFailed."""
        with path.open("rb") as file:
            size = path.stat().st_size
            place = self.announce(path.name, size)
            self.send_to(place, size, lambda offset: pieces_from(file, offset))
            return str(place["id"])

    def announce(self, name: str, size: int | None) -> dict[str, Any]:
        """A place for a file, which send_to fills, or put where nobody knows how many bytes. Raises RequestFailed."""
        place: dict[str, Any] = self.execute(CREATE_UPLOAD, name=name, size=size)["createUpload"]
        return place

    def put(self, place: dict[str, Any], content: Iterable[bytes]) -> None:
        """Send bytes that come once, such as a pipe's, to their place; all of them or none. Raises RequestFailed."""
        headers = {"Authorization": self._authorization, **{one["name"]: one["value"] for one in place["headers"]}}
        answer = httpx.request(
            place["method"], place["url"], content=content, headers=headers, timeout=600, verify=trusted()
        )
        if answer.is_error:
            raise RequestFailed(errors_of(answer))

    def forget(self, place: dict[str, Any]) -> bool:
        """Give up an upload that is not whole; whether the service did, which may be away."""
        with suppress(httpx.TransportError):
            return httpx.delete(place["url"], headers=self._tus(), timeout=60, verify=trusted()).is_success
        return False

    def _tus(self) -> dict[str, str]:
        return {"Authorization": self._authorization, "Tus-Resumable": "1.0.0"}

    def send_to(
        self, place: dict[str, Any], end: int, content_from: Callable[[int], Iterable[bytes]], *, offset: int = 0
    ) -> None:
        """Send a file's bytes up to `end` by tus: where a connection is cut, it goes on from what is stored.

        `content_from` gives the bytes from an offset on, and may give more. Raises RequestFailed.
        """
        headers, tries = self._tus(), 0
        while offset < end:
            sent_from, answer = offset, None
            patch = {"Upload-Offset": str(offset), "Content-Length": str(end - offset)}
            patch["Content-Type"] = "application/offset+octet-stream"
            with suppress(httpx.TransportError):
                content = first_bytes(content_from(offset), end - offset)
                answer = httpx.patch(
                    place["url"], content=content, headers=headers | patch, timeout=600, verify=trusted()
                )
            if answer is None or answer.status_code in AGAIN:
                # The service, or what is between, was away for a moment.
                time.sleep(min(2**tries, 30) / 2)
                with suppress(httpx.TransportError):
                    answer = httpx.head(place["url"], headers=headers, timeout=60, verify=trusted())
            if answer is not None and answer.is_error and answer.status_code not in AGAIN:
                raise RequestFailed(errors_of(answer))
            offset = int(answer.headers["Upload-Offset"]) if answer is not None and answer.is_success else offset
            tries = 0 if offset > sent_from else tries + 1
            if tries > TRIES:
                raise RequestFailed([{"message": f"{offset:,} of {end:,} bytes are sent, and no more arrive."}])

    @contextmanager
    def download(self, url: str) -> Iterator[Iterator[bytes]]:
        """The bytes of an operation's file, piece by piece; raises RequestFailed."""
        headers = {"Authorization": self._authorization}
        with httpx.stream("GET", url, headers=headers, timeout=120, verify=trusted()) as answer:
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


def pieces_from(file: IO[bytes], offset: int) -> Iterator[bytes]:
    """A file's bytes from an offset on."""
    file.seek(offset)
    while piece := file.read(PIECE_BYTES):
        yield piece


def first_bytes(pieces: Iterable[bytes], count: int) -> Iterator[bytes]:
    """So many bytes of what is given piece by piece."""
    for piece in pieces:
        yield piece[:count]
        count -= len(piece)
        if count <= 0:
            return


def answered(answer: httpx.Response) -> dict[str, Any]:
    """The data of a GraphQL answer; raises RequestFailed, also where it is none."""
    body = json_of(answer)
    if answer.is_server_error and not refusals_of(body):
        raise GatewayFailed(errors_of(answer))
    if answer.is_error or body is None or refusals_of(body) or not isinstance(body.get("data"), dict):
        raise RequestFailed(errors_of(answer))
    data: dict[str, Any] = body["data"]
    return data


def errors_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """The errors of a refusal; one that says what came instead, where a proxy or another service answered."""
    if errors := refusals_of(json_of(answer)):
        return errors
    doubt = "is it running?" if answer.is_server_error else "is the URL right?"
    return [{"message": f"{answer.url} answered {answer.status_code}, and not as bulkql does; {doubt}"}]


def refusals_of(body: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The errors of an answer of GraphQL's."""
    errors = (body or {}).get("errors")
    is_list = isinstance(errors, list) and all(isinstance(one, dict) and "message" in one for one in errors)
    return errors if isinstance(errors, list) and is_list else []


def json_of(answer: httpx.Response) -> dict[str, Any] | None:
    """The object that an answer is; None for one of another kind."""
    try:
        body = answer.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
