"""One user's slow, greedy or unread requests, and everybody else, who does not notice."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import websockets
from websockets.sync.client import connect

from tests.acceptance.rows import transactions, write_csv
from tests.acceptance.service import CREATE, Service, running, wait_for
from tests.acceptance.test_access import codes, user
from tests.acceptance.test_downloads import files

#: A pool that few can empty, and limits that are soon reached.
SMALL = {
    "BULKQL_POOL_CONNECTIONS": "4",
    "BULKQL_POOL_SECONDS": "8",
    # Who holds a connection keeps it longer than others wait for one.
    "BULKQL_STALL_SECONDS": "15",
    "BULKQL_USER_DOWNLOADS": "3",
    "BULKQL_USER_REQUESTS": "6",
    "BULKQL_USER_REQUESTS_WAITING": "3",
    "BULKQL_USER_SUBSCRIPTIONS": "2",
    "BULKQL_FORM_BYTES": "100000",
    "BULKQL_PAGE_ROWS": "5000",
    "BULKQL_ANSWER_ROWS": "25000",
    "BULKQL_REQUEST_BYTES": "1000000",
}
ROWS = 5_000
#: Larger than what the kernel and uvicorn take from a server whose client does not read.
LARGE = "{ financialTransactions(pagination: {limit: 5000}) { id amount description datetime } }"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with 5,000 rows and a pool of four."""
    directory = tmp_path_factory.mktemp("small")
    with running(directory / "data", **SMALL) as service:
        names = {"financialAccounts": "Account", "classificationStatuses": "Status"}
        parents = {name: {"rows": [{"name": f"{word} {n}"} for n in range(100)]} for name, word in names.items()}
        service.create({"mode": "SYNC"}, **parents)
        given = [row | {"description": "x" * 2_000} for row in transactions(ROWS)]
        for name, rows in (("good", given), ("bad", [row | {"amount": "none"} for row in given])):
            file = {"uploadId": service.client.upload(write_csv(directory / f"{name}.csv", rows))}
            service.finished(service.create({"label": name}, financialTransactions={"file": file})["id"], 120)
        yield service


@pytest.fixture
def reader(small: Service) -> str:
    """The token of a user who may write and read rows."""
    return user(small, "reader", "view_financialtransaction", "add_financialtransaction")


@pytest.fixture(autouse=True)
def nothing_is_left(small: Service) -> Iterator[None]:
    """Whoever was cut off by a test is gone before the next one begins."""
    yield
    wait_for(lambda: used(small) == {"userDownloads": 0, "userRequests": 1}, 40, "all shares to be free")


def used(service: Service, token: str | None = None) -> dict[str, int]:
    found = service.post("{ limits { name used } }", token=token)["data"]["limits"]
    return {one["name"]: int(one["used"]) for one in found if one["name"] in ("userDownloads", "userRequests")}


def connected(service: Service) -> socket.socket:
    """A connection that takes little before it is read."""
    place = urlsplit(service.url)
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    found.settimeout(60)
    found.connect((place.hostname, place.port))
    return found


def request(service: Service, method: str, path: str, token: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(service.url).netloc}", f"Authorization: Bearer {token}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def large_query(service: Service, token: str) -> bytes:
    body = json.dumps({"query": LARGE}).encode()
    headers = {"Content_Type": "application/json", "Content_Length": str(len(body))}
    return request(service, "POST", "/graphql", token, body, **headers)


def status_of(connection: socket.socket) -> int:
    """The status of an answer that has begun; the rest of it stays unread."""
    return int(connection.recv(12).split()[1])


def bytes_left(connection: socket.socket) -> int:
    return sum(map(len, iter(lambda: connection.recv(65536), b"")))


def others_are_served(service: Service) -> None:
    """Somebody else's request, and the orchestrator's question."""
    assert service.post("{ operations(first: 1) { totalCount } }")["data"]["operations"]["totalCount"] >= 1
    assert httpx.get(f"{service.url}/readyz", timeout=10).status_code == 200


