"""Verbs x models of oscar and wagtail: the API leaves what a loop of save() and delete() leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, models
from oscar.core.loading import get_model
from wagtail.documents.models import Document
from wagtail.models import Collection, Locale, Page

from bulkql.workers.enums import Verb
from bulkql.workers.resources.lanes import lane_of
from bulkql.workers.resources.registry import resource_of
from tests.ecosystem.large.models import Advert
from tests.ecosystem.table import Equal, shown, table, without_versions

pytestmark = [
    pytest.mark.django_db,
    # Haystack's backend for those who have no index.
    pytest.mark.filterwarnings("ignore:(update|remove) is not implemented in this backend"),
]

Product, Category = get_model("catalogue", "Product"), get_model("catalogue", "Category")
APPS = {"catalogue", "wagtailcore", "wagtaildocs", "wagtailsearch", "large", "taggit"}


def add_category(**values: Any) -> None:
    Category.add_root(**values)


def add_page(**values: Any) -> None:
    Page.objects.get(depth=1).add_child(instance=Page(**values))


@dataclass(frozen=True)
class Kind:
    """A model. `key` finds its rows, `changes` is what a new value comes to, `rest` what all rows are given beside."""

    package: str
    model: Any
    key: str
    changes: str
    rest: dict[str, Any]
    #: What no row gives, so that a replacement empties it.
    left_out: str
    add: Callable[..., Any] | None = None

    def row(self, name: str, *, is_new: bool = False) -> dict[str, Any]:
        """The values of a row; the file of a document is one of its own."""
        rest = {field: f"{name}.txt" if field == "file" else value for field, value in self.rest.items()}
        return {self.key: name, self.changes: f"{name} {'new' if is_new else 'old'}", **rest}

    def create(self, name: str, **more: Any) -> None:
        values = {
            one.attname if isinstance(one := self.field(field), models.ForeignKey) else field: value
            for field, value in self.row(name).items()
        } | more
        if self.add is not None:
            self.add(**values)
        else:
            self.model(**values).save()

    def field(self, name: str) -> Any:
        return self.model._meta.get_field(name)

    def find(self, name: str) -> Any:
        return self.model._base_manager.filter(**{self.key: name}).first()


KINDS = [
    Kind("django-oscar", Product, "upc", "title", {"product_class": 1}, "description"),
    Kind("django-oscar", Category, "code", "name", {}, "description", add_category),
    Kind("wagtail", Page, "slug", "title", {}, "seo_title", add_page),
    Kind("wagtail", Document, "title", "file", {"collection": 1}, "file_hash"),
    Kind("wagtail", Advert, "name", "text", {}, "text"),
]
#: Verb -> rows, and whether each has a new value.
ROWS = {
    Verb.CREATE: [("a", False), ("b", False), ("c", False)],
    Verb.UPDATE: [("a", True), ("b", False), ("c", True)],
    Verb.REPLACE: [("a", True), ("c", False)],
    Verb.UPSERT: [("a", True), ("d", False)],
    Verb.DELETE: [("b", False), ("c", False)],
    Verb.SYNC: [("a", True), ("d", False)],
}
VERBS = [verb for verb in Verb if verb.takes_rows]
CASES = [(kind, verb) for kind in KINDS for verb in VERBS if verb in resource_of(kind.model).operations]
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
    has_key = resource.match_fields and verb != Verb.CREATE

    fill(kind, verb)
    loop(kind, verb)
    expected = contents()
    fill(kind, verb)
    done = bulk(verb, resource.name, list(api_rows(kind, verb)), [kind.key] if has_key else None)

    assert done.errors == []
    assert contents() == expected
    equal.setdefault((kind.package, kind.model.__name__), {})[verb] = lane_of(resource, verb).value


def fill(kind: Kind, verb: Verb) -> None:
    """What these models need, and the rows that are there before."""
    names = ", ".join(connection.ops.quote_name(model._meta.db_table) for model in tables())
    with connection.cursor() as cursor:
        cursor.execute(
            f"SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE {names} RESTART IDENTITY CASCADE; SET CONSTRAINTS ALL DEFERRED"
        )
    get_model("catalogue", "ProductClass").objects.create(name="Things")
    Locale.objects.create(language_code="en")
    Collection.add_root(name="Root")
    Page.add_root(title="Root", slug="root")
    if verb != Verb.CREATE:
        for name, _ in ROWS[Verb.CREATE]:
            kind.create(name, **{kind.left_out: "left out"})


def loop(kind: Kind, verb: Verb) -> None:
    """What somebody writes who has all the time in the world. Rows that would not change are not saved."""
    for name, is_new in ROWS[verb]:
        found = kind.find(name)
        if verb == Verb.DELETE:
            found.delete()
        elif found is None:
            kind.create(name)
        else:
            update(kind, verb, found, kind.row(name, is_new=is_new))


def update(kind: Kind, verb: Verb, found: Any, row: dict[str, Any]) -> None:
    new = {kind.changes: row[kind.changes]}
    if verb == Verb.REPLACE and kind.left_out in resource_of(kind.model).fields and kind.left_out not in row:
        new[kind.left_out] = kind.field(kind.left_out).get_default()
    if any(getattr(found, name) != value for name, value in new.items()):
        for name, value in new.items():
            setattr(found, name, value)
        found.save()


def api_rows(kind: Kind, verb: Verb) -> Iterator[dict[str, Any]]:
    for name, is_new in ROWS[verb]:
        row = kind.row(name, is_new=is_new)
        if not resource_of(kind.model).match_fields and verb != Verb.CREATE:
            row["id"] = str(kind.find(name).pk)
        if verb == Verb.DELETE:
            by = "id" if "id" in row else kind.key
            row = {by: row[by]}
        elif verb == Verb.UPDATE:
            row = {one: row[one] for one in ("id", kind.key, kind.changes) if one in row}
        yield row


def tables() -> list[type[models.Model]]:
    found = apps.get_models(include_auto_created=True)
    return [one for one in found if one._meta.app_label in APPS and one._meta.managed]  # oscar has a view, too


def contents() -> dict[str, list[dict[str, Any]]]:
    """All rows of these tables, but for moments and ids that are drawn by lot."""
    return {model._meta.label: rows for model in tables() if (rows := rows_of(model))}


def rows_of(model: type[models.Model]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {connection.ops.quote_name(model._meta.db_table)} ORDER BY 1")
        names = [one.name for one in cursor.description]
        return [
            {
                name: "drawn" if isinstance(value, datetime | UUID) else value
                for name, value in zip(names, row, strict=True)
            }
            for row in cursor.fetchall()
        ]


def test_the_checks_are_content():
    call_command("check", tags=["bulkql"], fail_level="WARNING")


def test_the_table_is_in_the_docs():
    assert without_versions(shown("Applications")) == without_versions(table(equal))
