"""Who may see what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import UUID

import strawberry
from django.db.models import QuerySet
from strawberry.types import get_object_definition

from bulkql.workers.columns.column import graphql_name
from bulkql.workers.errors import Forbidden, NotFound
from bulkql.workers.models import Operation
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.resources.rights import may, permission_to, write_only

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def visible_operations(user: User) -> QuerySet[Operation]:
    """A user's own operations; all of them for staff."""
    operations = Operation.objects.select_related("created_by")
    return operations if is_staff(user) else operations.filter(created_by=user)


def is_staff(user: User) -> bool:
    """Django's flag, which a project's own user model need not have."""
    return bool(getattr(user, "is_staff", False))


def operation_for(user: User, operation_id: str) -> Operation:
    """An operation that the user may see; raises NotFound."""
    try:
        return visible_operations(user).get(id=UUID(str(operation_id)))
    except (Operation.DoesNotExist, ValueError):
        raise NotFound(f"There is no operation {operation_id or '(no id was given)'} that you may see.") from None


def check_may_view(user: User, resource: BulkResource) -> None:
    """Reading a resource takes Django's view permission; raises Forbidden."""
    if not may(user, "view", resource.model):
        permission = permission_to("view", resource.model)
        raise Forbidden(f"Reading {resource.name} needs the permission {permission}.")


def check_may_search(user: User, resource: BulkResource, how: str, *given: object) -> None:
    """Whether a user may read what these filters or orders name: to search is to read. Raises Forbidden."""
    check_may_view(user, resource)
    refused = sorted({name for one in given for name in names_in(one)} & write_only(resource, user))
    if refused:
        names = ", ".join(map(graphql_name, refused))
        raise Forbidden(f"{resource.name} cannot be {how} by {names}, which you may not read.")


def names_in(given: object) -> Iterator[str]:
    """The fields that a filter or an order names, in its junctions too."""
    if isinstance(given, list):
        for one in given:
            yield from names_in(one)
        return
    definition = get_object_definition(given)
    for one in definition.fields if definition is not None else ():
        value = getattr(given, one.name)
        if value is None or value is strawberry.UNSET:
            continue
        if one.name in JUNCTIONS:
            yield from names_in(value)
        else:
            yield one.name


JUNCTIONS = ("AND", "OR", "NOT")
