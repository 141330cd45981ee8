"""What a bulk request does: resource after resource, row after row. The pipeline must come to the same end.

There are no chunks here, no workers and no SQL: what a request does depends on none of them. A row may take a key that
another one of the same request gives up: what counts is how the table ends. Only where a row takes half of a key from
the table, and the other half from a row that is not there yet, the model refuses the request: DependsOnOrder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from decimal import Decimal
from typing import Any

from tests.semantics.resources import RESOURCES, Bad, Key, Values
from tests.semantics.rows import Reference, Unreadable, match_key, read, resolve, superseded, values_in_keys
from tests.semantics.tables import Change, Part, Request, Tables, Told


class DependsOnOrder(Exception):
    """Which rows are good depends on which are written first."""


def perform(tables: Tables, request: Request) -> tuple[Tables, Told]:
    """The tables after a request, and what is told of it."""
    after, told, verb = deepcopy(tables), Told(), request.verb_of_rows
    for part in in_order(request):
        losers = later_takers(tables, verb, part) | superseded(tables, verb, part)
        perform_part(after, verb, part, losers, told)
    for part in reversed(in_order(request)) if request.verb == "sync" else ():
        delete_missing(after, part, missing(tables, part), told)
    if request.rejects_all and told.errors:
        # Every row was tried, so that all errors are known; and nothing was done.
        told.state = "FAILED"
        told.cascades.clear()
        told.changes.clear()
        sent = {(part.resource, index) for part in request.parts for index in range(len(part.rows))}
        told.outcomes = {
            # What nobody sent is told by its primary key.
            row: ("FAILED" if row in told.errors else "SKIPPED", None if row in sent else pk)
            for row, (_, pk) in told.outcomes.items()
        }
        return tables, told
    if request.dry_run:
        for row, (outcome, _) in told.outcomes.items():
            if outcome == "CREATED":
                told.outcomes[row] = (outcome, None)
        return tables, told
    told.changes.clear()
    return after, told


def in_order(request: Request) -> list[Part]:
    """Parents before children, whatever the request says first; but children go before their parents."""
    ordered = sorted(request.parts, key=lambda part: list(RESOURCES).index(part.resource))
    return ordered[::-1] if request.verb == "delete" else ordered


def perform_part(tables: Tables, verb: str, part: Part, losers: dict[int, Key], told: Told) -> None:
    """All rows as one. A bad row keeps nobody else out, and changes nothing. Of a key that rows share, some are losers.

    A row goes from step to step until one finds fault with it; what later ones would have found is not told.
    """
    good: dict[int, tuple[int | None, Values]] = {}
    for index, row in enumerate(part.rows):
        with failing(part, index, told):
            values, errors = read(verb, part, row)
            if index in losers:
                errors.append((path_of(losers[index]), "DUPLICATE_IN_REQUEST"))
            if errors:
                raise Bad(*errors)
            values = resolve(tables, values)
            if verb == "delete":
                told.outcomes[part.resource, index] = ("DELETED", delete(tables, part, values, told))
                continue
            pk, after = VERBS[verb](tables, part, values)
            if not RESOURCES[part.resource].is_allowed(after):
                raise Bad((None, "CONSTRAINT"))
            good[index] = pk, after
    for index, key in taken(tables, part, good).items():
        with failing(part, index, told):
            raise Bad((path_of(key), "ALREADY_EXISTS"))
        del good[index]
    for index, (pk, after) in good.items():
        before = {} if pk is None else tables.rows[part.resource][pk]
        outcome = "CREATED" if pk is None else "UNCHANGED" if after == before else "UPDATED"
        told.outcomes[part.resource, index] = (outcome, tables.write(part.resource, pk, after))
        if outcome == "UPDATED":
            told.changes[part.resource, index] = differences(before, after)


def missing(tables: Tables, part: Part) -> list[int]:
    """The rows that a sync's rows do not name; none, where nobody can tell which one a row names."""
    key, named = match_key("upsert", part), set()
    for row in part.rows:
        values = values_in_keys(tables, "upsert", part, row) if isinstance(row, dict) else {}
        if any(isinstance(values.get(name, Unreadable()), Unreadable | Reference) for name in key):
            return []
        named.add(tables.find(part.resource, key, values))
    return [pk for pk in sorted(tables.rows[part.resource]) if tables.shows(part.resource, pk) and pk not in named]


