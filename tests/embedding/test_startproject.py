"""README's ten lines in a project of its own: mutations, uploads, the websocket and the project's own schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.embedding.project import LINES, Project, running

CSRF = "a" * 32
CREATE = "mutation ($i: BulkCreateInput!) { bulkCreate(input: $i) { id state created createdBy } }"
LATER = """mutation ($i: BulkCreateInput!, $start: DateTime) {
    bulkCreate(input: $i, options: {startAt: $start}) { id } }"""
WATCH = "subscription ($id: ID!) { operation(id: $id) { state created } }"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    with running(tmp_path_factory.mktemp("project")) as one:
        yield one


@pytest.fixture
def browser(project):
    """Ada's browser, with the session that the project's own login gave it."""
    cookies = {"sessionid": project.told["session"], "csrftoken": CSRF}
    with httpx.Client(base_url=project.url, cookies=cookies, headers={"X-CSRFToken": CSRF}, timeout=30) as client:
        yield client


def ask(browser: httpx.Client, query: str, **variables: Any) -> Any:
    answer = browser.post("/api/bulk/graphql", json={"query": query, "variables": variables}).json()
    assert "errors" not in answer, answer
    return answer["data"]


def watch(project: Project, operation_id: str) -> list[Any]:
    """All that the subscription tells of an operation."""
    told = []
    with subscribed(project, WATCH, id=operation_id) as messages:
        for message in messages:
            told.append(message["operation"])
    return told


@contextmanager
def subscribed(project: Project, query: str, **variables: Any) -> Iterator[Iterator[Any]]:
    """What a subscription tells, over the websocket at the prefix, to its end."""
    headers = {"Cookie": f"sessionid={project.told['session']}"}
    payload = {"query": query, "variables": variables}
    with connected(project, additional_headers=headers) as socket:
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv(timeout=10)) == {"type": "connection_ack"}
        socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        yield messages_of(socket)


def connected(project: Project, **options: Any) -> ClientConnection:
    url = f"{project.url.replace('http', 'ws', 1)}/api/bulk/graphql"
    return connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], **options)


def messages_of(socket: ClientConnection) -> Iterator[Any]:
    while (message := json.loads(socket.recv(timeout=20)))["type"] == "next":
        yield message["payload"]["data"]
    assert message == {"type": "complete", "id": "1"}


def test_the_readme_adds_ten_lines():
    added = "\n".join(LINES[f"mysite/{name}.py"] for name in ("settings", "urls", "asgi"))

    assert len([line for line in added.splitlines() if line]) == 10


def test_the_checks_have_nothing_to_say(project):
    assert project.told["checks"] == []


def test_the_projects_actors_keep_their_broker(project):
    assert project.told["brokers"] == ["StubBroker", "StubBroker", "NotifyingBroker"]


def test_under_wsgi_rows_are_written_too(project):
    assert project.told["wsgi"] == {"data": {"bulkCreate": {"state": "COMPLETED", "created": 1}}}


def test_inline_rows_are_written_by_a_user_without_a_username(browser):
    rows = [{"name": "Apple"}, {"name": "Pear"}]

    made = ask(browser, CREATE, i={"products": {"rows": rows}})["bulkCreate"]

    assert made == {"id": made["id"], "state": "COMPLETED", "created": 2, "createdBy": "ada@example.org"}


def test_a_row_of_the_wrong_type_is_a_row_error_in_the_projects_schema(browser):
    query = """mutation ($i: BulkCreateInput!) {
        bulkCreate(input: $i) { failed created rowErrors { edges { node { index path code } } } } }"""

    made = ask(browser, query, i={"products": {"rows": [{"name": ["no text"]}, {"name": "Plum"}]}})["bulkCreate"]

    error = {"index": 0, "path": "name", "code": "INVALID"}
    assert made == {"failed": 1, "created": 1, "rowErrors": {"edges": [{"node": error}]}}


def test_the_projects_own_field_stands_in_the_same_schema(browser):
    assert ask(browser, "{ greeting products { name } }")["greeting"] == "Hello from the project"


def test_an_upload_goes_to_the_prefix_and_is_watched_there(project, browser):
    upload = ask(browser, 'mutation { createUpload(name: "products.csv") { id url } }')["createUpload"]
    assert upload["url"] == f"{project.url}/api/bulk/uploads/{upload['id']}"
    assert browser.put(upload["url"], content=b'name\nFig\nKiwi\n""\n').status_code == 200
    made = ask(browser, CREATE, i={"products": {"file": {"uploadId": upload["id"]}}})["bulkCreate"]

    told = watch(project, made["id"])

    assert told[-1] == {"state": "COMPLETED", "created": 2}
    files = ask(browser, "query ($id: ID!) { operation(id: $id) { files { name url } } }", id=made["id"])
    results = next(one for one in files["operation"]["files"] if one["name"] == "results.csv")
    assert results["url"].startswith(f"{project.url}/api/bulk/files/{made['id']}/")
    assert browser.get(results["url"]).text.splitlines()[0] == "index,resource,outcome,pk"


def test_all_operations_of_a_user_are_watched(project, browser):
    start = datetime.now(UTC) + timedelta(hours=1)
    later = ask(browser, LATER, i={"products": {"rows": [{"name": "Quince"}]}}, start=start.isoformat())["bulkCreate"]
    with subscribed(project, "subscription { operations { id state created } }") as messages:
        # What is under way is told first, and shows that somebody listens.
        assert next(messages)["operations"] == {"id": later["id"], "state": "QUEUED", "created": 0}
        made = ask(browser, CREATE, i={"products": {"rows": [{"name": "Lemon"}]}})["bulkCreate"]

        assert next(messages)["operations"] == {"id": made["id"], "state": "COMPLETED", "created": 1}


def test_nobody_without_a_session_of_the_project(project):
    answer = httpx.post(
        f"{project.url}/api/bulk/graphql",
        json={"query": "{ bulkResources { name } }"},
        cookies={"csrftoken": CSRF},
        headers={"X-CSRFToken": CSRF},
    ).json()

    assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


def test_a_token_signs_in_where_the_middleware_is_though_no_backend_of_the_project_knows_tokens(project):
    authorization = f"Bearer {project.token}"

    answer = httpx.post(
        f"{project.url}/api/bulk/graphql", json={"query": "{ greeting }"}, headers={"Authorization": authorization}
    ).json()

    assert answer == {"data": {"greeting": "Hello from the project"}}
    with connected(project) as socket:
        socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": authorization}}))
        assert json.loads(socket.recv(timeout=10)) == {"type": "connection_ack"}


def test_graphiql_speaks_to_the_prefix(browser):
    page = browser.get("/api/bulk/graphiql")

    assert page.status_code == 200
    assert "/api/bulk/graphql" in page.text
