"""Tables and requests with little space in them, so that rows collide."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.semantics.resources import RESOURCES, Key
from tests.semantics.tables import Part, Request, Tables


def seldom(draw: st.DrawFn, one_in: int = 25) -> bool:
    return draw(st.integers(1, one_in)) == one_in


def mostly(good: list[Any], bad: list[Any]) -> st.SearchStrategy[Any]:
    """One value in sixteen is bad."""
    return st.sampled_from(good * (15 * len(bad) // len(good)) + bad)


#: What rows give, in GraphQL's names.
VALUES = {
    "toys": {
        "id": mostly([1, 2, 3, "1", "4"], [9, "x", None]),
        "sku": mostly([*"abcdabcdef"], ["", None, 7, "long"]),
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
        "id": mostly([1, 2, "2", 1, 3], [9, "x", None]),
        "code": mostly([*"ABABCDE"], ["", None, 7, "long"]),
        "note": mostly(["", "n"], [None, 7, "too long"]),
    },
}
#: What nobody has yet, for the most part.
NEW_VALUES = {
    "toys": {"sku": mostly([*"efgha"], ["", "long"])},
    "shelves": {"code": mostly([*"DEFA"], ["", "long"])},
}
#: How the rows of a part may be found; the first is what is registered.
KEYS = {"toys": [("sku",), ("id",), ("shelf", "place")], "shelves": [("code",), ("id",)]}


@st.composite
def row(draw: st.DrawFn, resource: str, verb: str, key: Key) -> Any:
    """A row that gives most of what it owes, and some of the rest."""
    values = VALUES[resource] | (NEW_VALUES[resource] if verb == "create" else {})
    owed = set(key) | (RESOURCES[resource].required if verb in ("create", "replace", "upsert") else set())
    names = [name for name in values if name in owed and not seldom(draw)]
    if verb != "delete":
        names += [name for name in values if name not in owed and name not in ("id", "shelfBy") and draw(st.booleans())]
    if "shelf" in names and draw(st.booleans()):
        names[names.index("shelf")] = "shelfBy"
    given = {name: draw(values[name]) for name in names}
    if verb != "delete" and seldom(draw):
        odd = ["a row", given | {"colour": "red"}]
        # What such a row has for a key is nobody's business: it gives no place.
        both = {"shelf": 1, "shelfBy": {"code": "A"}}
        odd += [{name: given[name] for name in given if name != "place"} | both] if resource == "toys" else []
        return draw(st.sampled_from(odd))
    return given


@st.composite
def part(draw: st.DrawFn, resource: str, verb: str, keys: list[Key]) -> Part:
    key = () if verb == "create" else draw(st.sampled_from(keys))
    is_default = key in KEYS[resource][:2] and draw(st.booleans())
    update_fields = None
    if verb == "upsert" and seldom(draw, 3):
        fields = st.sampled_from([name for name in RESOURCES[resource].fields if name not in key])
        update_fields = tuple(draw(st.lists(fields, min_size=1, max_size=2, unique=True)))
    rows = draw(st.lists(row(resource, verb, key), min_size=1, max_size=6))
    return Part(resource, rows, None if is_default or not key else key, update_fields)


@st.composite
def trading(draw: st.DrawFn, verb: str) -> Part:
    """Toys that hand on their keys, for the most part to each other."""
    toys = draw(st.permutations([1, 2, 3, 4]))[: draw(st.integers(2, 4))]
    skus = draw(st.permutations([*"abcd", *"abcd", "e"]))
    rows: list[Any] = []
    for toy, sku in zip(toys, skus, strict=False):
        row: dict[str, Any] = {"id": toy} if verb != "upsert" else {"sku": "abcd"[toy - 1]}
        # A debt is not allowed: what such a row has, it keeps.
        row |= {"name": "x"} | ({"stock": -1} if seldom(draw, 6) else {})
        if verb != "upsert" and (verb == "replace" or draw(st.booleans())):
            row["sku"] = sku
        if verb == "upsert" or draw(st.booleans()):
            places = {"shelf": draw(st.sampled_from([1, 1, 2])), "place": draw(st.sampled_from([1, 2]))}
            row |= {name: value for name, value in places.items() if not seldom(draw, 3)}
        rows.append(row)
    if verb == "upsert" and draw(st.booleans()):
        rows.append({"sku": "e", "name": "x", "shelf": 1, "place": draw(st.sampled_from([1, 2]))})
    return Part("toys", draw(st.permutations(rows)))


@st.composite
def request(draw: st.DrawFn) -> Request:
    if seldom(draw, 3):
        verb = draw(st.sampled_from(["update", "replace", "upsert"]))
        how = draw(st.integers(0, 8))
        return Request(verb, [draw(trading(verb))], rejects_all=how in (7, 8), dry_run=how in (6, 7))
    verb = draw(st.sampled_from(["create", "update", "replace", "upsert", "delete"]))
    resources = draw(st.sampled_from([["toys"], ["toys"], ["shelves"], ["toys", "shelves"]]))
    parts = []
    for resource in resources:
        keys = [key for key in KEYS[resource] if verb != "upsert" or key != ("id",)]
        # Toys may name shelves, and so no shelf gets another code while toys are read.
        parts.append(draw(part(resource, verb, keys[:1] if len(resources) > 1 and resource == "shelves" else keys)))
    if verb == "upsert" and len(parts) == 1 and draw(st.booleans()):
        verb = "sync"
    how = draw(st.integers(0, 8))
    return Request(verb, parts, rejects_all=how in (7, 8), dry_run=how in (6, 7))


@st.composite
def tables(draw: st.DrawFn) -> Tables:
    """Some shelves and toys, a few of them hidden or sealed."""
    found = Tables()
    for pk, code in enumerate("ABC", 1):
        if not seldom(draw, 5):
            found.rows["shelves"][pk] = {"code": code, "note": "", "hidden": pk == 3}
    for pk, sku in enumerate("abcd", 1):
        shelf = draw(st.sampled_from([*found.rows["shelves"], None]))
        place = (pk + 1) // 2
        is_free = all((toy["shelf"], toy["place"]) != (shelf, place) for toy in found.rows["toys"].values())
        if not seldom(draw, 6) and (shelf is None or is_free):
            toy = {"sku": sku, "name": "x", "price": None, "stock": 3, "shelf": shelf, "place": place}
            found.rows["toys"][pk] = toy | {"hidden": seldom(draw, 8)}
            found.seals |= {pk} if seldom(draw, 8) else set()
    return found