def delete_missing(tables: Tables, part: Part, pks: list[int], told: Told) -> None:
    """Rows of the table, told behind those of the request."""
    by_pk = Part(part.resource, [], match_by=("id",))
    for index, pk in enumerate(pks, start=len(part.rows)):
        with failing(part, index, told):
            told.outcomes[part.resource, index] = ("DELETED", delete(tables, by_pk, {"id": pk}, told))
        if (part.resource, index) in told.errors:
            told.outcomes[part.resource, index] = ("FAILED", pk)


@contextmanager
def failing(part: Part, index: int, told: Told) -> Iterator[None]:
    """Tell what is wrong with a row."""
    try:
        yield
    except Bad as bad:
        told.outcomes[part.resource, index] = ("FAILED", None)
        told.errors[part.resource, index] = set(bad.errors)


def differences(before: Values, after: Values) -> set[Change]:
    return {(name, shown(before[name]), shown(value)) for name, value in after.items() if value != before[name]}


def shown(value: Any) -> str | None:
    """A value as text. A row that is new in a dry run has no primary key to tell."""
    if isinstance(value, Decimal):
        return f"{value:.2f}"
    return None if value is None else "new" if isinstance(value, int) and value < 0 else str(value)


def path_of(key: Key) -> str | None:
    """An error of a key is one of its field, if it has but one, and else of the whole row."""
    return key[0] if len(key) == 1 else None


# ---- The verbs: the primary key of the row that is there, or None, and what is to become of it -----------------------


def create(tables: Tables, part: Part, values: Values) -> tuple[int | None, Values]:
    """Missing fields take their defaults."""
    return None, RESOURCES[part.resource].defaults | values


def update(tables: Tables, part: Part, values: Values) -> tuple[int | None, Values]:
    """The fields that the row gives are set, and no other."""
    pk = found(tables, part, match_key("update", part), values)
    values.pop("id", None)
    return pk, tables.rows[part.resource][pk] | values


def replace(tables: Tables, part: Part, values: Values) -> tuple[int | None, Values]:
    """All fields are set: those that the row does not give, to their defaults. Creates nothing."""
    pk = found(tables, part, match_key("replace", part), values)
    values.pop("id", None)
    return pk, tables.rows[part.resource][pk] | RESOURCES[part.resource].defaults | values


def upsert(tables: Tables, part: Part, values: Values) -> tuple[int | None, Values]:
    """Where the key is in the table, an update (of updateFields alone, if there are any); else a create."""
    key = match_key("upsert", part)
    pk = tables.find(part.resource, key, values)
    if pk is None:
        if missing := RESOURCES[part.resource].required - values.keys():
            raise Bad(*[(name, "REQUIRED") for name in missing])
        return create(tables, part, values)
    if not tables.shows(part.resource, pk):
        raise Bad((path_of(key), "FORBIDDEN"))
    if part.update_fields is not None:
        values = {name: value for name, value in values.items() if name in part.update_fields}
    return pk, tables.rows[part.resource][pk] | values


VERBS: dict[str, Callable[[Tables, Part, Values], tuple[int | None, Values]]] = {
    "create": create,
    "update": update,
    "replace": replace,
    "upsert": upsert,
}


def found(tables: Tables, part: Part, key: Key, values: Values) -> int:
    """The row that is to change. One that the user may not see is not there."""
    pk = tables.find(part.resource, key, values)
    if pk is None or not tables.shows(part.resource, pk):
        raise Bad((path_of(key), "NOT_FOUND"))
    return pk


