"""Random requests over random tables: a plan that is applied leaves and tells what the request itself does."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from django.db import connection, models

import bulkql
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.resources.rights import cascading
from tests.integration.test_plans import _patient, errors, outcomes  # noqa: F401
from tests.zoo.models import Folder, Seal, Shelf, Toy

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]

ON_DELETE = {
    "CASCADE": models.CASCADE,
    "PROTECT": models.PROTECT,
    "SET_NULL": models.SET_NULL,
    "SET_DEFAULT": models.SET_DEFAULT,
    "RESTRICT": models.RESTRICT,
    "DO_NOTHING": models.DO_NOTHING,
}
CODES, SKUS, NAMES = "ABCDE", "abcdefg", "uvwxyz"


def tables(rng: random.Random) -> list[Any]:
    """Shelves, toys on them, seals on these, and a tree of folders: rows by model."""
    shelves = [Shelf(pk=n, code=code) for n, code in enumerate(CODES[:4]) if rng.random() < 0.8]
    toys = []
    for n, sku in enumerate(SKUS[:5]):
        if rng.random() < 0.8:
            shelf = rng.choice([*(one.pk for one in shelves), None])
            toys.append(Toy(pk=n, sku=sku, name="x", shelf_id=shelf, place=n if rng.random() < 0.5 else None))
    seals = [Seal(pk=toy.pk, toy_id=toy.pk) for toy in toys if rng.random() < 0.1]
    folders: list[Folder] = []
    for n, name in enumerate(NAMES[:5]):
        if rng.random() < 0.8:
            folders.append(Folder(pk=n, name=name, parent_id=rng.choice([*(one.pk for one in folders), None])))
    return [shelves, toys, seals, folders]


def fill(rows: list[Any]) -> None:
    for model in (Seal, Toy, Shelf, Folder):
        model.objects.all()._raw_delete("default")
    for some in rows:
        if some:
            type(some[0]).objects.bulk_create(some)
    with connection.cursor() as cursor:
        for model in (Shelf, Toy, Folder):
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{model._meta.db_table}', 'id'), 1000)")


def state() -> list[Any]:
    return [
        sorted(Shelf.objects.values_list("code", "note")),
        sorted(Toy.objects.values_list("sku", "name", "stock", "shelf__code", "place"), key=str),
        sorted(Seal.objects.values_list("toy__sku")),
        sorted(Folder.objects.values_list("name", "parent__name"), key=str),
    ]


def request(rng: random.Random, rows: list[Any]) -> tuple[str, dict[Any, Any], dict[str, Any]]:
    verb = rng.choice(["create", "update", "replace", "upsert", "delete", "sync", "sync", "sync"])
    wanted = rng.choice([[Shelf], [Toy], [Shelf, Toy], [Shelf, Toy], [Toy, Shelf], [Shelf, Toy, Folder], [Folder]])
    new = verb == "create"
    asked: dict[Any, Any] = {}
    for model in wanted:
        count = rng.randint(0 if verb == "sync" else 1, 5)
        asked[model] = [row(rng, verb, model, new, rows) for _ in range(count)]
    how: dict[str, Any] = {}
    if verb == "sync":
        how = {"delete_missing": True, "max_delete_percent": 100}
    if verb == "delete" and len(wanted) == 1:
        how = {"match_by": ["name" if wanted == [Folder] else "code" if wanted == [Shelf] else "sku"]}
    return verb, asked, how


def row(rng: random.Random, verb: str, model: Any, new: bool, rows: list[Any]) -> dict[str, Any]:
    if model is Shelf:
        found: dict[str, Any] = {"code": rng.choice(CODES[3:] if new and rng.random() < 0.7 else CODES)}
        if verb != "delete" and rng.random() < 0.4:
            found["note"] = rng.choice(["n", "m", "far too long"])
        return found
    if model is Folder:
        found = {"name": rng.choice(NAMES[4:] if new and rng.random() < 0.7 else NAMES)}
        if verb != "delete" and rng.random() < 0.7:
            how = rng.random()
            if how < 0.6:
                found["parent_by"] = {"name": rng.choice(NAMES)}
            else:
                found["parent"] = rng.choice([0, 1, 2, 3, None])
        return found
    found = {"sku": rng.choice(SKUS[4:] if new and rng.random() < 0.7 else SKUS)}
    if verb == "delete":
        return found
    if verb in ("create", "replace", "upsert", "sync") or rng.random() < 0.5:
        found["name"] = rng.choice(["x", "x", "y", "far too long"] if rng.random() < 0.2 else ["x", "y"])
    if rng.random() < 0.7:
        if rng.random() < 0.5:
            found["shelf_by"] = {"code": rng.choice(CODES)}
        else:
            found["shelf"] = rng.choice([0, 1, 2, 3, None])
    if rng.random() < 0.4:
        found["place"] = rng.choice([0, 1, 2, 3, None])
    if rng.random() < 0.2:
        found["stock"] = rng.choice([1, 2, -1])
    return found


def ask(user, verb, asked, how, **options):
    if len(asked) == 1:
        ((model, rows),) = asked.items()
        return getattr(bulkql, verb)(model, rows, user=user, **how, **options)
    return getattr(bulkql, verb)(asked, user=user, **how, **options)


def told(operation):
    return operation.state, outcomes(operation), errors(operation), operation.cascades


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    """What goes along with which rows is remembered, and tests change it."""
    cascading.cache_clear()
    yield
    cascading.cache_clear()


@pytest.mark.parametrize("seed", range(80))
def test_plan_and_apply_do_what_the_request_does(user, monkeypatch, seed):
    rng = random.Random(seed)
    lane = rng.choice([bulkql.COPY, bulkql.SAVE])
    for name in ("shelves", "toys", "folders"):
        monkeypatch.setattr(type(resource_named(name)), "writes", lane)
    on_delete = rng.choice([*ON_DELETE, "CASCADE", "CASCADE"])
    for model, name in ((Toy, "shelf"), (Folder, "parent")):
        field = model._meta.get_field(name)
        monkeypatch.setattr(field.remote_field, "on_delete", ON_DELETE[on_delete])
        if on_delete == "SET_DEFAULT":
            monkeypatch.setattr(field, "_get_default", lambda: 0)
            monkeypatch.setattr(field, "default", 0)
    if rng.random() < 0.4:
        stamps = itertools.count(1)
        price = pl.Decimal(4, 2)
        stamp = lambda self, rows: rows.with_columns(price=pl.lit(next(stamps) / 4).cast(price))  # noqa: E731
        monkeypatch.setattr(type(resource_named("toys")), "before_write", stamp, raising=False)
    rows = tables(rng)
    verb, asked, how = request(rng, rows)
    options = {"chunk_size": rng.choice([1, 2, 3, 10]), "on_error": rng.choice(["SKIP_ROWS", "REJECT_ALL"])}
    fill(rows)
    before = state()
    about = (lane, on_delete, verb, asked, options, before)
    direct = ask(user, verb, asked, how, **options)
    wanted = state()
    fill(rows)

    plan = ask(user, verb, asked, how, dry_run=True, **options)
    looked = state()
    applied = bulkql.apply(plan, user=user) if plan.state == "COMPLETED" else direct

    assert looked == before, about
    assert told(plan) == told(applied) == told(direct), about
    assert state() == (wanted if plan.state == "COMPLETED" else before), about
