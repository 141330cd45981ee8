"""Keys in which nulls are equal: NULLS NOT DISTINCT."""

from __future__ import annotations

import pytest

import bulkql
from bulkql.workers.enums import Verb
from bulkql.workers.resources.registry import resource_named
from tests.integration.sync.told import ANY, counts
from tests.zoo.models import Berth

# SQLite has no such keys.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]


@pytest.fixture(params=["COPY", "SAVE"])
def lane(request, monkeypatch) -> str:
    monkeypatch.setattr(type(resource_named("berths")), "writes", request.param)
    return request.param


@pytest.fixture
def berths(db) -> list[Berth]:
    places = [("a", 1), ("a", None), (None, 1), (None, None)]
    return [Berth.objects.create(cabin=cabin, number=number, guest=f"{cabin} {number}") for cabin, number in places]


@pytest.mark.parametrize("chunk_size", [1, 10])
@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPSERT])
def test_a_null_that_is_left_out_is_one_that_is_given(bulk, verb, chunk_size):
    guests = [{"cabin": None, "number": 1}, {"number": 1}, {"cabin": None}, {}]
    rows = [{"guest": f"g{n}", **guest} for n, guest in enumerate(guests)]

    done = bulk(verb, "berths", rows, None if verb == Verb.CREATE else ["guest"], chunk_size=chunk_size)

    assert done.outcomes == ["FAILED", "CREATED", "FAILED", "CREATED"]
    assert done.codes == [(index, None, "DUPLICATE_IN_REQUEST") for index in (0, 2)]


@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.UPSERT])
def test_rows_are_found_by_nulls(bulk, lane, berths, verb):
    keys = [(None, 1), ("a", None), (None, None), ("a", 1)]
    rows = [{"cabin": cabin, "number": number, "guest": f"z{n}"} for n, (cabin, number) in enumerate(keys)]

    done = bulk(verb, "berths", rows)

    assert (done.outcomes, done.codes) == (["UPDATED"] * 4, [])
    assert [row["pk"] for row in done.results] == [str(berths[place].pk) for place in (2, 1, 3, 0)]


def test_rows_are_deleted_by_nulls(bulk, lane, berths):
    done = bulk(Verb.DELETE, "berths", [{"cabin": None, "number": None}, {"cabin": "a", "number": None}])

    assert (done.outcomes, done.codes) == (["DELETED"] * 2, [])
    assert list(Berth.objects.order_by("pk")) == [berths[0], berths[2]]


def test_rows_are_missing_by_nulls(user, lane, berths):
    rows = [{"cabin": None, "number": 1, "guest": "None 1"}, {"cabin": None, "number": None, "guest": "zoe"}]

    operation = bulkql.sync(Berth, rows, user=user, **ANY)

    assert counts(operation) == {"updated": 1, "unchanged": 1, "deleted": 2}
    assert list(Berth.objects.order_by("pk")) == berths[2:]
