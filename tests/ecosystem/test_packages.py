"""Verbs x packages: the API leaves in the database what a loop of save() and delete() leaves there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, models

from bulkql.workers.enums import Lane, Verb
from bulkql.workers.resources.lanes import lane_of
from bulkql.workers.resources.registry import resource_of
from tests.ecosystem import models as kinds
from tests.ecosystem.table import Equal, shown, table, without_versions

pytestmark = pytest.mark.django_db


def named(model: type[models.Model], name: str) -> Any:
    return model._base_manager.get(name=name)


@dataclass(frozen=True)
class Kind:
    """A package's model. `more`: what a row gives beside name and number, and what that is in Python, by name."""

    package: str
    model: type[models.Model]
    more: dict[str, dict[str, tuple[Any, Any]]] = field(default_factory=dict)


def parents(model: type[models.Model]) -> dict[str, dict[str, tuple[Any, Any]]]:
    under = {"b": "a", "c": "b", "d": "a"}
    return {name: {"parent": ({"name": parent}, parent)} for name, parent in under.items()}


def each(name: str, **values: Any) -> dict[str, dict[str, tuple[Any, Any]]]:
    return {row: {name: (value, value)} for row, value in values.items()}


KINDS = [
    Kind("django-simple-history", kinds.Recorded),
    Kind("django-auditlog", kinds.Audited),
    Kind("django-lifecycle", kinds.Hooked),
    Kind("django-model-utils", kinds.Monitored),
    Kind("django-model-utils", kinds.Trashed),
    Kind("django-safedelete", kinds.Hidden),
    Kind("django-mptt", kinds.Branch, parents(kinds.Branch)),
    Kind("django-treebeard", kinds.Twig, parents(kinds.Twig)),
    Kind("django-treebeard", kinds.Place),
    Kind("django-polymorphic", kinds.Shape),
    Kind("django-polymorphic", kinds.Circle, each("radius", a=1, b=2, c=3, d=4)),
    Kind("django-taggit", kinds.Tagged),
    Kind("django-money", kinds.Priced, each("price", a="1.50", b="2.00", c="3.25", d="4.00")),
    Kind("django-countries", kinds.Located, each("country", a="DE", b="FR", d="IT")),
    Kind("django-phonenumber-field", kinds.Called, each("phone", a="+4930123456", b="030 654321")),
    Kind("django-fsm-2", kinds.Staged),
    Kind("django-modeltranslation", kinds.Translated, each("title", a="One", b="Two", d="Four")),
    Kind("django-parler", kinds.Worded),
    Kind("django-autoslug", kinds.Slugged),
    Kind("django-guardian", kinds.Guarded),
]
#: Verb -> rows as (name, number).
ROWS = {
    Verb.CREATE: [("a", 1), ("b", 2), ("c", 3)],
    Verb.UPDATE: [("a", 10), ("b", 2), ("c", 30)],
    Verb.REPLACE: [("a", 10), ("c", 3)],
    Verb.UPSERT: [("a", 10), ("d", 4)],
    Verb.DELETE: [("b", None), ("c", None)],
    Verb.SYNC: [("a", 10), ("d", 4)],
}
CASES = [
    (kind, verb) for kind in KINDS for verb in Verb if verb.takes_rows and verb in resource_of(kind.model).operations
]
equal: Equal = {}


@pytest.fixture(autouse=True, scope="module")
def _table() -> Iterator[None]:
    """Prints what was found."""
    yield
    print()
    print("\n".join(table(equal)))


@pytest.mark.parametrize(("kind", "verb"), CASES, ids=[f"{kind.model.__name__}-{verb}" for kind, verb in CASES])
def test_the_api_does_what_a_loop_of_save_does(bulk, kind, verb):
    resource = resource_of(kind.model)

    fill(kind, verb)
    loop(kind, verb)
    expected = contents(kind)
    fill(kind, verb)
    done = bulk(verb, resource.name, list(api_rows(kind, verb)), ["name"] if verb != Verb.CREATE else None)

    assert done.errors == []
    if verb in (Verb.UPSERT, Verb.SYNC) and lane_of(resource, verb) == Lane.COPY:
        renumber(kind)
    assert contents(kind) == expected
    equal.setdefault((kind.package, kind.model.__name__), {})[verb] = lane_of(resource, verb).value