def test_unread_answers_hold_no_connection(small, reader):
    with ExitStack() as stack:
        unread = [stack.enter_context(closing(connected(small))) for _ in range(6)]
        for connection in unread:
            connection.sendall(large_query(small, reader))
        assert [status_of(connection) for connection in unread] == [200] * 6

        others_are_served(small)


def test_unread_downloads_hold_no_connection_and_the_one_too_many_is_refused(small):
    bad = small.post('{ operations(filters: {label: "bad"}) { edges { node { id } } } }')["data"]["operations"]
    url = urlsplit(files(small, bad["edges"][0]["node"]["id"])["financialTransactions-failed.csv"]["url"])
    with ExitStack() as stack:
        unread = [stack.enter_context(closing(connected(small))) for _ in range(3)]
        for connection in unread:
            connection.sendall(request(small, "GET", url.path, small.token))
        assert [status_of(connection) for connection in unread] == [200] * 3

        others_are_served(small)
        refused = httpx.get(url.geturl(), headers={"Authorization": f"Bearer {small.token}"})

    assert (refused.status_code, codes(refused.json())) == (429, ["LIMIT_EXCEEDED"])
    assert refused.headers["Retry-After"] == "1"
    assert refused.json()["errors"][0]["message"] == (
        "4 downloads of yours at once exceed the limit of 3 (BULKQL_USER_DOWNLOADS); read one of them to its end first."
    )


def test_client_that_does_not_read_is_cut_off_and_its_share_is_free_again(small, reader):
    with closing(connected(small)) as connection:
        connection.sendall(large_query(small, reader))
        assert status_of(connection) == 200
        assert used(small, reader)["userRequests"] == 2

        wait_for(lambda: used(small, reader)["userRequests"] == 1, 40, "the client to be cut off")
        # What the kernel held already still comes, and then the end.
        assert bytes_left(connection) < ROWS * 2_000


def test_client_that_does_not_send_its_body_is_cut_off(small, reader):
    with closing(connected(small)) as connection:
        headers = {"Content_Type": "application/json", "Content_Length": "1000"}
        connection.sendall(request(small, "POST", "/graphql", reader, b'{"query"', **headers))

        assert status_of(connection) == 408


def test_requests_wait_for_their_users_turn_and_too_many_are_refused(small, reader):
    with ExitStack() as stack:
        unread = [stack.enter_context(closing(connected(small))) for _ in range(6)]
        for connection in unread:
            connection.sendall(large_query(small, reader))
        assert [status_of(connection) for connection in unread] == [200] * 6
        waiting = [stack.enter_context(closing(connected(small))) for _ in range(4)]
        for connection in waiting:
            connection.sendall(large_query(small, reader))

        # Three wait until the unread are cut off; for the fourth there is no place in the line.
        assert sorted(status_of(connection) for connection in waiting) == [200, 200, 200, 429]


def test_subscriptions_are_counted(small, reader):
    url = f"{small.url.replace('http', 'ws', 1)}/graphql"
    with connect(url, subprotocols=[websockets.Subprotocol("graphql-transport-ws")]) as websocket:
        websocket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {reader}"}}))
        assert json.loads(websocket.recv(10))["type"] == "connection_ack"
        for number in range(3):
            payload = {"query": "subscription { operations { id } }"}
            websocket.send(json.dumps({"type": "subscribe", "id": str(number), "payload": payload}))

        # Nothing happens that the others would tell of.
        refused = json.loads(websocket.recv(10))

    (error,) = refused["payload"] if refused["type"] == "error" else refused["payload"]["errors"]
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert error["message"] == (
        "3 subscriptions of yours at once exceed the limit of 2 (BULKQL_USER_SUBSCRIPTIONS); end some of them first."
    )


