"""A resource and who asks -> the rows that may be seen."""

from __future__ import annotations

from typing import Any

from django.db import models
from strawberry.types import Info

from bulkql.schema.context import Context, user_of
from bulkql.schema.permissions import may_view
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.resources.rights import write_only


def visible_rows(resource: BulkResource, info: Info[Context, None]) -> models.QuerySet[Any]:
    """The rows that the caller may see; raises Unauthenticated."""
    user = user_of(info)
    # The fields that lead here say what is forbidden: an error here would be one of the whole list.
    if may_view(user, resource):
        info.context.hidden.discard(resource.name)
        info.context.unreadable[resource.name] = write_only(resource, user)
        return resource.get_queryset(user)
    info.context.hidden.add(resource.name)
    return resource.model._base_manager.none()
