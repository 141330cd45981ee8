"""Who may see what."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from bulkql.schema.context import SIGN_IN
from bulkql.workers.errors import Forbidden, NotFound, Unauthenticated
from bulkql.workers.models import Operation
from bulkql.workers.resources.registry import BulkResource, registered

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
    """An operation that the user may see; raises NotFound."""
    try:
        return visible_operations(user).get(id=UUID(str(operation_id)))
    except (Operation.DoesNotExist, ValueError):
        raise NotFound(f"There is no operation {operation_id or '(no id was given)'} that you may see.") from None


def check_may_view(user: User, resource: BulkResource) -> None:
    """Reading a resource takes Django's view permission; raises Forbidden."""
    permission = view_permission(resource)
    if not user.has_perm(permission):
        raise Forbidden(f"Reading {resource.name} needs the permission {permission}.")


def view_permission(resource: BulkResource) -> str:
    """Django's permission to read a resource's rows: ledger.view_financialaccount."""
    meta = resource.model._meta
    return f"{meta.app_label}.view_{meta.model_name}"


def hidden_contents(user: User, operation: Operation) -> dict[str, str]:
    """The resources of somebody else's operation whose values the user may not read, and the permission that it takes.

    Staff sees what becomes of everybody's operations; what stands in their rows, only who may view the resource.
    """
    if operation.created_by_id == user.pk:
        return {}
    known = {resource.name: view_permission(resource) for resource in registered()}
    names = operation.inputs.values_list("resource", flat=True)
    # Nobody can say who may read what is registered no more.
    needed = {name: known.get(name, "of a resource that is registered") for name in names}
    return {name: permission for name, permission in needed.items() if not user.has_perm(permission)}
