"""Who is not known is turned away before anything is read; a client's mistake is a request error, whatever it sends."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import websockets

from tests.acceptance.rows import transactions
from tests.acceptance.service import CREATE, Service
from tests.acceptance.test_access import data_of

GRAPHQL = "application/graphql-response+json"
FILE = "mutation ($input: BulkCreateInput!) { bulkCreate(input: $input) { id } }"


def doubling(levels: int) -> str:
    """Fragments that each spread the next one twice."""
    texts = [f"fragment F{level} on Query{{...F{level + 1} ...F{level + 1}}}" for level in range(levels)]
    return "".join(["{...F0}", *texts, f"fragment F{levels} on Query{{__typename}}"])


def sent(service: Service, token: str | None = None, method: str = "POST", **request: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token or service.token}", **request.pop("headers", {})}
    return httpx.request(method, f"{service.url}/graphql", headers=headers, timeout=60, **request)


def error_of(answer: httpx.Response) -> tuple[int, str, str]:
    """The status, the code and the message of an answer's only error; asserts that nothing was executed."""
    assert answer.headers["content-type"].startswith("application/")
    body = answer.json()
    (error,) = body["errors"]
    assert "data" not in body
    return answer.status_code, error["extensions"]["code"], error["message"]


@pytest.mark.parametrize(
    "content",
    [
        doubling(18).join(['{"query": "', '"}']),
        '{"query": "{ __schema { types { name } } }"}',
        '{"query": "{',
        "",
        "null",
        "[" * 100_000,
    ],
    ids=["doubling fragments", "introspection", "no JSON", "nothing", "null", "deep"],
)
@pytest.mark.parametrize("authorization", [None, "Bearer junk", "Bearer", "Basic YTpi", "x"])
def test_nobody_is_told_to_sign_in_whatever_they_send(service, content, authorization):
    headers = {"Content-Type": "application/json"} | ({"Authorization": authorization} if authorization else {})

    answer = httpx.post(f"{service.url}/graphql", content=content, headers=headers)

    assert error_of(answer)[:2] == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/plain"])
def test_nobody_with_a_cookie_for_forms_is_nobody(service, kind):
    cookies = {"csrftoken": "a" * 32, "sessionid": "b" * 32}

    answer = httpx.post(f"{service.url}/graphql", content=b"--x", headers={"Content-Type": kind}, cookies=cookies)

    assert error_of(answer)[:2] == (401, "UNAUTHENTICATED")


def test_nobody_gets_nothing_with_get_either(service):
    answer = httpx.get(f"{service.url}/graphql", params={"query": "{ __typename }"})

    assert error_of(answer)[:2] == (401, "UNAUTHENTICATED")


def test_doubling_fragments_of_somebody_known_are_counted_and_refused(service):
    status, code, message = error_of(sent(service, json={"query": doubling(18)}))

    assert (status, code) == (200, "LIMIT_EXCEEDED")
    assert message.startswith("786,431 fields and spreads in the query exceed the limit of 1,000 (BULKQL_QUERY_FIELDS)")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "The body is null; a JSON object with `query` is expected."),
        (5, "The body is a number; a JSON object with `query` is expected."),
        (True, "The body is a boolean; a JSON object with `query` is expected."),
        ("x", "The body is a string; a JSON object with `query` is expected."),
        ([], "The body is a list; a JSON object with `query` is expected. Send one request at a time."),
        ({}, "`query` is missing; the text of a GraphQL document is expected."),
        ({"query": " "}, "`query` is empty; the text of a GraphQL document is expected."),
        ({"query": 5}, "`query` is a number; the text of a GraphQL document is expected."),
        ({"query": "{a}", "variables": []}, "`variables` is a list; an object or null is expected."),
        ({"query": "{a}", "variables": "{}"}, "`variables` is a string; an object or null is expected."),
        ({"query": "{a}", "extensions": 1}, "`extensions` is a number; an object or null is expected."),
        ({"query": "{a}", "operationName": {}}, "`operationName` is an object; a string or null is expected."),
    ],
)
def test_a_body_of_another_shape_names_the_place(service, body, message):
    answer = sent(service, content=json.dumps(body), headers={"Content-Type": "application/json"})

    assert error_of(answer) == (400, "BAD_INPUT", message)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"\0", b"NaN{"])
def test_a_body_that_is_no_json_is_told_so(service, content):
    status, code, message = error_of(sent(service, content=content, headers={"Content-Type": "application/json"}))

    assert (status, code, message.partition(":")[0]) == (400, "BAD_INPUT", "This is not JSON")


@pytest.mark.parametrize(
    "content", ['{"query": "{__typename}", "variables": {"a": 1, "a": null}}', '[{"a": 1, "a": null}]']
)
def test_a_name_that_comes_twice_is_told(service, content):
    answer = sent(service, content=content, headers={"Content-Type": "application/json"})

    message = "An object has 'a' more than once, with 1 and None; leave all but one out."
    assert error_of(answer) == (400, "BAD_INPUT", message)


