"""The plan of a sync: what it deletes may take along what it has just written."""

from __future__ import annotations

import itertools

import pytest

import bulkql
from bulkql.workers.resources.registry import resource_named
from tests.integration.sync.told import ANY, counts
from tests.integration.test_plans import _patient, errors, outcomes  # noqa: F401
from tests.zoo.models import Folder, Shelf, Toy

pytestmark = pytest.mark.django_db

SHELVES = [{"code": "A"}, {"code": "B"}]
#: Toys that the sync writes onto shelf C, which it deletes.
TOYS = {
    "new": [{"sku": "a", "name": "x"}, {"sku": "n", "name": "x", "shelf_by": {"code": "C"}}],
    "changed": [{"sku": "a", "name": "x", "shelf_by": {"code": "C"}}],
}


@pytest.fixture(params=[bulkql.COPY, bulkql.SAVE], ids=str, autouse=True)
def _stamped(request, monkeypatch):
    """What is written of a toy is never the same twice."""
    stamps = itertools.count(1)
    for name in ("shelves", "toys", "folders"):
        monkeypatch.setattr(type(resource_named(name)), "writes", request.param)
    monkeypatch.setattr(
        type(resource_named("toys")),
        "before_write",
        lambda self, rows: rows.with_columns(place=next(stamps)),
        raising=False,
    )


def fill():
    Toy.objects.all().delete()
    Shelf.objects.all().delete()
    for n, code in enumerate("ABC"):
        Shelf.objects.create(pk=n, code=code)
    Toy.objects.create(pk=0, sku="a", name="x", shelf_id=0)


def table():
    return sorted(Shelf.objects.values_list("code", flat=True)), sorted(Toy.objects.values_list("sku", "shelf__code"))


@pytest.mark.parametrize("on_error", ["SKIP_ROWS", "REJECT_ALL"])
@pytest.mark.parametrize("chunk_size", [1, 10])
@pytest.mark.parametrize("toys", TOYS)
def test_rows_that_it_has_written_go_along_as_planned(user, toys, chunk_size, on_error):
    rows = {Shelf: SHELVES, Toy: TOYS[toys]}
    how = {"user": user, "chunk_size": chunk_size, "on_error": on_error, **ANY}
    fill()
    direct, wanted = bulkql.sync(rows, **how), table()
    fill()

    plan = bulkql.sync(rows, dry_run=True, **how)
    applied = bulkql.apply(plan, user=user)

    assert table() == wanted
    assert errors(applied) == []
    assert outcomes(applied) == outcomes(plan) == outcomes(direct)
    assert applied.cascades == plan.cascades == direct.cascades == {"zoo.Toy": 1}


def test_a_row_that_would_go_along_because_it_could_not_be_written_keeps_its_parent(user):
    """Toy a was to be moved away from the shelf that goes."""
    fill()
    Toy.objects.update(shelf=2)
    rows = {Shelf: SHELVES, Toy: [{"sku": "a", "name": "x", "shelf_by": {"code": "A"}}]}
    plan = bulkql.sync(rows, user=user, dry_run=True, **ANY)
    Toy.objects.update(stock=7)

    applied = bulkql.apply(plan, user=user)

    assert {(row["resource"], row["index"], row["code"]) for row in applied.row_errors()} == {
        ("toys", 0, "CONFLICT"),
        ("shelves", 2, "CONFLICT"),
    }
    assert table() == (["A", "B", "C"], [("a", "C")])


def test_a_row_that_somebody_else_has_put_there_is_a_conflict(user):
    fill()
    plan = bulkql.sync({Shelf: SHELVES, Toy: TOYS["new"]}, user=user, dry_run=True, **ANY)
    Toy.objects.create(sku="z", name="x", shelf_id=2)

    applied = bulkql.apply(plan, user=user)

    assert {(row["resource"], row["code"]) for row in applied.row_errors()} == {("shelves", "CONFLICT")}
    assert Toy.objects.filter(sku__in="zn", shelf__code="C").count() == 2


def test_a_new_row_of_a_tree_goes_along_with_its_parent(user):
    Folder.objects.create(name="old")
    rows = [{"name": "new", "parent_by": {"name": "old"}}]
    plan = bulkql.sync(Folder, rows, user=user, dry_run=True, **ANY)

    applied = bulkql.apply(plan, user=user)

    assert counts(plan) == counts(applied) == {"created": 1, "deleted": 1}
    assert plan.cascades == applied.cascades == {"zoo.Folder": 1}
    assert not Folder.objects.exists()
