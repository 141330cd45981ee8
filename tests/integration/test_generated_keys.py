"""Keys that the database makes of a row's fields (GeneratedField) hold as others do, by all writers."""

from __future__ import annotations

import pytest

from bulkql.workers.enums import Verb
from bulkql.workers.intake.requests import Mode
from bulkql.workers.operations.revert import RevertOptions, revert
from tests.integration.test_skip_existing import writer
from tests.zoo.models import Wheel

__all__ = ["writer"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]


@pytest.fixture(autouse=True)
def _wheels(db):
    Wheel.objects.bulk_create(Wheel(pk=100 + n, name=f"w{n}", size=n, spokes=n, rim=n) for n in range(1, 5))


def wheel(name, size, rim=0, spokes=7):
    return {"name": name, "size": size, "spokes": spokes, "rim": rim}


def builds():
    return dict(Wheel.objects.order_by("name").values_list("name", "build"))


@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPSERT])
def test_a_value_that_is_taken_is_an_error_of_its_row(bulk, verb):
    done = bulk(verb, "wheels", [wheel("new", 9), wheel("other", 2, 5, 2), wheel("third", 8, 3, 3)])

    assert done.outcomes == ["CREATED", "FAILED", "FAILED"]
    assert done.codes == [(1, "build", "ALREADY_EXISTS"), (2, None, "ALREADY_EXISTS")]
    assert builds() == {"new": 907, "w1": 101, "w2": 202, "w3": 303, "w4": 404}


def test_rows_that_exist_are_skipped_by_any_of_the_keys(bulk):
    rows = [wheel("new", 9), wheel("w1", 1, 8), wheel("other", 2, 5, 2), wheel("third", 8, 3, 3)]

    done = bulk(Verb.CREATE, "wheels", rows, skip_existing=True)

    # Which row has a value that the database makes is not asked.
    assert [(one["outcome"], one["pk"]) for one in done.results[1:]] == [
        ("UNCHANGED", "101"),
        ("UNCHANGED", None),
        ("UNCHANGED", None),
    ]
    assert builds() == {"new": 907, "w1": 101, "w2": 202, "w3": 303, "w4": 404}


@pytest.mark.parametrize("chunk_size", [1, 10])
def test_values_change_hands(bulk, chunk_size, writer):
    rows = [{"id": 100 + n, "size": 5 - n, "spokes": 5 - n, "rim": 5 - n} for n in range(1, 5)]

    done = bulk(Verb.UPDATE, "wheels", rows, chunk_size=chunk_size)

    if writer == "save":  # as a loop of save() would find them
        assert done.outcomes == ["FAILED"] * 4
    else:
        assert (done.outcomes, builds()) == (["UPDATED"] * 4, {"w1": 404, "w2": 303, "w3": 202, "w4": 101})


def test_of_rows_with_one_value_the_last_counts(bulk, writer):
    done = bulk(Verb.CREATE, "wheels", [wheel("a", 9), wheel("b", 9, 1), wheel("c", 8, 2)])

    guilty = (1, "ALREADY_EXISTS") if writer == "save" else (0, "DUPLICATE_IN_REQUEST")
    assert [(index, code) for index, _, code in done.codes] == [guilty]
    assert Wheel.objects.filter(build=907).count() == 1


def test_a_sync_and_its_revert(bulk, user):
    before = builds()

    done = bulk(Verb.SYNC, "wheels", [wheel("w1", 9, 9, 9), wheel("w2", 4, 2, 4), wheel("w3", 3, 3, 3), wheel("n", 8)])

    assert done.outcomes == ["UPDATED", "FAILED", "UNCHANGED", "CREATED"]
    assert builds() == {"n": 807, "w1": 909, "w2": 202, "w3": 303, "w4": 404}
    revert(done.operation, user, RevertOptions(mode=Mode.SYNC))
    assert builds() == before
