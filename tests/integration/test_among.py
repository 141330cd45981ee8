"""Rows that have one of many values: found in one way on PostgreSQL and in another elsewhere, and they are the same."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bulkql.workers.resources.scope import among
from tests.zoo.models import Animal, Keeper, Shelf, Toy

pytestmark = pytest.mark.django_db

#: Texts that an array's text could take for something else.
TEXTS = ["", "a,b", 'say "x"', "back\\slash", "{a}", "NULL", " ", "'", "%s", "ü😀", "a\nb", "\\"]


def test_texts_are_what_they_are():
    Animal.objects.bulk_create(Animal(char="ab", text=text) for text in [*TEXTS, "other", "a", "b"])

    assert sorted(among(Animal.objects.all(), "text", TEXTS).values_list("text", flat=True)) == sorted(TEXTS)
    for text in TEXTS:
        assert [one.text for one in among(Animal.objects.all(), "text", [text])] == [text]


def test_numbers_uuids_keys_and_kinds_that_have_no_arrays():
    keepers = Keeper.objects.bulk_create(Keeper(code=code) for code in ("a", "b"))
    tokens = [uuid.UUID(int=number) for number in range(3)]
    Animal.objects.bulk_create(
        Animal(char="ab", token=token, big=2**63 - 1 - number, number=number / 2, keeper=keepers[number % 2])
        for number, token in enumerate(tokens)
    )

    def numbers(name, values):
        return sorted(one.token.int for one in among(Animal.objects.all(), name, values))

    assert numbers("token", tokens[1:]) == [1, 2]
    assert numbers("big", [2**63 - 1, -(2**63)]) == [0]
    assert numbers("keeper_id", ["b", "c"]) == [1]
    assert numbers("number", [0.0, 1.0, 7.0]) == [0, 2]
    assert numbers("token", []) == []


def test_the_rows_stay_those_of_the_queryset():
    shelf = Shelf.objects.create(code="S")
    Toy.objects.bulk_create(Toy(sku=sku, name="n", shelf=shelf if sku == "a" else None) for sku in "abc")

    assert [one.sku for one in among(Toy.objects.filter(shelf__code="S"), "sku", ["a", "b"])] == ["a"]
    assert [one.sku for one in among(Toy.objects.order_by("-sku"), "sku", ["a", "c"])] == ["c", "a"]


@pytest.mark.postgresql
def test_postgresql_gets_one_parameter_however_many_there_are():
    with CaptureQueriesContext(connection) as asked:
        list(among(Toy.objects.all(), "sku", [str(number) for number in range(1_000)]))

    assert "ANY(" in asked[0]["sql"]
