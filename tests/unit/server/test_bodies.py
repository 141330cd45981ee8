"""What is refused before its body is read is answered alike in our own deployment and in a project's."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from bulkql.server.auth import BearerMiddleware
from bulkql.server.bodies import Bodies
from bulkql.server.middleware import Handler
from bulkql.server.uploads.streaming import is_streamed
from bulkql.workers.conf import limits

NOBODYS = "00000000-0000-4000-8000-000000000000"


def ask(path: str, size: int, method: str = "POST") -> httpx.Response:
    """A request that announces so many bytes, and sends none of them."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=Bodies(Handler()))
        headers = {"Content-Length": str(size), "Content-Type": "application/json"}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, headers=headers, content=b"")

    return asyncio.run(send())


@pytest.fixture(params=["ours", "a project's"])
def deployment(request: pytest.FixtureRequest, settings: Any) -> str:
    """Our own settings, or those of a project that has none of ours."""
    if request.param != "ours":
        del settings.BULKQL_SIGN_IN_FIRST
        own = f"{BearerMiddleware.__module__}.{BearerMiddleware.__name__}"
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != own]
    return str(request.param)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "methods"),
    [
        ("GET", f"/uploads/{NOBODYS}", "PUT, HEAD, PATCH, DELETE, OPTIONS, POST"),
        ("GET", "/uploads", "POST, OPTIONS"),
        ("DELETE", f"/files/{NOBODYS}/x/results.csv", "GET, HEAD"),
        ("TRACE", "/graphql", "GET, POST"),
    ],
)
def test_a_method_that_is_not_served_is_told_which_are(client, method, path, methods):
    answer = client.generic(method, path)

    assert (answer.status_code, answer["Allow"]) == (405, methods)
    (error,) = answer.json()["errors"]
    assert (error["message"], error["extensions"]["code"]) == (f"{method} is not served here.", "BAD_INPUT")


@pytest.mark.django_db
def test_a_body_that_is_too_large_is_told_its_limit(deployment, monkeypatch):
    answer = ask("/graphql", limits().request_bytes + 1)

    expected = {"ours": (401, "UNAUTHENTICATED"), "a project's": (413, "LIMIT_EXCEEDED")}[deployment]
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == expected
    assert answer.headers["Connection"] == "close"
    assert "Content-Security-Policy" in answer.headers, "it passed through the middleware"


def test_a_project_has_its_own_limits_for_its_own_pages(deployment):
    answer = ask("/nothing", limits().form_bytes + 1)

    assert answer.status_code == (413 if deployment == "ours" else 404)


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "method"), [(f"/uploads/{NOBODYS}", "PATCH"), ("/uploads", "POST")])
def test_who_is_refused_an_upload_is_told_so_in_tus(path, method):
    answer = ask(path, 5, method)

    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert (answer.headers["Tus-Resumable"], answer.headers["Cache-Control"]) == ("1.0.0", "no-store")


def test_what_has_no_content_has_no_length():
    answer = ask("/uploads", 0, "OPTIONS")

    assert (answer.status_code, "Content-Length" in answer.headers) == (204, False)


@pytest.mark.parametrize(
    ("method", "headers", "is_so"),
    [
        ("PATCH", {"authorization": "Bearer x"}, True),
        ("POST", {"authorization": "Bearer x", "x-http-method-override": "PATCH"}, True),
        ("PATCH", {"authorization": "Bearer x", "x-http-method-override": "DELETE"}, False),
        ("PATCH", {"authorization": "Basic YTpi", "cookie": "sessionid=a"}, False),
        ("PATCH", {"cookie": "sessionid=a"}, False),
    ],
)
def test_bytes_are_stored_as_they_come_for_who_shows_a_token(method, headers, is_so):
    tus = {"tus-resumable": "1.0.0", "content-type": "application/offset+octet-stream"}

    assert is_streamed({"method": method}, tus | headers) == is_so