def test_a_parameter_that_comes_twice_is_told(service):
    query = sent(service, method="GET", params=[("query", "{ __typename }"), ("query", "{ nothing }")])
    form = {"operations": ['{"query": "{ __typename }"}'] * 2, "map": "{}"}
    fields = sent(service, data=form, files={"0": ("a.csv", b"")})
    files = sent(service, data={"operations": "{}", "map": "{}"}, files=[("0", ("a.csv", b"")), ("0", ("b.csv", b""))])

    told = [
        (400, "BAD_INPUT", f"The request has {name!r} 2 times; leave all but one out.")
        for name in ("query", "operations", "0")
    ]
    assert [error_of(answer) for answer in (query, fields, files)] == told


@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP, identity"])
def test_a_body_that_is_compressed_on_its_way_is_told_so(service, encoding):
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}

    status, code, message = error_of(
        sent(service, content=gzip.compress(b'{"query": "{ __typename }"}'), headers=headers)
    )

    assert (status, code) == (415, "BAD_INPUT")
    assert message.startswith(f"The body has Content-Encoding {encoding!r}, which is not undone here; send it without.")


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ("null", "`map` is null; an object of lists of paths is expected."),
        ('["a"]', "`map` is a list; an object of lists of paths is expected."),
        ('{"1": ["variables.input"]}', "`map` names the file '1', which is not in the request."),
        ('{"0": "variables.input"}', "`map.0` is no list of paths such as variables.input.accounts.file.upload."),
        ('{"0": [5]}', "`map.0` is no list of paths such as variables.input.accounts.file.upload."),
        ('{"0": ["variables.nothing"]}', "`map` puts a file at variables.nothing, which is not in `operations`."),
        ('{"0": [""]}', "`map` puts a file at , which is not in `operations`."),
        ('{"0": ["query.0"]}', "`map` puts a file at query.0, which is not in `operations`."),
        (
            '{"0": ["query"]}',
            "`map` puts a file at query, where `operations` has no null to take its place.",
        ),
        (
            '{"0": ["variables.input.financialAccounts.rows.0.name"]}',
            "financialAccounts.rows.0.name is a file; a row's fields are values, and a file of rows is given as "
            "`file: {upload}`.",
        ),
    ],
)
def test_a_file_that_is_in_no_place_for_files_is_told_its_path(service, places, message):
    operations = {"query": FILE, "variables": {"input": {"financialAccounts": {"rows": [{"name": None}]}}}}
    parts = {"operations": json.dumps(operations), "map": places}

    answer = sent(service, data=parts, files={"0": ("a.csv", b"name\na\n")}, headers={"Accept": GRAPHQL})

    assert error_of(answer) == (400, "BAD_INPUT", message)


@pytest.mark.parametrize("operations", ["null", "5", '"x"', "[]", "{", ""])
def test_operations_that_are_no_request_are_told_so(service, operations):
    answer = sent(service, data={"operations": operations, "map": "{}"}, files={"0": ("a.csv", b"")})

    assert error_of(answer)[:2] == (400, "BAD_INPUT")


@pytest.mark.parametrize(
    "content", [b"", b"--x", b"--x\r\n\r\n\r\n--x--", b'--x\r\nContent-Disposition: form-data; name="map"\r\n\r\n{']
)
@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "multipart/form-data", "multipart/form-data; boundary="]
)
def test_a_multipart_body_that_is_none_is_told_so(service, content, kind):
    assert error_of(sent(service, content=content, headers={"Content-Type": kind}))[:2] == (400, "BAD_INPUT")


def test_two_operations_without_a_name_are_none(service):
    text = "query A { __typename } query B { __typename }"

    status, code, message = error_of(sent(service, json={"query": text}, headers={"Accept": GRAPHQL}))
    named = sent(service, json={"query": text, "operationName": "B"})
    other = sent(service, json={"query": text, "operationName": "C"}, headers={"Accept": GRAPHQL})

    assert (status, code, "operationName" in message) == (400, "BAD_INPUT", True)
    assert named.json() == {"data": {"__typename": "Query"}}
    assert error_of(other)[:2] == (400, "BAD_INPUT")


def test_a_document_without_an_operation_is_told_what_to_write(service):
    alone = sent(service, json={"query": "fragment A on Query { __typename }"})
    other = sent(service, json={"query": "query A { __typename }", "operationName": "B"})

    messages = [
        "The document has no operation; write a query, a mutation or a subscription.",
        "The document has no operation 'B', which operationName asks for.",
    ]
    assert [error_of(answer) for answer in (alone, other)] == [(400, "BAD_INPUT", message) for message in messages]


