"""A client of the public API, as a script would write it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from gql import Client, GraphQLRequest
from gql.transport.httpx import HTTPXTransport
from gql.transport.websockets import WebsocketsTransport

CREATE_UPLOAD = "mutation ($name: String!, $size: BigInt) { createUpload(name: $name, size: $size) { id url method headers { name value } } }"
TOTALS = "id state total processed created updated unchanged deleted failed skipped rowsPerSecond message"


class BulkClient:
    """HTTP for mutations and queries, a websocket for subscriptions, PUT for files."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http = Client(transport=HTTPXTransport(url=f"{url}/graphql", headers=self._headers, timeout=120))
        self._token = token

    def execute(self, query: str, **variables: Any) -> dict[str, Any]:
        """A query or a mutation; raises gql's TransportQueryError."""
        result: dict[str, Any] = self._http.execute(GraphQLRequest(query, variable_values=variables))
        return result

    def upload(self, path: Path) -> str:
        """Send a file, however large; gives its uploadId."""
        size = path.stat().st_size
        place = self.execute(CREATE_UPLOAD, name=path.name, size=size)["createUpload"]
        headers = {**self._headers, **{one["name"]: one["value"] for one in place["headers"]}}
        with path.open("rb") as file:
            answer = httpx.request(place["method"], place["url"], content=file, headers=headers, timeout=None)  # noqa: S113
        answer.raise_for_status()
        return str(place["id"])

    def watch(self, operation_id: str, fields: str = TOTALS) -> Iterator[dict[str, Any]]:
        """An operation's events, to the last."""
        transport = WebsocketsTransport(
            url=f"{self._url.replace('http', 'ws', 1)}/graphql",
            init_payload={"authorization": f"Bearer {self._token}"},
            subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
        )
        query = f"subscription ($id: ID!) {{ operation(id: $id) {{ {fields} }} }}"
        request = GraphQLRequest(query, variable_values={"id": operation_id})
        # A loop of our own: gql leaves the one that it makes open.
        with asyncio.Runner() as runner:
            asyncio.set_event_loop(runner.get_loop())
            for event in Client(transport=transport).subscribe(request):
                yield event["operation"]
