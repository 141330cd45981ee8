"""operations(filters, order, first, after): every page exact, under each filter and order, for each user."""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from bulkql.workers.enums import State, Verb
from bulkql.workers.models import Input, Operation
from tests.integration.conftest import Refused

pytestmark = pytest.mark.django_db

OPERATIONS = """
query Find($filters: OperationFilter, $order: OperationOrder = CREATED_AT_DESC, $first: Int = 20, $after: String) {
  operations(filters: $filters, order: $order, first: $first, after: $after) {
    edges { cursor node { id label } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    totalCount
  }
}
"""
ORDERS = ("CREATED_AT_DESC", "CREATED_AT_ASC", "FINISHED_AT_DESC", "FINISHED_AT_ASC")
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def minutes(count: int) -> datetime:
    return NOON + timedelta(minutes=count)


def operation(owner: Any, label: str, created: int, finished: int | None = None, **fields: Any) -> Operation:
    """A stored operation, its times in minutes after noon."""
    stored = Operation.objects.create(verb=fields.pop("verb", Verb.CREATE), label=label, created_by=owner, **fields)
    times = {"created_at": minutes(created), "finished_at": minutes(finished) if finished is not None else None}
    Operation.objects.filter(pk=stored.pk).update(**times)
    stored.refresh_from_db()
    return stored


def labels(answer: Any) -> list[str]:
    return [edge["node"]["label"] for edge in answer["operations"]["edges"]]


