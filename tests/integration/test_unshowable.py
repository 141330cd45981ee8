"""A value that cannot be shown is null with an error of its field: its row and its page are there."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection

from bulkql.examples.places.models import Country
from bulkql.schema.context import Context
from bulkql.schema.failures import coded
from bulkql.schema.schema import schema
from tests.zoo.models import Animal, Folder, ShoutField, Toy

pytestmark = pytest.mark.django_db(transaction=True)


def answer(user: Any, document: str) -> tuple[Any, list[tuple[str, Any, str]]]:
    """The data; the code, the path and the message of each error."""
    result = async_to_sync(schema().execute)(document, context_value=Context(request=None, user=user))
    errors = [coded(error) for error in result.errors or ()]
    return result.data, [(error.extensions["code"], error.path, error.message) for error in errors]


def store(table: str, column: str, value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f'UPDATE {table} SET "{column}" = {value} WHERE id = (SELECT max(id) FROM {table})')


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("size", "7"),
        ("date", "'infinity'"),
        ("date", "'20000-01-01'"),
        ("datetime", "'-infinity'"),
        ("time", "'24:00'"),
        ("duration", "interval '100000000 years'"),
        ("number", "'NaN'"),
        ("number", "'-Infinity'"),
        ("decimal", "'NaN'"),
    ],
)
def test_a_value_of_another_time_leaves_its_page(user, column, value):
    for char in ("aa", "bb"):
        Animal.objects.create(char=char)
    store("zoo_animal", column, value)

    data, errors = answer(user, f"{{ animals(order: [{{id: ASC}}]) {{ char {column} }} }}")

    assert [row["char"] for row in data["animals"]] == ["aa", "bb"]
    assert data["animals"][1][column] is None
    assert [(code, path) for code, path, _ in errors] == [("INTERNAL", ["animals", 1, column])]
    assert errors[0][2].startswith(f"animals.{column} of ")


def test_a_choice_that_was_left_blank_is_null_and_one_of_another_time_is_told(user):
    for iso, continent in (("AA", "EU"), ("BB", ""), ("CC", "XX")):
        Country.objects.create(iso=iso, iso3=f"{iso}{iso[0]}", name=iso, continent=continent)

    data, errors = answer(user, "{ countries(order: [{iso: ASC}]) { iso continent } }")

    assert [row["continent"] for row in data["countries"]] == ["EU", None, None]
    assert [(code, path) for code, path, _ in errors] == [("INTERNAL", ["countries", 2, "continent"])]
    assert errors[0][2] == "countries.continent of CC is XX, which its type does not have."


def test_a_field_whose_code_raises_leaves_its_page(user, monkeypatch):
    def from_db_value(self: Any, value: Any, *_: Any) -> Any:
        if value == "BAD":
            raise RuntimeError(value)
        return value

    for char, shout in (("aa", "good"), ("bb", "bad")):
        Animal.objects.create(char=char, shout=shout)
    monkeypatch.setattr(ShoutField, "from_db_value", from_db_value, raising=False)

    data, errors = answer(user, "{ animals(order: [{id: ASC}]) { char shout } }")

    assert [row["shout"] for row in data["animals"]] == ["GOOD", None]
    assert [message.split(" of ")[0] for _, _, message in errors] == ["animals.shout"]
    assert errors[0][2].endswith(" cannot be read: RuntimeError.")


@pytest.mark.postgresql
def test_a_value_of_a_row_that_is_pointed_to_leaves_its_page_too(user, monkeypatch):
    """What is read along with the rows is read by a query of its own."""

    def from_db_value(self: Any, value: Any, *_: Any) -> Any:
        raise ValueError(value)

    Folder.objects.create(name="leaf", parent=Folder.objects.create(name="root"))
    field: Any = Folder._meta.get_field("name")
    monkeypatch.setattr(field, "from_db_value", from_db_value, raising=False)

    data, errors = answer(user, "{ folders(filters: {parent: {isNull: false}}) { id parent { id } } }")
    assert (len(data["folders"]), errors) == (1, [])

    data, errors = answer(user, "{ toys { sku } folders { parent { name } } }")
    assert data is None or data["folders"] is not None
    assert {code for code, _, _ in errors} == {"INTERNAL"}


def test_a_failure_that_is_no_value_is_one_of_the_list(user, monkeypatch):
    Toy.objects.create(sku="a", name="n")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE zoo_toy RENAME COLUMN place TO spot")
    try:
        data, errors = answer(user, "{ toys { place } }")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE zoo_toy RENAME COLUMN spot TO place")

    assert data is None
    assert [code for code, _, _ in errors] == ["INTERNAL"]
