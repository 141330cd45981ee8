"""Random requests of every verb: the pipeline and tests/semantics.py come to the same end, however rows are cut."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Done
from tests.semantics import RESOURCES, Part, Request, Told, World, depends_on_order, perform
from tests.zoo.models import Seal, Shelf, Toy
from workers import ledger, operations, uploads
from workers.formats.options import FileFormat, FileOptions
from workers.intake import accept
from workers.models import Chunk, Input, Kind, OnError, Operation, Upload
from workers.requests import BulkRequest, Mode, Rows
from workers.resources import resource_named

pytestmark = pytest.mark.django_db(transaction=True)

MODELS = {"shelves": Shelf, "toys": Toy}
#: Children before parents.
EMPTIED = (Seal, Toy, Shelf, Chunk, Input, Operation, Upload)

# ---- Strategies: little space, so that rows collide ------------------------------------------------------------------


def mostly(good: list[Any], bad: list[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from(good * 6 + bad)


IDS = mostly([1, 2, 3, "1", "4"], [9, "x", None])
CODES = mostly(["A", "B", "C", "D"], ["", None, 7, "long"])
VALUES = {
    "toys": {
        "id": IDS,
        "sku": mostly(["a", "b", "c", "d", "e"], ["", None, 7, "long"]),
        "name": mostly(["x", "y"], ["", None, 3, "too long"]),
        "price": mostly(["1.5", "1.50", 2, None], ["x", "1.234", 100, True]),
        "stock": mostly([0, 3, 3.0], [-1, None, "3", 2**31]),
        "shelf": mostly([1, 2, "2", None], [3, 9, "x"]),
        "shelfBy": mostly(
            [{"code": "A"}, {"code": "B"}, {"code": "C"}, {"code": "D"}],
            [None, {"code": None}, {"code": "long"}, {"code": 7}, {"note": "A"}, {}, "A"],
        ),
    },
    "shelves": {
        "id": mostly([1, 2, "2", 3], [9, "x", None]),
        "code": CODES,
        "note": mostly(["", "n"], [None, 7, "too long"]),
    },
}
#: What a cell of a CSV file can say, in the words of JSON.
CELLS = {
    "toys": {
        "id": mostly([1, 2, "1", "4"], [9, "x"]),
        "sku": mostly(["a", "b", "c", "d", "e"], ["long"]),
        "name": mostly(["x", "y"], ["too long"]),
        "price": mostly(["1.5", "1.50", 2], ["x", "1.234", 100]),
        "stock": mostly([0, 3], [-1, "x", 2**31]),
        "shelf": mostly([1, 2, "2"], [3, 9, "x"]),
        "shelfBy": mostly([{"code": code} for code in "ABCD"], [{"code": "long"}]),
    },
    "shelves": {
        "id": mostly([1, 2, "2", 3], [9, "x"]),
        "code": mostly(["A", "B", "C", "D"], ["long"]),
        "note": mostly(["n"], ["too long"]),
    },
}
#: What a row seldom lacks, so that enough of them are good.
REQUIRED = {"toys": ("sku", "name"), "shelves": ("code",)}


@st.composite
def row(draw: st.DrawFn, resource: str, verb: str, key: str | None, values: dict[str, Any], is_cells: bool) -> Any:
    """A row that gives some of the fields."""
    wanted = [key] if key else []
    if verb in ("create", "replace", "upsert"):
        wanted += [name for name in REQUIRED[resource] if name != key]
    if verb == "delete":
        return {key: draw(values[key])} if key and draw(st.integers(0, 20)) else {}
    given = {name: draw(values[name]) for name in wanted if draw(st.integers(0, 20))}
    names = [name for name in values if name not in (*wanted, "id", "shelfBy")]
    given |= {name: draw(values[name]) for name in names if draw(st.integers(0, 2)) == 2}
    if resource == "toys" and draw(st.integers(0, 2)) == 2:
        if draw(st.integers(0, 10)):
            given.pop("shelf", None)
        given["shelfBy"] = draw(values["shelfBy"])
    if is_cells:
        if "shelfBy" in given:
            given.pop("shelf", None)
        return given
    odd = draw(st.integers(0, 60))
    return "a row" if odd == 60 else given | {"colour": "red"} if odd == 59 else given


@st.composite
def part(draw: st.DrawFn, resource: str, verb: str, is_cells: bool) -> Part:
    unique = "sku" if resource == "toys" else "code"
    key = {"create": None, "upsert": unique}.get(verb, draw(st.sampled_from([unique, "id"])))
    match_by = key if draw(st.booleans()) else None
    updatable = [name for name in RESOURCES[resource].fields if name != unique]
    update_fields = None
    if verb == "upsert" and draw(st.integers(0, 2)) == 2:
        update_fields = tuple(draw(st.lists(st.sampled_from(updatable), min_size=1, max_size=2, unique=True)))
    values = (CELLS if is_cells else VALUES)[resource]
    rows = draw(st.lists(row(resource, verb, key, values, is_cells), min_size=1, max_size=8))
    return Part(resource, rows, match_by, update_fields)


@st.composite
def request(draw: st.DrawFn, is_cells: bool = False) -> Request:
    verb = draw(st.sampled_from(list(Kind))).lower()
    resources = draw(st.sampled_from([["toys"], ["toys"], ["shelves"], ["toys", "shelves"]]))
    parts = [draw(part(resource, verb, is_cells)) for resource in resources]
    how = draw(st.integers(0, 8))
    return Request(verb, parts, rejects_all=how in (7, 8), dry_run=how in (6, 7))


@st.composite
def world(draw: st.DrawFn) -> World:
    """Some shelves and toys; a few are hidden, or sealed."""
    found = World()
    for pk, code in enumerate("ABC", 1):
        if draw(st.integers(0, 3)):
            found.tables["shelves"][pk] = {"code": code, "note": "", "hidden": pk == 3}
    places = [None, *found.tables["shelves"]]
    for pk, sku in enumerate("abcd", 1):
        if draw(st.integers(0, 3)):
            shelf = draw(st.sampled_from(places))
            found.tables["toys"][pk] = {"sku": sku, "name": "x", "price": None, "stock": 3, "shelf": shelf}
            found.tables["toys"][pk]["hidden"] = draw(st.integers(0, 4)) == 4
            if draw(st.integers(0, 5)) == 5:
                found.sealed.add(pk)
    return found


# ---- The pipeline, seen as the model sees it -------------------------------------------------------------------------


def fill(world: World) -> None:
    """The tables as they are in the model, and nothing else in any."""
    with connection.cursor() as cursor:
        cursor.execute(";".join(f"DELETE FROM {model._meta.db_table}" for model in EMPTIED))
    Shelf.objects.bulk_create(Shelf(pk=pk, **values) for pk, values in world.tables["shelves"].items())
    for pk, values in world.tables["toys"].items():
        Toy.objects.create(pk=pk, **{**values, "shelf_id": values["shelf"], "shelf": None})
    Seal.objects.bulk_create(Seal(toy_id=pk) for pk in world.sealed)


def tables() -> dict[str, dict[int, dict[str, Any]]]:
    """The tables, as the model has them."""
    found = {name: {values.pop("id"): values for values in model.objects.values()} for name, model in MODELS.items()}
    for values in found["toys"].values():
        values["shelf"] = values.pop("shelf_id")
    return found


def told(operation: Operation) -> Told:
    done = Done(operation)
    found = Told(state=operation.state, cascades=Counter(ledger.cascades(operation)))
    for result in done.results:
        pk = None if result["pk"] is None else int(result["pk"])
        found.outcomes[result["resource"], result["index"]] = (result["outcome"], pk)
    for error in done.errors:
        found.errors.setdefault((error["resource"], error["index"]), set()).add((error["path"], error["code"]))
    return found


def counts(operation: Operation) -> Counter[str]:
    progress = ledger.progress(operation.pk)
    assert progress.total == progress.processed
    names = ("created", "updated", "unchanged", "deleted", "failed", "skipped")
    return +Counter({name.upper(): getattr(progress, name) for name in names})


def asked(user: Any, request: Request, chunk_size: int, mode: Mode, rows: Callable[[Part], Rows]) -> BulkRequest:
    return BulkRequest(
        kind=Kind(request.verb.upper()),
        user=user,
        inputs=[rows(part) for part in request.parts],
        mode=mode,
        on_error=OnError.REJECT_ALL if request.rejects_all else OnError.SKIP_ROWS,
        dry_run=request.dry_run,
        chunk_size=chunk_size,
    )


def inline(part: Part) -> Rows:
    match_by = None if part.match_by is None else (part.match_by,)
    return Rows(
        resource=resource_named(part.resource), rows=part.rows, match_by=match_by, update_fields=part.update_fields
    )


Perform = Callable[[Any, Request, int], Operation]


def at_once(user: Any, request: Request, chunk_size: int) -> Operation:
    """In the request."""
    return operations.run(asked(user, request, chunk_size, Mode.SYNC, inline))


def assert_same(user: Any, before: World, requests: list[Request], chunk_size: int, perform_: Perform) -> None:
    fill(before)
    for request in requests:
        if depends_on_order(before, request):
            continue
        after, expected = perform(before, request)

        operation = perform_(user, request, chunk_size)

        found = told(operation)
        new = {
            expected.outcomes[row][1]: pk
            for row, (outcome, pk) in found.outcomes.items()
            if outcome == "CREATED" and pk is not None and row in expected.outcomes
        }
        expected.outcomes = {row: (outcome, new.get(pk, pk)) for row, (outcome, pk) in expected.outcomes.items()}
        after = after.renamed(new)
        assert found == expected
        assert tables() == after.tables
        assert counts(operation) == Counter(outcome for outcome, _ in expected.outcomes.values())
        before = after


@pytest.fixture(autouse=True)
def _high_keys(db: None) -> None:
    """New rows have other primary keys than those of the first tables."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval('zoo_toy_id_seq', 1000), setval('zoo_shelf_id_seq', 1000)")


BOUNDED = settings(
    max_examples=100,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@BOUNDED
@given(before=world(), requests=st.lists(request(), min_size=1, max_size=3), chunk_size=st.integers(1, 7))
def test_requests_at_once(user, before, requests, chunk_size):
    assert_same(user, before, requests, chunk_size, at_once)