HUGE = str(299 * 1024 * 1024)
MULTIPART = "multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    ("method", "path", "kind", "status"),
    [
        ("PUT", "/uploads/00000000-0000-0000-0000-000000000000", "application/octet-stream", 401),
        ("PUT", "/uploads/00000000-0000-0000-0000-000000000000", MULTIPART, 401),
        ("POST", "/graphql", MULTIPART, 401),
        ("POST", "/graphql", "application/json", 401),
        ("POST", "/admin/login/", MULTIPART, 413),
        ("POST", "/graphiql", MULTIPART, 413),
        ("POST", "/nowhere", MULTIPART, 413),
        ("POST", "/healthz", MULTIPART, 413),
    ],
)
def test_body_of_nobody_is_refused_before_it_is_sent(small, method, path, kind, status):
    with closing(connected(small)) as connection:
        connection.sendall(request(small, method, path, "junk", b"--x\r\n", Content_Type=kind, Content_Length=HUGE))

        assert status_of(connection) == status


@pytest.mark.parametrize("path", ["/admin/login/", "/nowhere"])
def test_body_whose_size_is_not_announced_is_cut_where_a_form_ends(small, path):
    with closing(connected(small)) as connection:
        headers = {"Content_Type": MULTIPART, "Transfer_Encoding": "chunked"}
        connection.sendall(request(small, "POST", path, "junk", chunk(b"x" * 100_001), **headers))

        assert status_of(connection) == 413


def chunk(data: bytes) -> bytes:
    """One of many: the end of the body does not come."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def announced(service: Service, token: str, size: int | None) -> str:
    document = 'mutation ($size: BigInt) { createUpload(name: "t.csv", size: $size) { url } }'
    url: str = service.post(document, token=token, size=size)["data"]["createUpload"]["url"]
    return urlsplit(url).path


def test_upload_is_cut_off_at_the_first_byte_that_was_not_announced(small, reader):
    path = announced(small, reader, 10)
    with closing(connected(small)) as connection:
        connection.sendall(request(small, "PUT", path, reader, chunk(b"x" * 10), Transfer_Encoding="chunked"))
        connection.sendall(chunk(b"x"))

        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    assert answer.startswith("HTTP/1.1 413")
    assert "createUpload was told of 10 bytes, and more are coming; announce all of them." in answer


def test_upload_that_names_another_size_is_refused_before_it_is_sent(small, reader):
    path = announced(small, reader, 10)
    with closing(connected(small)) as connection:
        connection.sendall(request(small, "PUT", path, reader, b"x", Content_Length=HUGE))

        assert status_of(connection) == 413


def test_upload_is_for_those_who_may_write(small, reader):
    stranger = user(small, "stranger", "view_financialtransaction")

    refused = small.post('mutation { createUpload(name: "t.csv", size: 10) { url } }', token=stranger)

    assert codes(refused) == ["FORBIDDEN"]


def test_list_without_a_page_answers_with_a_default_one(small):
    assert len(small.post("{ financialTransactions { id } }")["data"]["financialTransactions"]) == 100


def test_aliases_share_one_limit(small):
    aliases = " ".join(f"a{n}: financialTransactions(pagination: {{limit: 5000}}) {{ id }}" for n in range(6))

    refused = small.post(f"{{ {aliases} }}")

    assert codes(refused) == ["LIMIT_EXCEEDED"]
    assert refused["errors"][0]["message"] == (
        "30,000 rows in one answer, all of its pages together, exceed the limit of 25,000 (BULKQL_ANSWER_ROWS); "
        "ask for smaller pages."
    )


def test_rows_are_written_while_a_user_reads_nothing(small, reader):
    with closing(connected(small)) as connection:
        connection.sendall(large_query(small, reader))
        given: dict[str, Any] = {"financialTransactions": {"rows": transactions(1)}}

        assert small.post(CREATE, token=reader, input=given)["data"]["bulkCreate"]["state"] == "COMPLETED"
