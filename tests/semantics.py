"""What each bulk verb means: tables as dicts, rows one after the other. The pipeline must come to the same end.

There are no chunks here, no workers and no SQL: what a request does depends on none of them, with one exception, which
`depends_on_order` finds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

Values: TypeAlias = dict[str, Any]
RowErrors: TypeAlias = list[tuple[str | None, str]]  # path and code

NEVER = object()  # the default of a field that has none


class Bad(Exception):
    """What is wrong with a row, or with a value: paths and codes."""

    def __init__(self, *errors: tuple[str | None, str]) -> None:
        super().__init__(*errors)
        self.errors = list(errors)


# ---- Fields: what a row may say of them, and what is stored ----------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """A field of a resource. `parse` makes the stored value of a row's, or raises Bad."""

    parse: Callable[[Any], Any]
    default: Any = NEVER
    takes_null: bool = False
    is_unique: bool = False
    refers_to: str | None = None


def text(length: int, *, may_be_blank: bool = False) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if not isinstance(value, str):
            raise Bad((None, "INVALID"))
        if not value and not may_be_blank:
            raise Bad((None, "REQUIRED"))
        if len(value) > length:
            raise Bad((None, "TOO_LONG"))
        return value

    return parse


def integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise Bad((None, "INVALID"))
    if not -(2**31) <= value < 2**31:
        raise Bad((None, "OUT_OF_RANGE"))
    return int(value)


