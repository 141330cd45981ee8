"""A multipart request beside its file: no more of it is read into memory than of a body of JSON."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncRequestFactory

from bulkql.server.graphql import GraphQLView

LIMIT = 200_000
QUERY = {"query": "{ __typename }"}


@pytest.fixture(autouse=True)
def small_limit(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = LIMIT


def answer(**fields: str) -> tuple[int, dict[str, Any]]:
    """The status and the body of the answer to a multipart request of a signed-in user."""
    request = AsyncRequestFactory().post("/graphql", fields)
    request.user = User(pk=1, username="ada", is_active=True)
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]

    async def ask() -> Any:
        return await GraphQLView.as_view()(request)

    response = asyncio.run(ask())
    return response.status_code, json.loads(response.content)


def operations(size: int) -> str:
    return json.dumps({**QUERY, "variables": {"text": "x" * size}})


@pytest.mark.parametrize("name", ["operations", "map", "anything"])
def test_fields_that_are_too_large_are_told_their_limit(name):
    status, body = answer(**{"operations": json.dumps(QUERY), "map": "{}", name: operations(LIMIT)})

    (error,) = body["errors"]
    assert (status, error["extensions"]["code"]) == (413, "LIMIT_EXCEEDED")
    assert error["message"] == (
        "The request has more than 200,000 bytes beside its file (DATA_UPLOAD_MAX_MEMORY_SIZE, which is "
        "BULKQL_REQUEST_BYTES in bulkql's own settings); send the rows as a file."
    )


def test_fields_within_their_limit_are_read():
    assert answer(operations=operations(LIMIT // 2), map="{}")[1]["data"] == {"__typename": "Query"}


def test_what_is_beyond_the_limit_takes_no_memory():
    peaks = []
    for factor in (4, 16):
        request = AsyncRequestFactory().post("/graphql", {"operations": operations(LIMIT * factor), "map": "{}"})
        tracemalloc.start()
        with pytest.raises(Exception, match="DATA_UPLOAD_MAX_MEMORY_SIZE"):
            request.FILES  # noqa: B018
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 4 * LIMIT
