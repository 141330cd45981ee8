"""What a bulk request does: resource after resource, row after row. The pipeline must come to the same end.

There are no chunks here, no workers and no SQL: what a request does depends on none of them. Where it would, because a
row takes a key that another one of the same request gives up, the model refuses the request: DependsOnOrder.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from decimal import Decimal
from itertools import permutations
from typing import Any

from tests.semantics.resources import RESOURCES, Bad, Key, Values
from tests.semantics.rows import match_key, read, resolve, superseded
from tests.semantics.tables import Change, Part, Request, Tables, Told


class DependsOnOrder(Exception):
    """Which rows are good depends on which are written first, or together: on chunks and workers."""


def perform(tables: Tables, request: Request) -> tuple[Tables, Told]:
    """The tables after a request, and what is told of it."""
    after, told = deepcopy(tables), Told()
    for part in in_order(request):
        perform_part(after, request.verb, part, told)
    if request.rejects_all and told.errors:
        # Every row was tried, so that all errors are known; and nothing was done.
        told.state = "FAILED"
        told.cascades.clear()
        told.changes.clear()
        told.outcomes = {row: ("FAILED" if row in told.errors else "SKIPPED", None) for row in told.outcomes}
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


def perform_part(tables: Tables, verb: str, part: Part, told: Told) -> None:
    """Row after row. A bad row keeps nobody else out, and changes nothing.

    A row goes from step to step until one finds fault with it; what later ones would have found is not told.
    """
    losers = superseded(tables, verb, part)
    refuse_races(tables, verb, part, losers)
    for index, row in enumerate(part.rows):
        try:
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
            before = {} if pk is None else tables.rows[part.resource][pk]
            outcome, pk = write(tables, part, pk, after)
            told.outcomes[part.resource, index] = (outcome, pk)
            if outcome == "UPDATED":
                told.changes[part.resource, index] = differences(before, after)
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


def write(tables: Tables, part: Part, pk: int | None, row: Values) -> tuple[str, int]:
    """Check constraints come first, then keys, also those of rows that nobody sees. What is so already is UNCHANGED."""
    resource = RESOURCES[part.resource]
    if not resource.is_allowed(row):
        raise Bad((None, "CONSTRAINT"))
    for key in resource.keys:
        if tables.find(part.resource, key, row) not in (None, pk):
            raise Bad((path_of(key), "ALREADY_EXISTS"))
    outcome = "CREATED" if pk is None else "UNCHANGED" if row == tables.rows[part.resource][pk] else "UPDATED"
    return outcome, tables.write(part.resource, pk, row)


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


# ---- What depends on chunks ------------------------------------------------------------------------------------------


def refuse_races(tables: Tables, verb: str, part: Part, losers: dict[int, Key]) -> None:
    """Raise DependsOnOrder where a row takes a key that another one gives up, or takes, too.

    (Not by giving it in full, for then the last row supersedes the others; but a row may give half of a key.)
    """
    if verb == "delete":
        return
    moves = []
    for index, row in enumerate(part.rows):
        values, errors = read(verb, part, row)
        if index not in losers and not errors:
            with suppress(Bad):
                pk, after = VERBS[verb](tables, part, resolve(tables, values))
                had = keys_in(part, {} if pk is None else tables.rows[part.resource][pk])
                has = keys_in(part, after)
                moves.append((has - had, had - has))
    for (taken, _), (taken_by_another, given_up) in permutations(moves, 2):
        if taken & (taken_by_another | given_up):
            raise DependsOnOrder


def keys_in(part: Part, row: Values) -> set[tuple[Key, tuple[Any, ...]]]:
    """The keys of a row of the table."""
    keys = {key: tuple(row.get(name) for name in key) for key in RESOURCES[part.resource].keys}
    return {(key, values) for key, values in keys.items() if None not in values}