def price(value: Any) -> Decimal:
    """Four digits, two of them behind the point."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Bad((None, "INVALID"))
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise Bad((None, "INVALID")) from None
    if abs(number) >= 100 or number != round(number, 2):
        raise Bad((None, "OUT_OF_RANGE"))
    return number


def primary_key(value: Any) -> int:
    """An id is a number, or text that is one."""
    try:
        return int(value)
    except (TypeError, ValueError):
        raise Bad((None, "INVALID")) from None


@dataclass(frozen=True)
class Resource:
    fields: dict[str, Field]
    match_field: str
    #: What the database holds against a row.
    check: Callable[[Values], bool] = lambda values: True


RESOURCES = {
    # Parents before children.
    "shelves": Resource(
        fields={
            "code": Field(text(3), is_unique=True),
            "note": Field(text(5, may_be_blank=True), default=""),
        },
        match_field="code",
    ),
    "toys": Resource(
        fields={
            "sku": Field(text(3), is_unique=True),
            "name": Field(text(5)),
            "price": Field(price, default=None, takes_null=True),
            "stock": Field(integer, default=0),
            "shelf": Field(primary_key, default=None, takes_null=True, refers_to="shelves"),
        },
        match_field="sku",
        check=lambda toy: toy["stock"] >= 0,
    ),
}
PK = Field(primary_key, is_unique=True)


# ---- What goes in and what comes out ---------------------------------------------------------------------------------


@dataclass
class World:
    """The tables: rows by primary key. A row that is `hidden` is outside of get_queryset."""

    tables: dict[str, dict[int, Values]] = field(default_factory=lambda: {name: {} for name in RESOURCES})
    #: Toys that a PROTECT keeps.
    sealed: set[int] = field(default_factory=set)
    #: New rows have negative primary keys, until somebody tells what the database gave them.
    next_pk: int = -1

    def sees(self, resource: str, pk: int | None) -> bool:
        return pk in self.tables[resource] and not self.tables[resource][pk]["hidden"]

    def find(self, resource: str, name: str, value: Any) -> int | None:
        """The primary key of the row, hidden or not, that has this value in a unique field."""
        if name == "id":
            return value if value in self.tables[resource] else None
        return next((pk for pk, row in self.tables[resource].items() if row[name] == value), None)

    def insert(self, resource: str, values: Values) -> int:
        pk, self.next_pk = self.next_pk, self.next_pk - 1
        self.tables[resource][pk] = values | {"hidden": False}
        return pk

    def renamed(self, pks: dict[int, int]) -> World:
        """With the primary keys that the database gave to new rows."""
        tables: dict[str, dict[int, Values]] = {}
        for name, rows in self.tables.items():
            tables[name] = {pks.get(pk, pk): dict(row) for pk, row in rows.items()}
        for row in tables["toys"].values():
            row["shelf"] = pks.get(row["shelf"], row["shelf"])
        return World(tables, self.sealed, self.next_pk)


@dataclass(frozen=True)
class Part:
    """The rows that a request has for a resource."""

    resource: str
    rows: list[Any]
    match_by: str | None = None
    update_fields: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Request:
    verb: str
    parts: list[Part]
    rejects_all: bool = False
    dry_run: bool = False


@dataclass
class Told:
    """What a client is told. Rows are named by resource and index."""

    state: str = "COMPLETED"
    outcomes: dict[tuple[str, int], tuple[str, int | None]] = field(default_factory=dict)
    errors: dict[tuple[str, int], set[tuple[str | None, str]]] = field(default_factory=dict)
    cascades: Counter[str] = field(default_factory=Counter)


# ---- A request -------------------------------------------------------------------------------------------------------


def perform(world: World, request: Request) -> tuple[World, Told]:
    """The tables after a request, and what is told of it."""
    after, told = deepcopy(world), Told()
    for part in in_order(request):
        perform_part(after, request.verb, part, told)
    if request.rejects_all and told.errors:
        # All rows were tried, so all errors are known; and nothing was done.
        told.state = "FAILED"
        told.cascades.clear()
        told.outcomes = {row: ("FAILED" if row in told.errors else "SKIPPED", None) for row in told.outcomes}
        return world, told
    if request.dry_run:
        told.outcomes = {
            row: (outcome, None if outcome == "CREATED" else pk) for row, (outcome, pk) in told.outcomes.items()
        }
        return world, told
    return after, told


def in_order(request: Request) -> list[Part]:
    """Parents before children, whatever the request says first; children go before their parents."""
    ordered = sorted(request.parts, key=lambda part: list(RESOURCES).index(part.resource))
    return ordered[::-1] if request.verb == "delete" else ordered


def perform_part(world: World, verb: str, part: Part, told: Told) -> None:
    """Row by row. A bad row keeps nobody else out, and changes nothing.

    A row goes through its steps until one of them finds fault with it; what later ones would have found stays unknown.
    """
    superseded = superseded_rows(verb, part)
    for index, row in enumerate(part.rows):
        try:
            values = read(verb, part, row, superseded.get(index))
            values = resolve(world, part, values)
            told.outcomes[part.resource, index] = VERBS[verb](world, part, values, told)
        except Bad as bad:
            told.outcomes[part.resource, index] = ("FAILED", None)
            told.errors[part.resource, index] = set(bad.errors)


def match_field(verb: str, part: Part) -> str | None:
    """How all rows of a part are found: as asked, by the primary key where any row gives it, else as registered."""
    if verb == "create":
        return None
    if part.match_by is not None:
        return part.match_by
    if verb != "upsert" and any(isinstance(row, dict) and "id" in row for row in part.rows):
        return "id"
    return RESOURCES[part.resource].match_field


def superseded_rows(verb: str, part: Part) -> dict[int, str]:
    """Rows that have a unique value which a later row has too, be that one good or bad; and the field of the value."""
    superseded: dict[int, str] = {}
    seen: set[tuple[str, Any]] = set()
    for index in reversed(range(len(part.rows))):
        keys = keys_of(verb, part, part.rows[index])
        if shared := [name for name, value in keys.items() if (name, value) in seen]:
            superseded[index] = shared[0]
        seen |= set(keys.items())
    return superseded


def keys_of(verb: str, part: Part, row: Any) -> Values:
    """The unique values that a row gives. What is missing, null or unreadable is equal to nothing."""
    keys = {}
    for name, known in fields_of(verb, part).items():
        if known.is_unique and isinstance(row, dict) and row.get(name) is not None:
            with suppress(Bad):
                keys[name] = known.parse(row[name])
    return keys


def fields_of(verb: str, part: Part) -> dict[str, Field]:
    """What rows may give: the resource's fields, and the primary key only where rows are found by it."""
    key = match_field(verb, part)
    fields = RESOURCES[part.resource].fields
    if verb == "delete":
        fields = {name: known for name, known in fields.items() if name == key}
    return {"id": PK, **fields} if key == "id" else fields


def owed(verb: str, part: Part) -> set[str]:
    """What each row must give. Whether an upsert creates, and owes all that a create does, is known only later."""
    key = match_field(verb, part)
    keys = set() if key is None else {key}
    return keys | required(part) if verb in ("create", "replace") else keys


