"""A browser's session at the door: known, checked against forgery, and never parsed before."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient
from graphql import get_introspection_query

from bulkql.server import graphql
from bulkql.server.door import csrf

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/graphql"


def post(client, query="{ __typename }", **headers):
    body = {"query": query}
    return async_to_sync(client.post)(URL, body, content_type="application/json", headers=headers)


@pytest.fixture
def browser(user):
    """A browser with Django's session, whose forms are checked."""
    client = AsyncClient(enforce_csrf_checks=True)
    client.force_login(user)
    return client


@pytest.fixture
def parsed(monkeypatch):
    """The bodies that were parsed."""
    found = []
    decode = graphql.decode
    monkeypatch.setattr(graphql, "decode", lambda text: found.append(text) or decode(text))
    return found


def test_a_signed_in_browser_introspects(browser):
    browser.cookies["csrftoken"] = "a" * 32

    answer = post(browser, get_introspection_query(), **{"X-CSRFToken": "a" * 32}).json()

    assert answer["data"]["__schema"]["queryType"]["name"] == "Query"


def test_a_forged_request_is_refused_and_not_parsed(browser, parsed):
    answer = post(browser)

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]["code"], parsed) == (403, "FORBIDDEN", [])


@pytest.mark.parametrize("authorization", ["", "Bearer junk"])
def test_nobodys_body_is_not_parsed(parsed, monkeypatch, authorization):
    monkeypatch.setattr(csrf, "checked", lambda request: parsed.append(request))
    client = AsyncClient(enforce_csrf_checks=True)
    client.cookies["csrftoken"] = "a" * 32

    answer = post(client, Authorization=authorization)

    assert (answer.status_code, parsed) == (401, [])


def test_an_error_of_ours_is_json_and_tells_nothing(browser, monkeypatch, caplog):
    async def broken(*_, **__):
        raise KeyError("a row's secret")

    monkeypatch.setattr(graphql.GraphQLView, "run", broken)
    browser.cookies["csrftoken"] = "a" * 32

    answer = post(browser, **{"X-CSRFToken": "a" * 32})

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]["code"]) == (500, "INTERNAL")
    assert "secret" not in answer.content.decode() + caplog.text
