"""Random requests of every verb: the pipeline and the model in tests/semantics come to the same end.

However rows are cut into chunks, whoever writes these, and however the rows were sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Done
from tests.semantics.resources import RESOURCES
from tests.semantics.tables import Part, Request, Tables, Told
from tests.semantics.verbs import DependsOnOrder, perform
from tests.zoo.models import Seal, Shelf, Toy
from workers import ledger, operations
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


#: What rows give, in GraphQL's names.
VALUES = {
    "toys": {
        "id": mostly([1, 2, 3, "1", "4"], [9, "x", None]),
        "sku": mostly(["a", "b", "c", "d", "e"], ["", None, 7, "long"]),
        "name": mostly(["x", "y"], ["", None, 3, "too long"]),
        "price": mostly(["1.5", "1.50", 2, None], ["x", "1.234", 100, True]),
        "stock": mostly([0, 3, 3.0], [-1, None, "3", 2**31]),
        "shelf": mostly([1, 2, "2", None], [3, 9, "x"]),
        "shelfBy": mostly(
            [{"code": "A"}, {"code": "B"}, {"code": "C"}, {"code": "D"}],
            [None, {"code": None}, {"code": "long"}, {"code": 7}, {"note": "A"}, {}, "A"],
        ),
        "place": mostly([1, 2], [None, "x"]),
    },
    "shelves": {
        "id": mostly([1, 2, "2", 3], [9, "x", None]),
        "code": mostly(["A", "B", "C", "D"], ["", None, 7, "long"]),
        "note": mostly(["", "n"], [None, 7, "too long"]),
    },
}
#: How the rows of a part may be found; the first is what is registered.
KEYS = {"toys": [("sku",), ("id",), ("shelf", "place")], "shelves": [("code",), ("id",)]}


def seldom(draw: st.DrawFn, one_in: int = 25) -> bool:
    return draw(st.integers(1, one_in)) == one_in


@st.composite
def row(draw: st.DrawFn, resource: str, verb: str, key: tuple[str, ...]) -> Any:
    """A row that gives most of what it owes, and some of the rest."""
    values = VALUES[resource]
    owed = set(key) | (RESOURCES[resource].required if verb in ("create", "replace", "upsert") else set())
    names = [name for name in values if name in owed and not seldom(draw)]
    if verb != "delete":
        names += [name for name in values if name not in owed and name not in ("id", "shelfBy") and seldom(draw, 3)]
    if "shelf" in names and draw(st.booleans()):
        names[names.index("shelf")] = "shelfBy"
    given = {name: draw(values[name]) for name in names}
    if verb != "delete" and seldom(draw):
        return draw(
            st.sampled_from(["a row", given | {"colour": "red"}, given | {"shelf": 1, "shelfBy": {"code": "A"}}])
        )
    return given


@st.composite
def part(draw: st.DrawFn, resource: str, verb: str, keys: list[tuple[str, ...]]) -> Part:
    key = () if verb == "create" else draw(st.sampled_from(keys))
    is_default = key in KEYS[resource][:2] and draw(st.booleans())
    update_fields = None
    if verb == "upsert" and seldom(draw, 3):
        fields = st.sampled_from([name for name in RESOURCES[resource].fields if name not in key])
        update_fields = tuple(draw(st.lists(fields, min_size=1, max_size=2, unique=True)))
    rows = draw(st.lists(row(resource, verb, key), min_size=1, max_size=8))
    return Part(resource, rows, None if is_default or not key else key, update_fields)


@st.composite
def request(draw: st.DrawFn) -> Request:
    verb = draw(st.sampled_from(list(Kind))).lower()
    resources = draw(st.sampled_from([["toys"], ["toys"], ["toys"], ["shelves"], ["toys", "shelves"]]))
    parts = []
    for resource in resources:
        keys = [key for key in KEYS[resource] if verb != "upsert" or key != ("id",)]
        # Toys may name shelves, and so no shelf gets another code while toys are read.
        parts.append(draw(part(resource, verb, keys[:1] if len(resources) > 1 and resource == "shelves" else keys)))
    how = draw(st.integers(0, 8))
    return Request(verb, parts, rejects_all=how in (7, 8), dry_run=how in (6, 7))


@st.composite
def tables(draw: st.DrawFn) -> Tables:
    """Some shelves and toys, a few of them hidden or sealed."""
    found = Tables()
    for pk, code in enumerate("ABC", 1):
        if draw(st.integers(0, 3)):
            found.rows["shelves"][pk] = {"code": code, "note": "", "hidden": pk == 3}
    for pk, sku in enumerate("abcd", 1):
        if draw(st.integers(0, 3)):
            shelf = draw(st.sampled_from([None, *found.rows["shelves"]]))
            toy = {"sku": sku, "name": "x", "price": None, "stock": 3, "shelf": shelf, "place": (pk + 1) // 2}
            places = [(row["shelf"], row["place"]) for row in found.rows["toys"].values()]
            if shelf is None or (shelf, toy["place"]) not in places:
                found.rows["toys"][pk] = toy | {"hidden": seldom(draw, 5)}
                found.seals |= {pk} if seldom(draw, 6) else set()
    return found


# ---- The pipeline, seen as the model sees it -------------------------------------------------------------------------


def fill(wanted: Tables) -> None:
    """The tables as they are in the model, and nothing else in any."""
    with connection.cursor() as cursor:
        cursor.execute(";".join(f"DELETE FROM {model._meta.db_table}" for model in EMPTIED))
    Shelf.objects.bulk_create(Shelf(pk=pk, **values) for pk, values in wanted.rows["shelves"].items())
    toys = wanted.rows["toys"].items()
    Toy.objects.bulk_create(Toy(pk=pk, shelf_id=toy["shelf"], **without(toy, "shelf")) for pk, toy in toys)
    Seal.objects.bulk_create(Seal(toy_id=pk) for pk in wanted.seals)


def without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {one: value for one, value in values.items() if one != name}


def stored() -> dict[str, dict[int, dict[str, Any]]]:
    """The tables, as the model has them."""
    found = {name: {row.pop("id"): row for row in model.objects.values()} for name, model in MODELS.items()}
    for toy in found["toys"].values():
        toy["shelf"] = toy.pop("shelf_id")
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


def asked(user: Any, request: Request, chunk_size: int, mode: Mode, rows: Callable[[Any, Part], Rows]) -> BulkRequest:
    return BulkRequest(
        kind=Kind(request.verb.upper()),
        user=user,
        inputs=[rows(user, part) for part in request.parts],
        mode=mode,
        on_error=OnError.REJECT_ALL if request.rejects_all else OnError.SKIP_ROWS,
        dry_run=request.dry_run,
        chunk_size=chunk_size,
    )


def inline(user: Any, part: Part) -> Rows:
    return Rows(
        resource=resource_named(part.resource),
        rows=part.rows,
        match_by=part.match_by,
        update_fields=part.update_fields,
    )


Perform = Callable[[Any, Request, int], Operation]


def at_once(user: Any, request: Request, chunk_size: int) -> Operation:
    """In the request."""
    return operations.run(asked(user, request, chunk_size, Mode.SYNC, inline))


def assert_same(user: Any, before: Tables, requests: list[Request], chunk_size: int, lane: Perform) -> None:
    fill(before)
    for request in requests:
        try:
            after, expected = perform(before, request)
        except DependsOnOrder:
            continue

        operation = lane(user, request, chunk_size)

        found = told(operation)
        pks = new_pks(expected, found)
        expected.outcomes = {row: (outcome, pks.get(pk, pk)) for row, (outcome, pk) in expected.outcomes.items()}
        before = after.renamed(pks)
        assert found == expected
        assert stored() == before.rows
        assert counts(operation) == Counter(outcome for outcome, _ in expected.outcomes.values())


def new_pks(expected: Told, found: Told) -> dict[int | None, int]:
    """The primary keys that the database gave to new rows, by those that the model gave them."""
    outcomes = {row: pk for row, (outcome, pk) in found.outcomes.items() if outcome == "CREATED" and pk is not None}
    return {expected.outcomes[row][1]: pk for row, pk in outcomes.items() if row in expected.outcomes}


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
@given(before=tables(), requests=st.lists(request(), min_size=1, max_size=3), chunk_size=st.integers(1, 7))
def test_requests_at_once(user, before, requests, chunk_size):
    assert_same(user, before, requests, chunk_size, at_once)
