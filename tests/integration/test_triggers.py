"""Triggers that drop rows: nothing is told to be there that is not."""

from __future__ import annotations

import pytest
from django.db import connection

from bulkql.workers.enums import Verb
from tests.integration.writers import write_by
from tests.zoo.models import Keeper, Toy

pytestmark = pytest.mark.django_db(transaction=True)

TRIGGER = """
CREATE FUNCTION drop_some() RETURNS trigger AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN RETURN CASE WHEN OLD.sku = 'x' THEN NULL ELSE OLD END; END IF;
    IF NEW.sku = 'x' THEN RETURN NULL; END IF;
    RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER drop_some BEFORE INSERT OR UPDATE OR DELETE ON zoo_toy FOR EACH ROW EXECUTE FUNCTION drop_some();
"""
REJECTED = [(0, None, "REJECTED")]


@pytest.fixture(params=["postgres", "save"], autouse=True)
def _writer(request, monkeypatch):
    write_by(request.param, monkeypatch)


@pytest.fixture(autouse=True)
def _trigger(db):
    Toy.objects.bulk_create([Toy(pk=1, sku="x", name="car"), Toy(pk=2, sku="b", name="ball")])
    with connection.cursor() as cursor:
        cursor.execute(TRIGGER)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION drop_some CASCADE")


@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPSERT])
def test_rows_that_are_dropped_are_not_created(bulk, verb):
    Toy.objects.all()._raw_delete("default")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE zoo_toy DISABLE TRIGGER drop_some; DELETE FROM zoo_toy;")
        cursor.execute("ALTER TABLE zoo_toy ENABLE TRIGGER drop_some")

    done = bulk(verb, "toys", [{"sku": "x", "name": "n"}, {"sku": "n", "name": "n"}])

    assert (done.outcomes, done.codes) == (["FAILED", "CREATED"], REJECTED)
    assert list(Toy.objects.values_list("sku", flat=True)) == ["n"]


def test_rows_that_are_dropped_beside_a_guilty_one(bulk):
    done = bulk(Verb.CREATE, "toys", [{"sku": "n", "name": "n"}, {"sku": "b", "name": "n"}])

    assert (done.outcomes, done.codes) == (["CREATED", "FAILED"], [(1, "sku", "ALREADY_EXISTS")])


@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.REPLACE, Verb.UPSERT])
def test_rows_that_keep_what_they_were_are_not_updated(bulk, verb):
    done = bulk(
        verb,
        "toys",
        [
            {"sku": "x", "name": "n"},
            {"sku": "b", "name": "n"},
        ],
    )

    assert (done.outcomes, done.codes) == (["FAILED", "UPDATED"], REJECTED)


def test_rows_that_stay_are_not_deleted(bulk):
    done = bulk(Verb.DELETE, "toys", [{"sku": "x"}, {"sku": "b"}])

    assert (done.outcomes, done.codes) == (["FAILED", "DELETED"], REJECTED)


def test_rows_that_stay_are_not_deleted_at_once(bulk):
    keeper = Keeper.objects.create(code="k")
    Keeper.objects.filter(pk=keeper.pk).delete()

    done = bulk(Verb.DELETE, "toys", [{"id": 1}, {"id": 2}, {"id": 3}])

    assert done.outcomes == ["FAILED", "DELETED", "FAILED"]
    assert done.codes == [(0, None, "REJECTED"), (2, "id", "NOT_FOUND")]
