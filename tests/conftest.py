"""What tests share: users, and the pipeline without its queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.test import TransactionTestCase

from bulkql.workers.enums import Verb
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger.results import error_page, result_page
from bulkql.workers.models import Operation
from bulkql.workers.operations.running import run
from bulkql.workers.resources.registry import resource_named
from tests.emptying import empty
from tests.leftovers import end_sessions

Create = Callable[..., "Done"]
Bulk = Callable[..., "Done"]


class Done:
    """A finished operation, as tests look at it."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.results = [row for _, row in result_page(operation, 1000, None).entries]
        self.errors = [row for _, row in error_page(operation, 1000, None).entries]

    @property
    def outcomes(self) -> list[str]:
        return [row["outcome"] for row in self.results]

    @property
    def codes(self) -> list[tuple[int, str | None, str]]:
        """Index, path and code of each row error."""
        return [(row["index"], row["path"], row["code"]) for row in self.errors]


@pytest.fixture(autouse=True, scope="session")
def _quick_ends() -> Iterator[None]:
    """Tests with transactions of their own end with tables that are emptied, and not flushed."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TransactionTestCase, "_fixture_teardown", lambda _: empty())
        yield


@pytest.fixture(scope="session")
def django_db_setup(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """pytest-django's, and no session that a test left behind keeps the database from being dropped."""
    yield
    with django_db_blocker.unblock():
        left = end_sessions()
    # Of a process of xdist, what is to be said is said by the one that started it.
    getattr(request.config, "workeroutput", LEFT)["left"] = left


#: What this process has to say, or was told.
LEFT: dict[str, list[str]] = {}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    LEFT.setdefault("left", []).extend(getattr(node, "workeroutput", {}).get("left", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for session in LEFT.get("left", []):
        terminalreporter.write_line(f"A test left a session of the database open: {session}")


@pytest.fixture
def user(db: None, django_user_model: Any) -> Any:
    """A superuser. To hash a password would take longer than most tests."""
    return django_user_model.objects.create_superuser("ada")


@pytest.fixture
def bulk(user: Any) -> Bulk:
    """Carry out a verb with inline rows of one resource, now."""

    def perform(
        verb: Verb, name: str, rows: list[Any], match_by: Any = None, update_fields: Any = None, **options: Any
    ) -> Done:
        resource = resource_named(name)
        inputs = [InputRequest(resource=resource, rows=rows, match_by=match_by, update_fields=update_fields)]
        return Done(run(BulkRequest(verb=verb, user=user, inputs=inputs, **{"mode": Mode.SYNC, **options})))

    return perform


@pytest.fixture
def create(bulk: Bulk) -> Create:
    """Create inline rows of one resource, now."""
    return partial(bulk, Verb.CREATE)


#: Folders and files that take longest first: xdist hands them out in this order, and waits for the last.
LONGEST = ("acceptance", "embedding", "test_semantics.py", "integration", "unit")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, one after the other; within them the order stays."""
    items.sort(key=lambda item: next((place for place, one in enumerate(LONGEST) if one in item.path.parts), 0))