def test_a_subscription_over_http_is_told_its_way(service):
    assert error_of(sent(service, json={"query": "subscription { operations { id } }"})) == (
        400,
        "BAD_INPUT",
        "Subscriptions come over the websocket on this path (graphql-transport-ws), not over HTTP.",
    )


def test_a_mutation_by_get_is_refused(service):
    answer = sent(service, method="GET", params={"query": 'mutation { createUpload(name: "a.csv") { id } }'})

    assert error_of(answer) == (405, "BAD_INPUT", "Mutations are sent with POST.")


def test_a_query_by_get_is_answered_and_kept_by_nobody(service):
    query = {"query": "query ($a: Boolean!) { __typename @include(if: $a) }", "variables": '{"a": true}'}

    answer = sent(service, method="GET", params=query)

    assert (answer.json(), answer.headers["cache-control"]) == ({"data": {"__typename": "Query"}}, "private, no-store")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_told_which_there_are(service, method):
    answer = sent(service, method=method)

    assert error_of(answer)[:2] == (405, "BAD_INPUT")
    assert answer.headers["allow"] == "GET, POST"


def test_another_content_type_is_told_which_there_are(service):
    answer = sent(service, content=b"{}", headers={"Content-Type": "text/plain"})

    assert error_of(answer)[:2] == (415, "BAD_INPUT")


def test_many_parameters_are_a_request_error(service):
    answer = sent(service, method="GET", params={f"a{number}": "" for number in range(2000)})

    assert error_of(answer)[:2] == (400, "BAD_INPUT")


@pytest.mark.parametrize(
    ("accept", "kind", "status"),
    [
        ("", "application/json", 200),
        ("*/*", "application/json", 200),
        ("text/html", "application/json", 200),
        ("application/json", "application/json", 200),
        (GRAPHQL, GRAPHQL, 400),
        (f"{GRAPHQL}, application/json", GRAPHQL, 400),
        (f"{GRAPHQL};q=0.5, application/json", "application/json", 200),
        (f"{GRAPHQL}" + ", a/b" * 5000, "application/json", 200),
    ],
)
def test_the_media_type_is_the_clients_and_tells_the_status(service, accept, kind, status):
    answer = sent(service, json={"query": "{ nothing }"}, headers={"Accept": accept})

    assert (answer.headers["content-type"], answer.status_code) == (f"{kind}; charset=utf-8", status)


def test_what_was_executed_has_data_even_where_it_failed(service):
    given = {"financialTransactions": {"rows": transactions(1)}}
    body = {"query": CREATE, "variables": {"input": given, "options": {"chunkSize": 0}}}

    answer = sent(service, json=body, headers={"Accept": GRAPHQL})

    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (200, ["bulkCreate"])


@pytest.fixture
def quiet(service: Service) -> Iterator[None]:
    """The web process logs no traceback meanwhile."""
    log = data_of(service) / "log" / "web.log"
    before = log.stat().st_size
    yield
    assert "Traceback" not in log.read_bytes()[before:].decode()


@pytest.mark.parametrize("path", ["/nothing", "/graphql/", "/", "/admin/"])
def test_a_websocket_on_another_path_is_refused_without_a_traceback(service, path, quiet):
    async def connect() -> int:
        try:
            async with websockets.connect(f"{service.url.replace('http', 'ws', 1)}{path}"):
                return 101
        except websockets.InvalidStatus as error:
            return error.response.status_code

    assert asyncio.run(connect()) == 403


def test_a_long_frame_of_nobody_is_not_read(service, quiet):
    async def send() -> int | None:
        url = f"{service.url.replace('http', 'ws', 1)}/graphql"
        async with websockets.connect(url, subprotocols=["graphql-transport-ws"]) as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": {"a": "x" * 100_000}}))
            await socket.wait_closed()
            return socket.close_code

    assert asyncio.run(send()) == 4400


@pytest.mark.parametrize("is_signed_in", [False, True])
def test_a_message_of_nobody_is_not_kept_until_it_ends(service, quiet, is_signed_in):
    async def send() -> int | None:
        url = f"{service.url.replace('http', 'ws', 1)}/graphql"
        async with websockets.connect(url, subprotocols=["graphql-transport-ws"]) as socket:
            if is_signed_in:
                shown = {"authorization": f"Bearer {service.token}"}
                await socket.send(json.dumps({"type": "connection_init", "payload": shown}))
                await socket.recv()

            async def pieces() -> AsyncIterator[str]:
                for _ in range(6):
                    yield "x" * 50_000
                if not is_signed_in:
                    await socket.wait_closed()

            with suppress(websockets.ConnectionClosed):
                await socket.send(pieces())
            await socket.wait_closed()
            return socket.close_code

    # Read to its end, it is no JSON.
    assert asyncio.run(send()) == (4400 if is_signed_in else 1009)