@pytest.fixture
def crowd(user: Any) -> list[Operation]:
    """Operations with the same times in several of them, some of which are not over."""
    finished = (5, None, 5, 7, None, 5, 6, None, 7, 5, None, 6)
    return [operation(user, f"{n}", n // 5, end, dry_run=n % 2 == 0) for n, end in enumerate(finished)]


def in_order(operations: list[Operation], order: str) -> list[str]:
    """As Python sorts them: no time is later than any, ids decide last."""
    column = order.rpartition("_")[0].lower()
    later = datetime.max.replace(tzinfo=UTC)
    ordered = sorted(operations, key=lambda one: (getattr(one, column) or later, id_in_order(one.id)))
    return [str(one.id) for one in (reversed(ordered) if order.endswith("_DESC") else ordered)]


def id_in_order(one: uuid.UUID) -> list[str]:
    """Which of two ids is the lower one: MariaDB compares their parts from the last to the first."""
    parts = str(one).split("-")
    return parts[::-1] if connection.vendor == "mysql" else parts


@pytest.mark.parametrize("filters", [None, {"dryRun": True}])
@pytest.mark.parametrize("size", [1, 2, 5, 12, 20])
@pytest.mark.parametrize("order", ORDERS)
def test_pages_hold_each_operation_once_and_in_order(ask, user, crowd, order, size, filters):
    chosen = [one for one in crowd if filters is None or one.dry_run]

    found, after = [], None
    while True:
        page = ask(user, OPERATIONS, order=order, first=size, after=after, filters=filters)["operations"]
        found += [edge["node"]["id"] for edge in page["edges"]]
        assert page["totalCount"] == len(chosen)
        assert page["pageInfo"]["hasPreviousPage"] == (after is not None)
        assert page["pageInfo"]["endCursor"] == page["edges"][-1]["cursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        assert len(page["edges"]) == size
        after = page["pageInfo"]["endCursor"]

    assert found == in_order(chosen, order)


def test_newest_come_first_unless_told_otherwise(ask, user, crowd):
    assert ask(user, OPERATIONS) == ask(user, OPERATIONS, order="CREATED_AT_DESC")


@pytest.mark.parametrize("order", ORDERS)
def test_page_after_a_purged_operation_goes_on_behind_it(ask, user, crowd, order):
    after = ask(user, OPERATIONS, order=order, first=4)["operations"]["pageInfo"]["endCursor"]
    Operation.objects.get(pk=in_order(crowd, order)[3]).delete()

    page = ask(user, OPERATIONS, order=order, after=after)["operations"]

    assert [edge["node"]["id"] for edge in page["edges"]] == in_order(crowd, order)[4:]
    assert page["totalCount"] == len(crowd) - 1


def test_operation_that_ends_between_two_pages_hides_no_other(ask, user, crowd):
    expected = in_order(crowd, "FINISHED_AT_DESC")
    after = ask(user, OPERATIONS, order="FINISHED_AT_DESC", first=2)["operations"]["pageInfo"]["endCursor"]
    Operation.objects.filter(pk=expected[1]).update(finished_at=minutes(60))

    page = ask(user, OPERATIONS, order="FINISHED_AT_DESC", after=after)["operations"]

    assert [edge["node"]["id"] for edge in page["edges"]] == [expected[2], expected[3], expected[1], *expected[4:]]


FIRST = str(uuid.UUID(int=1)).encode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "ä",
        "no cursor",
        str(uuid.UUID(int=1)),
        base64.urlsafe_b64encode(b"CREATED_AT_DESC||").decode(),
        base64.urlsafe_b64encode(b"CREATED_AT_DESC|2024-05-01T12:00:00|" + str(uuid.UUID(int=1)).encode()).decode(),
        base64.urlsafe_b64encode(
            b"CREATED_AT_DESC|2024-05-01T12:00:00-23:59|" + str(uuid.UUID(int=1)).encode()
        ).decode(),
        base64.urlsafe_b64encode(b"LABEL_ASC|a|" + str(uuid.UUID(int=1)).encode()).decode(),
    ],
)
def test_wrong_cursor_is_bad_input(ask, user, cursor):
    with pytest.raises(Refused) as refused:
        ask(user, OPERATIONS, after=cursor)

    message = f"{cursor[:100]!r} is not a cursor; use one from pageInfo.endCursor."
    assert refused.value.args == ([("BAD_INPUT", message)],)


def test_cursor_of_another_order_is_bad_input(ask, user, crowd):
    after = ask(user, OPERATIONS, first=1)["operations"]["pageInfo"]["endCursor"]

    with pytest.raises(Refused) as refused:
        ask(user, OPERATIONS, order="FINISHED_AT_ASC", after=after)

    message = "The cursor is one of CREATED_AT_DESC, and the order is FINISHED_AT_ASC; start again without it."
    assert refused.value.args == ([("BAD_INPUT", message)],)


@pytest.fixture
def others(django_user_model: Any) -> Any:
    """A user who is no staff."""
    return django_user_model.objects.create_user("bob")


@pytest.fixture
def variety(user: Any, others: Any) -> None:
    """Operations that differ in all that filters know."""
    bare = operation(user, "bare", 0, 10, state=State.COMPLETED)
    both = operation(user, "Both of 100%", 1, 11, state=State.FAILED, verb=Verb.UPSERT)
    operation(user, "Bothered", 2, None, state=State.RUNNING, dry_run=True)
    operation(others, "bob's", 3, None, state=State.QUEUED, verb=Verb.DELETE)
    for position, name in enumerate(("financialAccounts", "animals")):
        Input.objects.create(operation=both, resource=name, position=position, chunk_size=1)
    Input.objects.create(operation=bare, resource="animals", position=0, chunk_size=1)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["bare", "Both of 100%", "Bothered", "bob's"]),
        ({"state": None, "label": None}, ["bare", "Both of 100%", "Bothered", "bob's"]),
        ({"state": ["COMPLETED"]}, ["bare"]),
        ({"state": ["QUEUED", "RUNNING", "CANCELING"]}, ["Bothered", "bob's"]),
        ({"state": []}, []),
        ({"kind": ["UPSERT", "DELETE"]}, ["Both of 100%", "bob's"]),
        ({"resource": "animals"}, ["bare", "Both of 100%"]),
        ({"resource": "financialAccounts"}, ["Both of 100%"]),
        ({"resource": "cities"}, []),
        ({"label": "Both"}, []),
        ({"label": "bare"}, ["bare"]),
        ({"labelContains": "Both"}, ["Both of 100%", "Bothered"]),
        ({"labelContains": "0%"}, ["Both of 100%"]),
        ({"createdAfter": "2024-05-01T12:01:00Z"}, ["Both of 100%", "Bothered", "bob's"]),
        ({"createdBefore": "2024-05-01T12:01:00Z"}, ["bare"]),
        ({"createdAfter": "2024-05-01T14:01:00+02:00", "createdBefore": "2024-05-01T12:02:00"}, ["Both of 100%"]),
        ({"createdAfter": "2024-04-30T12:02:00-23:59"}, ["Both of 100%", "Bothered", "bob's"]),
        ({"finishedAfter": "2024-05-01T12:10:00Z"}, ["bare", "Both of 100%"]),
        ({"finishedBefore": "2024-05-01T12:11:00Z"}, ["bare"]),
        ({"createdBy": "bob"}, ["bob's"]),
        ({"createdBy": "nobody"}, []),
        ({"dryRun": True}, ["Bothered"]),
        ({"dryRun": False}, ["bare", "Both of 100%", "bob's"]),
        ({"resource": "animals", "state": ["FAILED"], "kind": ["UPSERT"]}, ["Both of 100%"]),
    ],
)
def test_filters_let_through_what_meets_all_of_them(ask, user, variety, filters, expected):
    answer = ask(user, OPERATIONS, filters=filters, order="CREATED_AT_ASC")

    assert (labels(answer), answer["operations"]["totalCount"]) == (expected, len(expected))


