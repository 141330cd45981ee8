"""Rows in several tables (multi-table inheritance): each verb finds them by the keys of either table."""

from __future__ import annotations

import pytest

from bulkql.workers.enums import Verb
from bulkql.workers.intake.requests import BulkRequest, Guard, InputRequest, Mode
from bulkql.workers.operations import running
from bulkql.workers.operations.revert import RevertOptions, revert
from bulkql.workers.resources.registry import resource_named
from tests.conftest import Done
from tests.zoo.models import Car, Vehicle

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _cars(db):
    for n in range(3):
        Car.objects.create(plate=f"p{n}", chassis=f"c{n}")
    Vehicle.objects.create(plate="bicycle")


def cars():
    return sorted(Car.objects.values_list("plate", "chassis", "seats"))


@pytest.mark.parametrize("key", ["plate", "chassis"])
def test_sync_deletes_the_rows_that_are_missing(user, key):
    rows = [{"plate": "p0", "chassis": "c0", "seats": 2}, {"plate": "new", "chassis": "new"}]
    item = InputRequest(resource=resource_named("cars"), rows=rows, match_by=[key], guard=Guard(max_deletes=2))

    operation = running.run(BulkRequest(verb=Verb.SYNC, user=user, inputs=[item], mode=Mode.SYNC))
    operation.refresh_from_db()

    assert Done(operation).outcomes == ["UPDATED", "CREATED", "DELETED", "DELETED"]
    assert cars() == [("new", "new", 4), ("p0", "c0", 2)]
    assert sorted(Vehicle.objects.values_list("plate", flat=True)) == ["bicycle", "new", "p0"]


@pytest.mark.parametrize(
    ("row", "is_known"),
    [
        ({"plate": "p1", "chassis": "other"}, True),
        ({"plate": "other", "chassis": "c1"}, True),
        ({"plate": "bicycle", "chassis": "other"}, False),
    ],
)
def test_rows_that_exist_are_skipped(bulk, row, is_known):
    before = cars()

    done = bulk(Verb.CREATE, "cars", [row], skip_existing=True)

    pk = str(Car.objects.get(plate="p1").pk) if is_known else None
    assert [(one["outcome"], one["pk"]) for one in done.results] == [("UNCHANGED", pk)]
    assert cars() == before


@pytest.mark.parametrize("key", ["plate", "chassis", "id"])
def test_rows_are_found_by_each_key(bulk, key):
    car = Car.objects.get(plate="p1")
    row = {key: car.pk if key == "id" else getattr(car, key)}

    done = bulk(Verb.UPDATE, "cars", [{**row, "seats": 7}], match_by=[key])
    gone = bulk(Verb.DELETE, "cars", [row], match_by=[key])

    assert (done.outcomes, gone.outcomes) == (["UPDATED"], ["DELETED"])
    assert not Vehicle.objects.filter(plate="p1").exists()


@pytest.mark.postgresql
def test_a_revert_brings_rows_back_in_each_table(bulk, user):
    before = cars()
    done = bulk(
        Verb.UPSERT, "cars", [{"plate": "p0", "chassis": "c0", "seats": 9}, {"plate": "n", "chassis": "n"}], ["plate"]
    )
    gone = bulk(Verb.DELETE, "cars", [{"plate": "p1"}], match_by=["plate"])

    undone = [revert(one.operation, user, RevertOptions(mode=Mode.SYNC)) for one in (gone, done)]

    assert [Done(one).outcomes for one in undone] == [["CREATED"], ["DELETED", "UPDATED"]]
    assert cars() == before
    assert Vehicle.objects.count() == 4


@pytest.mark.postgresql
@pytest.mark.parametrize("change", [{"maker": "n"}, {"seats": 9}, {"maker": "n", "seats": 9}])
def test_a_revert_restores_each_table_that_a_row_changed_in(bulk, user, change):
    done = bulk(Verb.UPDATE, "cars", [{"plate": "p1", **change}])

    undone = Done(revert(done.operation, user, RevertOptions(mode=Mode.SYNC)))

    assert undone.outcomes == ["UPDATED"]
    assert Car.objects.values_list("maker", "seats").get(plate="p1") == ("", 4)
