"""Marks: whether rows of a table have changed, told by a statement for all of them."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bulkql.workers.images.literals import image_fields
from bulkql.workers.images.marks import both, marks_of, rows_by_pk
from tests.zoo.models import Animal, Tag, Toy

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


def changed(before: pl.Series, now: pl.Series) -> list[int]:
    """The places at which the marks are others."""
    return before.ne_missing(now).arg_true().to_list()


def test_nothing_has_changed():
    pks = make(3)
    marks = marks_of(Animal, "default", pks)

    assert marks.null_count() == 0
    assert marks.n_unique() == 3
    assert changed(marks, marks_of(Animal, "default", pks)) == []


@pytest.mark.parametrize("name", OTHERS)
def test_each_field_counts(name):
    pks = make(3)
    marks = marks_of(Animal, "default", pks)

    Animal.objects.filter(pk=pks[1]).update(**{name: OTHERS[name]})

    assert changed(marks, marks_of(Animal, "default", pks)) == [1]


def test_the_fields_that_are_tried_are_those_that_hold_something():
    clocks_and_keys = {"id", "token", "keeper", "born", "created", "changed"}

    assert {one.name for one in image_fields(Animal)} == {*OTHERS, *clocks_and_keys}


def test_a_row_that_is_not_there_has_no_mark():
    pks = make(3)
    marks = marks_of(Animal, "default", pks)

    Animal.objects.filter(pk=pks[0]).delete()

    assert marks_of(Animal, "default", pks).to_list() == [None, *marks[1:]]
    assert marks_of(Animal, "default", [*pks[:2], str(2**60)]).to_list() == [None, marks[1], None]
    assert marks_of(Animal, "default", pks[:1]).to_list() == [None]
    assert marks_of(Animal, "default", []).to_list() == []


def test_marks_come_in_the_order_of_the_keys_whether_dense_or_not():
    pks = make(500)
    marks = marks_of(Animal, "default", pks)

    for places in ([2, 0, 1], [50, 3, 98], list(range(99, -1, -2)), [7], [*range(300, 350), *range(50)], [499, 250]):
        assert marks_of(Animal, "default", [pks[n] for n in places]).to_list() == [marks[n] for n in places]


@pytest.mark.parametrize("key", ["it's", '"', "\\", "{a,b}", " ", "NULL", "%s", "ü\n"])
def test_any_text_may_be_a_key(key):
    Session.objects.create(session_key=key, session_data="", expire_date=timezone.now())

    assert marks_of(Session, "default", ["elsewhere", key]).is_null().to_list() == [True, False]


def test_a_change_that_was_taken_back_is_none():
    toy = Toy.objects.create(sku="a", name="ball", price=Decimal("1.00"))
    marks = marks_of(Toy, "default", [str(toy.pk)])
    Toy.objects.update(price=Decimal("2.00"))

    Toy.objects.update(price=Decimal("1.00"))

    assert changed(marks, marks_of(Toy, "default", [str(toy.pk)])) == []


def test_only_these_columns_count():
    tag = Tag.objects.create(name="t", color="red")
    color, name = (marks_of(Tag, "default", [str(tag.pk)], [column]) for column in ("color", "name"))
    Tag.objects.update(name="k")

    assert changed(color, marks_of(Tag, "default", [str(tag.pk)], ["color"])) == []
    assert changed(name, marks_of(Tag, "default", [str(tag.pk)], ["name"])) == [0]


@pytest.mark.postgresql
def test_one_statement_for_any_number_of_rows():
    pks = make(200)

    with CaptureQueriesContext(connection) as queries:
        marks_of(Animal, "default", pks)

    assert len(queries) == 1


@pytest.mark.postgresql
def test_rows_are_found_by_their_keys_and_not_by_a_look_at_the_whole_table():
    pks = make(20_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE zoo_animal")
        cursor.execute(f"EXPLAIN SELECT t.char FROM {rows_by_pk(Animal, 'default')}", both(pks[:2_000]))
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "Seq Scan" not in plan