def required(part: Part) -> set[str]:
    return {name for name, known in RESOURCES[part.resource].fields.items() if known.default is NEVER}


# ---- A row: its values -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reference:
    """A row of another resource, as a row points to it: by its primary key or by a unique value."""

    path: str
    by: str
    value: Any


def read(verb: str, part: Part, row: Any, superseded_by: str | None) -> Values:
    """The values that a row gives; raises Bad with all that is wrong with them, and all that is missing."""
    if not isinstance(row, dict):
        raise Bad((None, "INVALID"))
    values: Values = {}
    errors = [] if superseded_by is None else [(superseded_by, "DUPLICATE_IN_REQUEST")]
    fields = fields_of(verb, part)
    for name, value in row.items():
        target = name.removesuffix("By")
        try:
            if name in fields:
                values[name] = read_value(fields[name], name, value)
            elif target in fields and target in row:
                raise Bad((name, "INVALID"))  # one or the other
            elif target in fields and fields[target].refers_to:
                values[target] = read_name(fields[target], name, value)
            else:
                raise Bad((name, "UNKNOWN_FIELD"))
        except Bad as bad:
            errors += bad.errors
    given = {name.removesuffix("By") for name in row}
    errors += [(name, "REQUIRED") for name in owed(verb, part) - given]
    if errors:
        raise Bad(*errors)
    return values


def read_value(known: Field, path: str, value: Any) -> Any:
    """The value of a field. Null is a value, which not every field takes."""
    if value is None:
        if not known.takes_null:
            raise Bad((path, "NULL_NOT_ALLOWED"))
        return None
    try:
        stored = known.parse(value)
    except Bad as bad:
        raise Bad(*[(path, code) for _, code in bad.errors]) from None
    return Reference(path, "id", stored) if known.refers_to else stored


def read_name(known: Field, path: str, by: Any) -> Reference | None:
    """What names a row by a unique value of it: {"code": "A"}."""
    if by is None:
        return read_value(known, path, None)
    if not isinstance(by, dict):
        raise Bad((path, "INVALID"))
    assert known.refers_to is not None
    fields = RESOURCES[known.refers_to].fields
    if unknown := [name for name in by if name not in fields or not fields[name].is_unique]:
        raise Bad(*[(f"{path}.{name}", "UNKNOWN_FIELD") for name in unknown])
    if not by:
        raise Bad((path, "INVALID"))
    ((name, value),) = by.items()
    path = f"{path}.{name}"
    return Reference(path, name, read_value(fields[name], path, value))


def resolve(world: World, part: Part, values: Values) -> Values:
    """References as primary keys; raises Bad where they point to nothing, or to what the user may not see."""
    resolved: Values = {}
    errors: RowErrors = []
    for name, value in values.items():
        if not isinstance(value, Reference):
            resolved[name] = value
            continue
        resource = RESOURCES[part.resource].fields[name].refers_to
        assert resource is not None
        resolved[name] = world.find(resource, value.by, value.value)
        if not world.sees(resource, resolved[name]):
            errors.append((value.path, "REFERENCE_NOT_FOUND"))
    if errors:
        raise Bad(*errors)
    return resolved


# ---- The verbs: each gives the outcome and the primary key of a row, or raises Bad -----------------------------------


def create(world: World, part: Part, values: Values, told: Told) -> tuple[str, int]:
    """Missing fields take their defaults."""
    return "CREATED", insert(world, part, values)


def update(world: World, part: Part, values: Values, told: Told) -> tuple[str, int]:
    """The fields that the row gives are set, and no other."""
    key = match_field("update", part)
    pk = found(world, part, key, values.pop(key))
    return change(world, part, pk, values), pk


def replace(world: World, part: Part, values: Values, told: Told) -> tuple[str, int]:
    """All fields but the key are set: those that the row does not give take their defaults. Creates nothing."""
    key = match_field("replace", part)
    pk = found(world, part, key, values.pop(key))
    return change(world, part, pk, defaults(part) | values), pk


