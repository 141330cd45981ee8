"""Who may see what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, QuerySet
from strawberry.types import get_object_definition

from bulkql.schema.context import SIGN_IN
from bulkql.schema.options import is_given
from bulkql.workers.columns.column import graphql_name
from bulkql.workers.enums import Verb
from bulkql.workers.errors import BadInput, Forbidden, NotFound, Unauthenticated
from bulkql.workers.exports.fields import fields_for
from bulkql.workers.models import Input, Operation
from bulkql.workers.resources.registry import BulkResource, registered, resource_named, resource_of
from bulkql.workers.resources.rights import APPLY, may, permission_to, write_only
from bulkql.workers.resources.scope import has_own_scope

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def visible_operations(user: User) -> QuerySet[Operation]:
    """A user's own operations; all of them for staff."""
    operations = Operation.objects.select_related("created_by")
    return operations if is_staff(user) else operations.filter(created_by=user)


def is_staff(user: User) -> bool:
    """Django's flag, which a project's own user model need not have."""
    return bool(getattr(user, "is_staff", False))


def user_now(user: User) -> User:
    """The user as the database has it now, with the permissions of now; raises Unauthenticated where it is gone."""
    found = get_user_model()._default_manager.filter(pk=user.pk).first()
    if found is None or not found.is_active:
        raise Unauthenticated(SIGN_IN)
    return found


def operation_for(user: User, operation_id: str) -> Operation:
    """An operation that is the user's to stop or to retry; raises NotFound."""
    try:
        return visible_operations(user).get(id=UUID(str(operation_id)))
    except (Operation.DoesNotExist, ValueError):
        raise no_operation(operation_id) from None


def readable_operation(user: User, operation_id: str) -> Operation:
    """An operation that the user may look at: also a plan that he could apply, and what became of his plan of another.

    Raises NotFound.
    """
    with suppress(NotFound):
        return operation_for(user, operation_id)
    if is_uuid(operation_id):
        others = Operation.objects.select_related("created_by").filter(id=operation_id)
        found = others.filter(applied_from__created_by=user).first() or plans_to_apply(user, others).first()
        if found is not None:
            return found
    raise no_operation(operation_id)


def no_operation(operation_id: str) -> NotFound:
    shown = operation_id[:100] or "(no id was given)"
    return NotFound(f"There is no operation {shown} that you may see.")


def is_uuid(text: str) -> bool:
    try:
        UUID(str(text))
    except ValueError:
        return False
    return True


def plans_to_apply(user: User, operations: QuerySet[Operation]) -> QuerySet[Operation]:
    """Those of these operations that are plans and that the user, who may apply plans, may read as a whole.

    What belongs to users one by one (get_queryset, readable_fields) is looked at by its author and by staff alone: the
    rows of a plan are not in the table yet, where it could be asked whose they are.
    """
    if not user.has_perm(APPLY):
        return operations.none()
    open_to_all = [
        one.name
        for one in registered()
        if may_view(user, one) and not has_own_scope(one) and not write_only(one, user) - one.write_only
    ]
    others = Exists(Input.objects.filter(operation=OuterRef("pk")).exclude(resource__in=open_to_all))
    return operations.filter(~others, dry_run=True)


def check_may_view(user: User, resource: BulkResource) -> None:
    """Reading a resource takes Django's view permission; raises Forbidden."""
    if not may_view(user, resource):
        raise Forbidden(view_forbidden(resource))


def may_view(user: User, resource: BulkResource) -> bool:
    return may(user, "view", resource.model)


def view_forbidden(resource: BulkResource) -> str:
    return f"Reading {resource.name} needs the permission {view_permission(resource)}."


def view_permission(resource: BulkResource) -> str:
    """Django's permission to read a resource's rows: ledger.view_financialaccount."""
    return permission_to("view", resource.model)


def hidden_contents(user: User, operation: Operation) -> dict[str, str]:
    """The resources of somebody else's operation whose values the user may not read, and the permission that it takes.

    Staff sees what becomes of everybody's operations; what stands in their rows, only who may view the resource.
    """
    if operation.verb == Verb.EXPORT:
        return hidden_exports(user, operation)
    if operation.sent_by == user.pk:
        return {}
    known = {resource.name: resource for resource in registered()}
    hidden: dict[str, str] = {}
    for name in operation.inputs.values_list("resource", flat=True):
        resource = known.get(name)
        if resource is None:  # nobody can say who may read it
            hidden[name] = "of a resource that is registered"
        elif not may_view(user, resource):
            hidden[name] = view_permission(resource)
        elif write_only(resource, user) - resource.write_only:  # which operations do not hold in the clear
            hidden[name] = "to read all of its fields"
    return hidden


def check_contents(user: User, operation: Operation) -> None:
    """Whether the user may read all of an operation's rows; raises Forbidden."""
    for resource, permission in hidden_contents(user, operation).items():
        raise Forbidden(f"Reading {resource} needs the permission {permission}.")


def hidden_exports(user: User, operation: Operation) -> dict[str, str]:
    """The same of an export, whose files hold what its user could see: nobody else may, and that user only as long."""
    hidden: dict[str, str] = {}
    for one in operation.inputs.select_related("export"):
        if operation.created_by_id != user.pk:
            hidden[one.resource] = "of the user who exported it"
            continue
        try:
            resource = resource_named(one.resource)
            hidden |= {} if may_view(user, resource) else {one.resource: view_permission(resource)}
            fields_for(resource, one.export.fields, user)
        except (BadInput, Forbidden):
            hidden.setdefault(one.resource, "to read all fields that were exported")
    return hidden


def check_may_search(user: User, resource: BulkResource, how: str, *given: object) -> None:
    """Whether a user may read what these filters or orders name: to search is to read. Raises Forbidden."""
    check_may_view(user, resource)
    named = [found for one in given for found in named_in(one)]
    refused = sorted({name for name, _ in named} & write_only(resource, user))
    if refused:
        names = ", ".join(map(graphql_name, refused))
        raise Forbidden(f"{resource.name} cannot be {how} by {names}, which you may not read.")
    for name, value in named:
        check_may_search_target(user, resource, how, name, value)


def check_may_search_target(user: User, resource: BulkResource, how: str, name: str, value: object) -> None:
    """The same of what a foreign key or a list points to: by a target's own keys, or by the one that rows give."""
    field: Any = resource.model._meta.get_field(name)
    target = resource_of(field.related_model) if field.related_model is not None else None
    if target is None:
        return
    check_may_view(user, target)
    asked = {one for one, _ in named_in(value)}
    read = asked - REFERENCE | ({field.target_field.name} if asked & {"exact", "in_list"} else set())
    refused = sorted(read & write_only(target, user))
    if refused:
        names = ", ".join(f"{graphql_name(name)}.{graphql_name(one)}" for one in refused)
        raise Forbidden(f"{resource.name} cannot be {how} by {names}, which you may not read.")


#: What joins the lookups of a filter.
JUNCTIONS = ("AND", "OR", "NOT")
#: What a lookup of a foreign key asks by, besides the fields of its target's keys.
REFERENCE = frozenset({"exact", "in_list", "is_null", "pk"})


def named_in(given: object) -> Iterator[tuple[str, object]]:
    """The fields that a filter or an order names, in its junctions too, with what it asks of them."""
    if isinstance(given, list):
        for one in given:
            yield from named_in(one)
        return
    definition = get_object_definition(given)
    for one in definition.fields if definition is not None else ():
        value = getattr(given, one.name)
        if not is_given(value) or one.name == "DISTINCT":
            continue
        if one.name in JUNCTIONS:
            yield from named_in(value)
        else:
            yield one.name, value
