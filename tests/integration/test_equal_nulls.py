"""Keys in which nulls are equal: NULLS NOT DISTINCT."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

import bulkql
from bulkql.workers.enums import Verb
from bulkql.workers.resources.keys import UniqueKey, same_key
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


@pytest.mark.parametrize(
    "question",
    [
        "SELECT FROM told s JOIN zoo_berth t ON {same}",
        "SELECT FROM zoo_berth t WHERE NOT EXISTS (SELECT FROM told s WHERE {same})",
        "UPDATE zoo_berth t SET guest = t.guest FROM told s WHERE {same}",
    ],
)
def test_no_row_is_compared_with_each_of_the_table(db, question):
    Berth.objects.bulk_create(
        Berth(cabin=None if n % 2 else f"c{n}", number=None if n == 1 or n % 4 == 0 else n, guest=f"g{n}")
        for n in range(3_000)
    )
    same = same_key(Berth, "default", UniqueKey(("cabin", "number"), nulls_distinct=False))
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute("CREATE TEMPORARY TABLE told ON COMMIT DROP AS SELECT cabin, number FROM zoo_berth")
        cursor.execute("ANALYZE told; ANALYZE zoo_berth")
        cursor.execute(f"EXPLAIN ANALYZE {question.format(same=same)}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute(f"SELECT count(*) FROM told s JOIN zoo_berth t ON {same}")
        (found,) = cursor.fetchone()

    assert "Rows Removed by Join Filter" not in plan
    assert found == Berth.objects.count()


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
