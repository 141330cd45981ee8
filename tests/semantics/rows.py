"""What a row says: which fields it may give and which it owes, their values, and which rows a later one supersedes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.semantics.resources import PK, RESOURCES, Bad, Error, Field, Key, Values
from tests.semantics.tables import Part, Tables


def match_key(verb: str, part: Part) -> Key:
    """How all rows of a part are found: as asked; by primary key, where any row gives it; as registered."""
    if verb == "create":
        return ()
    if part.match_by is not None:
        return part.match_by
    if verb != "upsert" and any(isinstance(row, dict) and "id" in row for row in part.rows):
        return ("id",)
    return RESOURCES[part.resource].match_fields


def fields_of(verb: str, part: Part) -> dict[str, Field]:
    """What rows may give: the resource's fields; the primary key only where rows are found by it."""
    key = match_key(verb, part)
    fields = {"id": PK, **RESOURCES[part.resource].fields} if key == ("id",) else RESOURCES[part.resource].fields
    return {name: fields[name] for name in key} if verb == "delete" else fields


def owed(verb: str, part: Part) -> set[str]:
    """What every row must give. An upsert that finds nothing owes more: what a create does."""
    required = RESOURCES[part.resource].required if verb in ("create", "replace") else set()
    return required | set(match_key(verb, part))


@dataclass(frozen=True)
class Reference:
    """How a row points to a row of another resource: by its primary key, or by a key, {"code": "A"}."""

    path: str
    resource: str
    by: str
    value: Any

    def target(self, tables: Tables) -> int | None:
        """The primary key of the row, if it is there for the user."""
        pk = tables.find(self.resource, (self.by,), {self.by: self.value})
        return pk if tables.shows(self.resource, pk) else None


def read(verb: str, part: Part, row: Any) -> tuple[Values, list[Error]]:
    """The values that a row gives, and all that is wrong with them or missing. Missing is not null."""
    if not isinstance(row, dict):
        return {}, [(None, "INVALID")]
    values: Values = {}
    errors: list[Error] = []
    given: set[str] = set()
    fields = fields_of(verb, part)
    for name, value in row.items():
        field = name.removesuffix("By")
        try:
            if name in fields:
                given.add(name)
                values[name] = read_value(fields[name], name, value)
            elif field in fields and fields[field].refers_to:
                if field in row:
                    errors.append((name, "INVALID"))  # one or the other
                check_name(fields[field], name, value)
                given.add(field)
                values[field] = read_name(fields[field], name, value)
            else:
                raise Bad((name, "UNKNOWN_FIELD"))
        except Bad as bad:
            errors += bad.errors
    return values, errors + [(name, "REQUIRED") for name in owed(verb, part) - given]


def read_value(field: Field, path: str, value: Any) -> Any:
    """The value of a field. Null is one, which not every field takes."""
    if value is None:
        if not field.takes_null:
            raise Bad((path, "NULL_NOT_ALLOWED"))
        return None
    try:
        parsed = field.parse(value)
    except Bad as bad:
        raise Bad(*[(path, code) for _, code in bad.errors]) from None
    return Reference(path, field.refers_to, "id", parsed) if field.refers_to else parsed


def check_name(field: Field, path: str, by: Any) -> None:
    """A name is null, or exactly the fields of one key of its target: {"code": "A"}. Anything else names nothing."""
    assert field.refers_to is not None
    keys = RESOURCES[field.refers_to].keys
    if by is not None and (not isinstance(by, dict) or not by):
        raise Bad((path, "INVALID"))
    if unknown := [name for name in by or {} if (name,) not in keys]:
        raise Bad(*[(f"{path}.{name}", "UNKNOWN_FIELD") for name in unknown])


def read_name(field: Field, path: str, by: Any) -> Reference | None:
    if by is None:
        return read_value(field, path, None)
    assert field.refers_to is not None
    ((name, value),) = by.items()
    path = f"{path}.{name}"
    return Reference(path, field.refers_to, name, read_value(RESOURCES[field.refers_to].fields[name], path, value))


def resolve(tables: Tables, values: Values) -> Values:
    """Primary keys for references; raises Bad where they point to nothing, or to what the user does not see."""
    resolved = {name: value.target(tables) if isinstance(value, Reference) else value for name, value in values.items()}
    lost = [value for name, value in values.items() if isinstance(value, Reference) and resolved[name] is None]
    if lost:
        raise Bad(*[(reference.path, "REFERENCE_NOT_FOUND") for reference in lost])
    return resolved


def superseded(tables: Tables, verb: str, part: Part) -> dict[int, Key]:
    """Rows of which a later one has a key too, be that one good or bad; and that key."""
    found: dict[int, Key] = {}
    seen: set[tuple[Key, Any]] = set()
    for index, row in reversed(list(enumerate(part.rows))):
        keys = keys_of(tables, verb, part, row)
        if shared := [key for key, values in keys.items() if (key, values) in seen]:
            found[index] = shared[0]
        seen |= set(keys.items())
    return found


def keys_of(tables: Tables, verb: str, part: Part, row: Any) -> dict[Key, Any]:
    """The keys that a row gives in full; that by which it is found comes first.

    What is missing, null or unreadable is equal to nothing. A name and the primary key that it stands for are the same;
    a name that stands for nothing is itself.
    """
    values = values_in_keys(tables, verb, part, row)
    keys: dict[Key, Any] = {}
    for key in dict.fromkeys([match_key(verb, part), *RESOURCES[part.resource].keys]):
        with suppress(KeyError):
            given = tuple(values[name] for name in key)
            if key and not any(value is None or isinstance(value, Unreadable) for value in given):
                keys[key] = given
    return keys


class Unreadable:
    """A value that is equal to nothing."""


def values_in_keys(tables: Tables, verb: str, part: Part, row: Any) -> Values:
    """What a row gives, as it counts in keys: a name and the primary key that it stands for are the same."""
    values, _ = read(verb, part, row)
    for name, value in values.items():
        if isinstance(value, Reference):
            target = value.value if value.by == "id" else value.target(tables)
            values[name] = value if target is None else target
    given = list(row) if isinstance(row, dict) else []
    fields = [name.removesuffix("By") for name in given]
    for name in fields_of(verb, part):
        if name in fields and (name not in values or fields.count(name) > 1):
            values[name] = Unreadable()
    return values
