"""Names of fields and a user -> the columns of an export's file: its own, those of targets, and lists.

What may not be read is FORBIDDEN where it is named, and left out where nobody asked for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulkql.workers.columns.column import Column
from bulkql.workers.columns.lists import ListColumn
from bulkql.workers.errors import BadInput, Forbidden
from bulkql.workers.intake.checks import exceeds
from bulkql.workers.resources.registry import BulkResource, resource_of
from bulkql.workers.resources.rights import may, permission_to, write_only

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Foreign keys that a name may go through: city.country.name goes through two.
MOST_STEPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportField:
    """One column of an export's file."""

    #: What the file calls it.
    name: str
    #: Where the ORM finds it: financial_account__name.
    path: str
    #: How its values are spelled; of a list, those of its members.
    column: Column
    #: The foreign keys on the way, each with the resource whose rows the user has to see.
    targets: tuple[tuple[str, BulkResource], ...] = ()
    #: A many-to-many field: the field of its targets by which members are told.
    member: str | None = None


def fields_for(resource: BulkResource, names: Sequence[str] | None, user: User | None) -> list[ExportField]:
    """The columns of these names; by default what the resource says. Raises BadInput, Forbidden."""
    check_may_export(resource, user)
    if names is None:
        return default_fields(resource, user)
    wanted = [name.strip() for name in names]
    if not wanted:
        raise BadInput(f"fields of {resource.name} is empty; name some, or leave it out.")
    exceeds("file_columns", f"fields of {resource.name}", len(wanted), "leave some out")
    found = [field_named(resource, name, user) for name in wanted]
    twice = sorted(path for path, count in Counter((one.path, one.member) for one in found).items() if count > 1)
    if twice:
        names_of_first = [one.name for one in found if (one.path, one.member) == twice[0]]
        raise BadInput(f"fields of {resource.name} names one field twice: {', '.join(names_of_first)}.")
    return found


def default_fields(resource: BulkResource, user: User | None) -> list[ExportField]:
    """What is exported where nobody says: `export_fields`, else all fields, and the key by which rows come back."""
    found = []
    for name in default_names(resource):
        with suppress(Forbidden):
            found.append(field_named(resource, name, user))
    if not found:
        raise Forbidden(f"There are no fields of {resource.name} that you may read.")
    return found


def default_names(resource: BulkResource) -> Sequence[str]:
    """The primary key is left out where rows are found by another one: an upsert would not take it."""
    if resource.export_fields:
        return resource.export_fields
    is_keyed = resource.match_fields or resource.pk.name in resource.fields
    return resource.fields if is_keyed else (resource.pk.name, *resource.fields)


def check_may_export(resource: BulkResource, user: User | None) -> None:
    """Whether the user may read a resource's rows; raises Forbidden."""
    if not may(user, "view", resource.model):
        raise Forbidden(f"Reading {resource.name} needs the permission {permission_to('view', resource.model)}.")


def field_named(resource: BulkResource, name: str, user: User | None) -> ExportField:
    """One column; raises BadInput for a name that leads nowhere, and Forbidden where the user may not go."""
    parts = name.split(".")
    if len(parts) > MOST_STEPS + 1:
        raise BadInput(f"{name} goes through more than {MOST_STEPS} foreign keys.")
    targets: list[tuple[str, BulkResource]] = []
    here, path = resource, ""
    while True:
        part, *parts = parts
        column = column_named(here, part, name)
        if column.name in write_only(here, user):
            raise Forbidden(f"fields of {resource.name} names {name}, which you may not read; leave it out.")
        path += column.name
        target = resource_of(column.target) if column.target is not None else None
        if target is not None:
            check_may_export(target, user)
        if isinstance(column, ListColumn):
            return list_named(column, target, name, path, parts, targets, user)
        if target is not None:
            targets.append((path, target))
        if not parts:
            return ExportField(name=name, path=path, column=column, targets=tuple(targets))
        if target is None:
            raise BadInput(f"{name} is not valid: {column.name} of {here.name} does not refer to a resource.")
        here, path = target, f"{path}__"


def list_named(
    column: ListColumn,
    target: BulkResource | None,
    name: str,
    path: str,
    rest: Sequence[str],
    targets: Sequence[tuple[str, BulkResource]],
    user: User | None,
) -> ExportField:
    """A many-to-many field, by its targets' primary keys or by a field of theirs; raises BadInput, Forbidden."""
    if not rest:
        (part,) = column.keys[0]
        return ExportField(name=name, path=path, column=part, targets=tuple(targets), member="pk")
    if target is None or len(rest) > 1:
        raise BadInput(f"{name} is not valid: after a list there can be only one field of its targets.")
    part = column_named(target, rest[0], name)
    if part.target is not None:
        raise BadInput(f"{name} is not valid: {part.name} is itself a key.")
    if part.name in write_only(target, user):
        raise Forbidden(f"{name} names a field that you may not read; leave it out.")
    return ExportField(name=name, path=path, column=part, targets=tuple(targets), member=part.name)


def column_named(resource: BulkResource, part: str, name: str) -> Column:
    """A field of a resource, as it or GraphQL calls it; raises BadInput."""
    lists = {field: by_pk for field, (by_pk, *_) in resource.lists.items()}
    for column in (resource.pk, *resource.columns.values(), *lists.values()):
        if part in (column.name, column.graphql_name):
            return column
    known = ", ".join(dict.fromkeys((resource.pk.name, *resource.columns, *lists)))
    where = "" if part == name else f" (in {name})"
    raise BadInput(f"{resource.name} has no field {part[:100]!r}{where}. Its fields are {known}.")
