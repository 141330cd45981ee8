"""The schema without its server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from strawberry.types import ExecutionResult

from bulkql.schema.context import Context
from bulkql.schema.schema import schema

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
