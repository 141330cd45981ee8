"""The schema without its server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from strawberry.types import ExecutionResult

from bulkql.schema.context import Context
from bulkql.schema.schema import schema
from bulkql.workers.conf import limits
from bulkql.workers.intake import authority

Ask = Callable[..., Any]


class Refused(Exception):
    """The answer has errors: their codes and messages."""


@pytest.fixture
def ask() -> Ask:
    """Execute a document for a user; gives the data, or raises Refused."""

    def perform(user: Any, document: str, **variables: Any) -> Any:
        context = Context(request=None, user=user)
        result: Any = async_to_sync(schema().execute)(document, variable_values=variables, context_value=context)
        assert isinstance(result, ExecutionResult)
        if result.errors:
            raise Refused([((error.extensions or {}).get("code"), error.message) for error in result.errors])
        return result.data

    return perform


@pytest.fixture
def _asked_each_time(settings: Any) -> Iterator[None]:
    """What a user may do is asked anew each time: no answer is good for a moment longer."""
    settings.BULKQL_AUTHORITY_SECONDS = 0
    limits.cache_clear()
    authority._granted.clear()
    yield
    limits.cache_clear()
    authority._granted.clear()
