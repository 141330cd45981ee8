"""Which rows of a table are no longer what they were expected to be: marks, compared by a statement for all of them."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bulkql.workers.frames import ROW
from bulkql.workers.images.expected import changed_since, conflicts, marks_of
from bulkql.workers.images.literals import image_fields
from tests.zoo.models import Animal, Keeper, Tag, Toy

pytestmark = pytest.mark.django_db

#: For each field of Animal, another value than make() gives.
OTHERS = {
    "big": 2**40,
    "binary": b"\0\1",
    "boolean": False,
    "char": "cow",
    "date": timezone.now().date(),
    "datetime": timezone.now(),
    "decimal": Decimal("1.50"),
    "duration": timezone.timedelta(days=1),
    "email": "a@example.com",
    "number": 0.1,
    "address": "::1",
    "integer": 4,
    "json": {"a": [None, ""]},
    "positive": 3,
    "shout": "LOUD",
    "size": 2,
    "slug": "a-b",
    "plate": "AB-1",
    "text": "",
    "time": timezone.now().time(),
    "secret": "other",
}


def make(count: int) -> list[str]:
    """So many animals; their primary keys."""
    made = Animal.objects.bulk_create(Animal(char="ox", number=0.0, text=f"T {number}") for number in range(count))
    return [str(one.pk) for one in made]


def expected(pks: list[str], model: type = Animal) -> pl.DataFrame:
    """What they are now, as rows from 0."""
    marks = marks_of(model, "default", pks)
    rows = pl.DataFrame({ROW: range(len(pks)), "pk": pks}).with_columns(place=pl.int_range(pl.len()))
    return rows.join(marks, on="place", how="left").drop("place")


def test_nothing_has_changed():
    marks = expected(make(3))

    assert marks["mark"].null_count() == 0
    assert marks["mark"].n_unique() == 3
    assert changed_since(Animal, "default", marks).to_list() == []


@pytest.mark.parametrize("name", OTHERS)
def test_each_field_counts(name):
    pks = make(3)
    marks = expected(pks)

    Animal.objects.filter(pk=pks[1]).update(**{name: OTHERS[name]})

    assert changed_since(Animal, "default", marks).to_list() == [1]


def test_the_fields_that_are_tried_are_those_that_hold_something():
    clocks_and_keys = {"id", "token", "keeper", "born", "created", "changed"}

    assert {one.name for one in image_fields(Animal)} == {*OTHERS, *clocks_and_keys}


def test_a_row_that_is_gone_has_changed_and_one_that_was_to_be_gone_may_be_there():
    pks = make(3)
    marks = expected(pks).with_columns(mark=pl.when(pl.col(ROW) != 2).then("mark"))

    Animal.objects.filter(pk=pks[0]).delete()

    assert changed_since(Animal, "default", marks).to_list() == [0, 2]


def test_a_change_that_was_taken_back_is_none():
    toy = Toy.objects.create(sku="a", name="ball", price=Decimal("1.00"))
    marks = expected([str(toy.pk)], Toy)
    Toy.objects.update(price=Decimal("2.00"))

    Toy.objects.update(price=Decimal("1.00"))

    assert changed_since(Toy, "default", marks).to_list() == []


def test_only_these_columns_count():
    keeper, toy = Keeper.objects.create(code="k"), Tag.objects.create(name="t", color="red")
    marks = marks_of(Tag, "default", [str(toy.pk)], ["color"])
    rows = pl.DataFrame({ROW: [0], "pk": [str(toy.pk)], "mark": marks["mark"]})
    Tag.objects.update(name=keeper.code)

    assert changed_since(Tag, "default", rows, ["color"]).to_list() == []
    assert changed_since(Tag, "default", rows, ["name"]).to_list() == [0]


@pytest.mark.postgresql
def test_one_statement_for_any_number_of_rows():
    marks = expected(make(200))

    with CaptureQueriesContext(connection) as queries:
        changed_since(Animal, "default", marks)

    assert len(queries) == 1


def test_conflicts_name_the_rows():
    errors = conflicts(Toy, pl.Series([3, 5]), "the plan was made")

    assert errors.to_dicts() == [
        {
            ROW: row,
            "path": None,
            "code": "CONFLICT",
            "message": "This toy was changed since the plan was made; it is left as it is.",
            "data": None,
        }
        for row in (3, 5)
    ]