def delete(tables: Tables, part: Part, values: Values, told: Told) -> int:
    """The row goes, and what hangs on it: toys with their shelf. A seal keeps its toy, and so the toy's shelf."""
    pk = found(tables, part, match_key("delete", part), values)
    if part.resource == "toys":
        going, along = [pk], []
    else:
        going = along = [toy for toy, row in tables.rows["toys"].items() if row["shelf"] == pk]
    if tables.seals.intersection(going):
        raise Bad((None, "CONSTRAINT"))
    for toy in along:
        del tables.rows["toys"][toy]
        told.cascades["zoo.Toy"] += 1
    del tables.rows[part.resource][pk]
    return pk


# ---- Keys that rows take -------------------------------------------------------------------------------------------


def taken(tables: Tables, part: Part, good: dict[int, tuple[int | None, Values]]) -> dict[int, Key]:
    """The rows that cannot have a key because another row of the table, also one that nobody sees, keeps it.

    Which keeps it, too, if it cannot have what it wants instead. What is left are the most rows that can be written.
    """
    rows = tables.rows[part.resource]
    takes, kept = {}, set().union(*(keys_in(part, row) for row in rows.values()))
    for index, (pk, after) in good.items():
        had, has = keys_in(part, {} if pk is None else rows[pk]), keys_in(part, after)
        takes[index] = (has - had, had)
        kept -= had - has
    found: dict[int, Key] = {}
    while lost := [index for index, (wanted, _) in takes.items() if index not in found and wanted & kept]:
        for index in lost:
            found[index] = ()
            kept |= takes[index][1]
    # Of several keys, the first one stands for the row.
    keys = RESOURCES[part.resource].keys
    return {index: min((key for key, _ in takes[index][0] & kept), key=keys.index) for index in found}


def later_takers(tables: Tables, verb: str, part: Part) -> dict[int, Key]:
    """Rows that take a key which a later one takes too, also where they give half of it and the table has the rest.

    A row that only keeps what it has takes nothing.
    """
    found: dict[int, Key] = {}
    seen: set[tuple[Key, Any]] = set()
    #: Keys of rows that are not there yet, and whether a row gives them in full.
    new: dict[tuple[Key, Any], bool] = {}
    for index, row in reversed(list(enumerate(part.rows if verb != "delete" else ()))):
        before, after = would_be(tables, verb, part, row)
        takes = keys_in(part, after) - keys_in(part, before)
        for key, values in list(takes):
            if any(isinstance(value, Reference) for value in values):
                takes.remove((key, values))
                is_full = {name.removesuffix("By") for name in row} >= set(key)
                if (key, values) in new and not (is_full and new[key, values]):
                    raise DependsOnOrder
                new[key, values] = is_full
        if shared := [key for key in RESOURCES[part.resource].keys if any(one[0] == key for one in takes & seen)]:
            found[index] = shared[0]
        seen |= takes
    return found


def would_be(tables: Tables, verb: str, part: Part, row: Any) -> tuple[Values, Values]:
    """What a row of the request finds in the table and what it would make of it, be it good or bad.

    A value that nobody can read is equal to nothing; a name that stands for nothing is itself.
    """
    if not isinstance(row, dict):
        return {}, {}
    values = values_in_keys(tables, verb, part, row)
    key = match_key(verb, part)
    is_whole = all(name in values and not isinstance(values[name], Reference) for name in key)
    pk = tables.find(part.resource, key, values) if key and is_whole else None
    if pk is None:
        return {}, RESOURCES[part.resource].defaults | values if verb in ("create", "upsert") else {}
    if not tables.shows(part.resource, pk):
        return {}, {}
    if verb == "upsert" and part.update_fields is not None:
        values = {name: value for name, value in values.items() if name in part.update_fields}
    before = tables.rows[part.resource][pk]
    return before, before | (RESOURCES[part.resource].defaults if verb == "replace" else {}) | values


def keys_in(part: Part, row: Values) -> set[tuple[Key, tuple[Any, ...]]]:
    """The keys of a row of the table."""
    keys = {key: tuple(row.get(name) for name in key) for key in RESOURCES[part.resource].keys}
    return {(key, values) for key, values in keys.items() if None not in values}