def test_a_moment_that_utc_does_not_have_is_refused(ask, user):
    message = "`createdAfter` is 9999-12-31T23:59:59-23:59, which is not within the years 1 to 9999 in UTC."

    with pytest.raises(Refused) as refused:
        ask(user, OPERATIONS, filters={"createdAfter": "9999-12-31T23:59:59-23:59"})

    assert refused.value.args == ([("BAD_INPUT", message)],)


@pytest.mark.parametrize(
    "filters",
    [
        {"createdBy": "ada"},
        {"state": ["COMPLETED", "FAILED", "RUNNING"]},
        {"kind": ["CREATE", "UPSERT"]},
        {"resource": "animals"},
        {"label": "bare"},
        {"labelContains": "Both"},
        {"createdBefore": "2024-05-01T12:03:00Z"},
        {"finishedAfter": "2000-01-01T00:00:00Z"},
        {"dryRun": True},
    ],
)
@pytest.mark.parametrize("order", ORDERS)
def test_no_filter_shows_another_users_operations(ask, others, variety, filters, order):
    answer = ask(others, OPERATIONS, filters=filters, order=order)["operations"]

    assert (answer["edges"], answer["totalCount"]) == ([], 0)


def test_own_operations_are_found_among_those_of_others(ask, others, variety):
    assert labels(ask(others, OPERATIONS)) == ["bob's"]
    assert labels(ask(others, OPERATIONS, filters={"createdBy": "bob"}, order="FINISHED_AT_ASC")) == ["bob's"]


def test_cursor_of_another_user_shows_nothing_of_theirs(ask, user, others, variety):
    after = ask(user, OPERATIONS, order="CREATED_AT_ASC", first=1)["operations"]["pageInfo"]["endCursor"]

    assert labels(ask(others, OPERATIONS, order="CREATED_AT_ASC", after=after)) == ["bob's"]


@pytest.mark.parametrize("name", ["resource", "label", "labelContains", "createdBy"])
def test_text_that_the_database_does_not_take_is_bad_input(ask, user, name):
    with pytest.raises(Refused) as refused:
        ask(user, OPERATIONS, filters={name: "a\0b"})

    message = f"$filters.{name} has a null character, which the database does not take."
    assert refused.value.args == ([("BAD_INPUT", message)],)
