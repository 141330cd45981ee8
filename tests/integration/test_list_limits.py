"""Lists have a default page, a largest page, and a time; a statement ends with its client."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connections

from bulkql.examples.ledger.models import ClassificationStatus
from bulkql.schema.context import Context
from bulkql.schema.limits import fetching
from bulkql.schema.schema import schema
from bulkql.workers import conf
from tests.integration.conftest import Refused


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("reader")


def stored(count: int) -> None:
    ClassificationStatus.objects.bulk_create(ClassificationStatus(name=f"{number:04}") for number in range(count))


def test_list_without_a_page_has_a_default_one_in_the_order_of_keys(ask, admin):
    stored(150)

    found = ask(admin, "{ classificationStatuses { name } }")["classificationStatuses"]

    assert [one["name"] for one in found] == [f"{number:04}" for number in range(100)]


@pytest.mark.parametrize("page", ["{limit: 120}", "{offset: 0, limit: 120}"])
def test_page_is_as_long_as_it_was_asked_for(ask, admin, page):
    stored(150)

    assert (
        len(ask(admin, f"{{ classificationStatuses(pagination: {page}) {{ id }} }}")["classificationStatuses"]) == 120
    )


def test_page_that_is_too_long_is_refused(ask, admin):
    with pytest.raises(Refused, match=r"LIMIT_EXCEEDED.*1,001 classificationStatuses in a page .*BULKQL_PAGE_ROWS"):
        ask(admin, "{ classificationStatuses(pagination: {limit: 1001}) { id } }")


def test_page_without_end_is_bad_input(ask, admin):
    with pytest.raises(Refused, match=r"BAD_INPUT.*limit is -1"):
        ask(admin, "{ classificationStatuses(pagination: {limit: -1}) { id } }")


def test_aliases_share_one_limit_and_nothing_is_executed(ask, admin, monkeypatch):
    monkeypatch.setattr(fetching, "fetch", lambda *_: pytest.fail("a list was read"))
    monkeypatch.setattr("bulkql.schema.lists.fields.fetch", lambda *_: pytest.fail("a list was read"))
    aliases = " ".join(f"a{n}: classificationStatuses(pagination: {{limit: 1000}}) {{ id }}" for n in range(26))

    with pytest.raises(Refused, match=r"LIMIT_EXCEEDED.*26,000 rows in one answer.*BULKQL_ANSWER_ROWS"):
        ask(admin, f"{{ {aliases} }}")


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_list_that_takes_too_long_is_ended(ask, monkeypatch):
    given = replace(conf.limits(), list_seconds=1)
    monkeypatch.setattr(fetching, "limits", lambda: given)
    user = User.objects.create_superuser("reader")
    monkeypatch.setattr("bulkql.schema.lists.fields.fetch", sleeping(5))

    with pytest.raises(Refused, match=r"LIMIT_EXCEEDED.*takes longer than the limit of 1 seconds .BULKQL_LIST_SECONDS"):
        ask(user, "{ classificationStatuses { id } }")


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_statement_ends_with_its_client(monkeypatch):
    user = User.objects.create_superuser("reader")
    monkeypatch.setattr("bulkql.schema.lists.fields.fetch", sleeping(50))

    async def leave() -> None:
        context = Context(request=None, user=user)
        asked = asyncio.create_task(schema().execute("{ classificationStatuses { id } }", context_value=context))
        await until(lambda: asleep() == 1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await until(lambda: asleep() == 0)
        # Django's handler does so at the end of a request.
        await sync_to_async(connections.close_all)()

    asyncio.run(leave())


def sleeping(seconds: int) -> Any:
    """A list of which each row takes so long."""
    real = fetching.fetch

    def fetch(rows: Any, name: str) -> None:
        ClassificationStatus.objects.get_or_create(name="one")
        real(rows.model.objects.extra(where=[f"pg_sleep({seconds}) IS NOT NULL"]), name)

    return fetch


async def until(condition: Any) -> None:
    """Wait for the database to say so; it does not call back."""
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def asleep() -> int:
    """The statements that sleep in the database."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE %s AND state = 'active' AND pid <> pg_backend_pid()"
    with connections["default"].cursor() as cursor:
        cursor.execute(query, ["%pg_sleep%"])
        count: int = cursor.fetchone()[0]
    connections["default"].close()
    return count
