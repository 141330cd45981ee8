"""Who may see what."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import QuerySet

from bulkql.workers.errors import Forbidden, NotFound
from bulkql.workers.models import Operation
from bulkql.workers.resources.registry import BulkResource

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
    meta = resource.model._meta
    permission = f"{meta.app_label}.view_{meta.model_name}"
    if not user.has_perm(permission):
        raise Forbidden(f"Reading {resource.name} needs the permission {permission}.")