def fill(kind: Kind, verb: Verb) -> None:
    """The rows that are there before: none for those that are to be created."""
    tables = [model._meta.db_table for model in tables_of(kind)]
    names = ", ".join(map(connection.ops.quote_name, tables))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE {names} RESTART IDENTITY CASCADE; SET CONSTRAINTS ALL DEFERRED"
        )
    if verb != Verb.CREATE:
        for name, number in ROWS[Verb.CREATE]:
            create(kind, name, number)
    if kind.model is kinds.Tagged:
        for one in kinds.Tagged.objects.all():
            one.tags.add("red")


def create(kind: Kind, name: str, number: int) -> None:
    if kind.model is kinds.Place:
        kinds.Place.add_root(name=name, number=number)
    else:
        kind.model(name=name, number=number, **python_of(kind, name)).save()


def loop(kind: Kind, verb: Verb) -> None:
    """What somebody writes who has all the time in the world. Rows that would not change are not saved."""
    for name, number in ROWS[verb]:
        found = kind.model._base_manager.filter(name=name).first()
        if verb == Verb.DELETE:
            if found is not None:  # it may have gone along with one before it
                found.delete()
        elif found is None:
            create(kind, name, number)
        else:
            update(kind, verb, found, number)


def update(kind: Kind, verb: Verb, found: Any, number: int) -> None:
    new = {"number": number}
    if verb == Verb.REPLACE:
        new |= {one.name: one.get_default() for one in fields_beside(kind)} | python_of(kind, found.name)
    old = {one.attname: one.value_from_object(found) for one in kind.model._meta.concrete_fields}
    for name, value in new.items():
        setattr(found, name, value)
    if old != {one.attname: one.value_from_object(found) for one in kind.model._meta.concrete_fields}:
        found.save()


def fields_beside(kind: Kind) -> list[Any]:
    names = [name for name in resource_of(kind.model).fields if name not in ("name", "number")]
    return [kind.model._meta.get_field(name) for name in names]


def python_of(kind: Kind, name: str) -> dict[str, Any]:
    more = {key: value for key, (_, value) in kind.more.get(name, {}).items()}
    return {key: named(kind.model, value) if key == "parent" else value for key, value in more.items()}


def api_rows(kind: Kind, verb: Verb) -> Iterator[dict[str, Any]]:
    for name, number in ROWS[verb]:
        row = {"name": name, **({} if number is None else {"number": number})}
        if verb in (Verb.CREATE, Verb.REPLACE, Verb.UPSERT, Verb.SYNC):
            more = {key: value for key, (value, _) in kind.more.get(name, {}).items()}
            row |= {"parentBy" if key == "parent" else key: value for key, value in more.items()}
        yield row


def renumber(kind: Kind) -> None:
    """COPY reserves a key for every row of an upsert, also for those that are there."""
    kind.model.objects.filter(name="d").update(id=len(ROWS[Verb.CREATE]) + 1)


def tables_of(kind: Kind) -> list[type[models.Model]]:
    """The model's tables, those that its package made for it, and those that several packages write to."""
    name = kind.model.__name__.lower()
    shared = {"auditlog.LogEntry", "taggit.Tag", "taggit.TaggedItem", "ecosystem.Log", "ecosystem.Shape"}
    found = apps.get_models(include_auto_created=True)
    return [one for one in found if one._meta.label in shared or is_of(one, "ecosystem", name)]


def is_of(model: type[models.Model], app: str, name: str) -> bool:
    return model._meta.app_label == app and name in str(model._meta.model_name)


def contents(kind: Kind) -> dict[str, list[dict[str, Any]]]:
    """All rows of these tables, but for moments."""
    return {model._meta.label: rows for model in tables_of(kind) if (rows := rows_of(model))}


def rows_of(model: type[models.Model]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {connection.ops.quote_name(model._meta.db_table)} ORDER BY 1")
        names = [one.name for one in cursor.description]
        return [
            {name: "a moment" if isinstance(value, datetime) else value for name, value in zip(names, row, strict=True)}
            for row in cursor.fetchall()
        ]


def test_the_checks_are_content():
    call_command("check", tags=["bulkql"], fail_level="WARNING")


def test_the_table_is_in_the_docs():
    assert without_versions(shown("Packages")) == without_versions(table(equal))
