"""What tests share: users, and the pipeline without its queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from workers.intake import BulkRequest, Mode, Rows
from workers.models import Kind, Operation
from workers.operations import run
from workers.resources import resource_named
from workers.results import results, row_errors

Create = Callable[..., "Done"]


class Done:
    """A finished operation, as tests look at it."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.results = [row for _, row in results(operation, 1000, None).entries]
        self.errors = [row for _, row in row_errors(operation, 1000, None).entries]

    @property
    def outcomes(self) -> list[str]:
        return [row["outcome"] for row in self.results]

    @property
    def codes(self) -> list[tuple[int, str | None, str]]:
        """Index, path and code of each row error."""
        return [(row["index"], row["path"], row["code"]) for row in self.errors]


@pytest.fixture
def user(db: None, django_user_model: Any) -> Any:
    """A superuser."""
    return django_user_model.objects.create_superuser("ada", password="")


@pytest.fixture
def create(user: Any) -> Create:
    """Create inline rows of one resource, now."""

    def perform(name: str, rows: list[Any], **options: Any) -> Done:
        inputs = [Rows(resource=resource_named(name), rows=rows)]
        return Done(run(BulkRequest(kind=Kind.CREATE, user=user, inputs=inputs, mode=Mode.SYNC, **options)))

    return perform