def upsert(world: World, part: Part, values: Values, told: Told) -> tuple[str, int]:
    """Where the key is in the table, an update (of updateFields alone, where they are named); else a create."""
    key = match_field("upsert", part)
    pk = world.find(part.resource, key, values[key])
    if pk is None:
        if missing := required(part) - values.keys():
            raise Bad(*[(name, "REQUIRED") for name in missing])
        return "CREATED", insert(world, part, values)
    if not world.sees(part.resource, pk):
        raise Bad((key, "FORBIDDEN"))
    del values[key]
    if part.update_fields is not None:
        values = {name: value for name, value in values.items() if name in part.update_fields}
    return change(world, part, pk, values), pk


def delete(world: World, part: Part, values: Values, told: Told) -> tuple[str, int]:
    """The row goes, and what hangs on it: toys with their shelf. A seal keeps its toy, and the toy its shelf."""
    key = match_field("delete", part)
    pk = found(world, part, key, values[key])
    toys = world.tables["toys"]
    along = {toy for toy, row in toys.items() if row["shelf"] == pk} if part.resource == "shelves" else set()
    if world.sealed & (along | ({pk} if part.resource == "toys" else set())):
        raise Bad((None, "CONSTRAINT"))
    for toy in along:
        del toys[toy]
        told.cascades["zoo.Toy"] += 1
    del world.tables[part.resource][pk]
    return "DELETED", pk


VERBS: dict[str, Callable[[World, Part, Values, Told], tuple[str, int]]] = {
    "create": create,
    "update": update,
    "replace": replace,
    "upsert": upsert,
    "delete": delete,
}


# ---- Their steps -----------------------------------------------------------------------------------------------------


def found(world: World, part: Part, key: Any, value: Any) -> int:
    """The row that is to change; one that the user may not see is not there."""
    pk = world.find(part.resource, key, value)
    if pk is None or not world.sees(part.resource, pk):
        raise Bad((key, "NOT_FOUND"))
    return pk


def insert(world: World, part: Part, values: Values) -> int:
    values = defaults(part) | values
    check(world, part, None, values)
    return world.insert(part.resource, values)


def change(world: World, part: Part, pk: int, values: Values) -> str:
    """Set these fields; what is so already is UNCHANGED."""
    before = world.tables[part.resource][pk]
    after = before | values
    check(world, part, pk, after)
    world.tables[part.resource][pk] = after
    return "UNCHANGED" if after == before else "UPDATED"


def defaults(part: Part) -> Values:
    """Of fields that may be left out; a key never is one."""
    fields = RESOURCES[part.resource].fields.items()
    return {name: known.default for name, known in fields if known.default is not NEVER}


def check(world: World, part: Part, pk: int | None, values: Values) -> None:
    """What the database says to a whole row: first check constraints, then keys, of rows that nobody sees too."""
    if not RESOURCES[part.resource].check(values):
        raise Bad((None, "CONSTRAINT"))
    for name, known in RESOURCES[part.resource].fields.items():
        if known.is_unique and world.find(part.resource, name, values[name]) not in (None, pk):
            raise Bad((name, "ALREADY_EXISTS"))


# ---- What depends on chunks ------------------------------------------------------------------------------------------


def depends_on_order(world: World, request: Request) -> bool:
    """Whether a row takes a unique value that another row of the same request may give up.

    Whether it is free by then depends on which of the two is written first, or whether both are written at once: on
    chunks. Nothing is promised for such requests, but that each row is written whole or told to be FAILED.
    """
    return any(
        holder in targets - {taker}
        for part in request.parts
        for targets, takers in [targets_and_takers(world, request.verb, part)]
        for taker, holder in takers
    )


def targets_and_takers(world: World, verb: str, part: Part) -> tuple[set[int], list[tuple[int, int]]]:
    """The rows of the table that change a unique value, and pairs of those that want it and those that have it."""
    key = match_field(verb, part)
    targets: set[int] = set()
    takers: list[tuple[int, int]] = []
    if verb in ("update", "replace"):
        for row in part.rows:
            keys = keys_of(verb, part, row)
            pk = world.find(part.resource, str(key), keys.pop(str(key), None))
            for name, value in keys.items():
                if pk is not None and world.tables[part.resource][pk][name] != value:
                    targets.add(pk)
                    holder = world.find(part.resource, name, value)
                    takers += [] if holder is None else [(pk, holder)]
    return targets, takers
