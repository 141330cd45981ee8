"""A frontend of another origin that BULKQL_ORIGINS names uses all of the service; others get no answer to read."""

from __future__ import annotations

import json

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.acceptance.service import running

OURS, OTHER = "https://app.example.org", "https://evil.example.org"
DOCUMENT = {"query": "{ operations { totalCount } }"}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("frontends") / "data", BULKQL_ORIGINS=OURS) as service:
        yield service


def readable_by(answer):
    return answer.headers.get("Access-Control-Allow-Origin")


def test_queries_and_uploads(service):
    token = {"Authorization": f"Bearer {service.token}"}
    create = {"query": 'mutation { createUpload(name: "a.csv") { url } }'}
    url = httpx.post(f"{service.url}/graphql", json=create, headers=token).json()["data"]["createUpload"]["url"]

    asked = httpx.post(f"{service.url}/graphql", json=DOCUMENT, headers={**token, "Origin": OURS})
    sent = httpx.put(httpx.URL(service.url).join(url), content=b"name\nCash\n", headers={**token, "Origin": OURS})
    elsewhere = httpx.post(f"{service.url}/graphql", json=DOCUMENT, headers={**token, "Origin": OTHER})

    assert (asked.status_code, readable_by(asked)) == (200, OURS)
    assert (sent.status_code, readable_by(sent)) == (200, OURS)
    assert readable_by(elsewhere) is None


def test_errors_are_readable_too(service):
    url = f"{service.url}/uploads/00000000-0000-4000-8000-000000000000"

    refused = httpx.put(url, headers={"Authorization": "Bearer x", "Origin": OURS})

    assert (refused.status_code, readable_by(refused)) == (401, OURS)


def test_its_websocket_opens_and_others_do_not(service):
    url = f"{service.url.replace('http', 'ws')}/graphql"

    with connect(url, origin=OURS, subprotocols=["graphql-transport-ws"]) as ours:
        payload = {"authorization": f"Bearer {service.token}"}
        ours.send(json.dumps({"type": "connection_init", "payload": payload}))
        answer = ours.recv(10)
    with pytest.raises(InvalidStatus) as refused:
        connect(url, origin=OTHER, subprotocols=["graphql-transport-ws"])

    assert "connection_ack" in answer
    assert refused.value.response.status_code == 403
