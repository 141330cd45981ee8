"""What can be read: operations, resources, and the rows of each resource."""

from __future__ import annotations

from collections.abc import Callable
from types import GenericAlias
from typing import TYPE_CHECKING, Any

import strawberry
import strawberry_django
from asgiref.sync import sync_to_async
from django.db import models
from strawberry.extensions import FieldExtension
from strawberry.types import Info
from strawberry_django.fields.field import StrawberryDjangoField

from bulkql.schema.context import Context, user_of
from bulkql.schema.filters import filter_of, order_of
from bulkql.schema.operations import OperationQuery
from bulkql.schema.permissions import check_may_search, check_may_view
from bulkql.schema.scalars import describe, type_of
from bulkql.workers.columns.column import graphql_name
from bulkql.workers.resources.registry import BulkResource, registered
from bulkql.workers.resources.rights import has_field_rights, read_only, write_only
from bulkql.workers.resources.scope import pks_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@strawberry.type(description="A resource: a model and its rules.")
class ResourceInfo:
    name: str = strawberry.field(description="Its name in inputs and queries.")
    type_name: str = strawberry.field(description="The name of one row's type.")
    fields: list[str] = strawberry.field(description="The fields that rows may give.")
    required_fields: list[str] = strawberry.field(description="Those that a created row must give.")
    writable_fields: list[str] = strawberry.field(description="Those that you may write.")
    readable_fields: list[str] = strawberry.field(description="Those that you may read, where you may view its rows.")
    match_fields: list[str] = strawberry.field(description="The key by which rows are found.")
    operations: list[str] = strawberry.field(description="The operations that it offers.")


@strawberry.type
class ResourceQuery:
    @strawberry.field(description="The registered resources, parents before children.")
    async def bulk_resources(self, info: Info[Context, None]) -> list[ResourceInfo]:
        return await sync_to_async(resource_infos)(user_of(info))


def resource_infos(user: User) -> list[ResourceInfo]:
    return [resource_info(resource, user) for resource in registered()]


def resource_info(resource: BulkResource, user: User) -> ResourceInfo:
    names = {name: column.graphql_name for name, column in resource.columns.items()}
    return ResourceInfo(
        name=resource.name,
        type_name=resource.type_name,
        fields=[*names.values(), *map(graphql_name, resource.lists)],
        required_fields=[column.graphql_name for column in resource.columns.values() if column.is_required],
        writable_fields=[graphql_name(name) for name in resource.fields if name not in read_only(resource, user)],
        readable_fields=[graphql_name(name) for name in resource.fields if name not in write_only(resource, user)],
        match_fields=[names[name] for name in resource.match_fields],
        operations=sorted(resource.operations),
    )


def query_type(resources: list[BulkResource]) -> type:
    """Operations, and a list query for each resource: financialTransactions(filters, order, pagination)."""
    types: dict[type[models.Model], Any] = {}
    for resource in resources:
        types[resource.model] = row_type(resource, types)
    lists = {
        resource.name: strawberry_django.field(
            name=resource.name,
            field_cls=list_field(resource),
            description=f"The {resource.model._meta.verbose_name_plural} that you may see.",
        )
        for resource in resources
    }
    annotations = {resource.name: GenericAlias(list, types[resource.model]) for resource in resources}
    namespace = {"__annotations__": annotations, "__module__": __name__, **lists}
    return strawberry.type(type("Query", (OperationQuery, ResourceQuery), namespace), description="What can be read.")


def list_field(resource: BulkResource) -> type[StrawberryDjangoField]:
    """The field of a resource's list: whoever filters or orders by a field has to be one who may read it."""

    class ListField(StrawberryDjangoField):
        def get_queryset(self, queryset: Any, info: Info[Context, None], **arguments: Any) -> Any:
            user = user_of(info)
            check_may_search(user, resource, "filtered", arguments.get("filters"))
            check_may_search(user, resource, "ordered", arguments.get("ordering"), arguments.get("order"))
            # Untyped in strawberry-django.
            return super().get_queryset(queryset, info, **arguments)  # type: ignore[no-untyped-call]

    return ListField


class Readable(FieldExtension):
    """A field of rows is null for those who may not read it; what they may was asked with the rows."""

    def __init__(self, resource: str, field: str) -> None:
        self._resource, self._field = resource, field

    def resolve(self, next_: Callable[..., Any], source: Any, info: Info[Context, None], **kwargs: Any) -> Any:
        unreadable = info.context.unreadable.get(self._resource)
        if unreadable is None or self._field in unreadable:
            return None
        return next_(source, info, **kwargs)


def row_type(resource: BulkResource, types: dict[type[models.Model], Any]) -> Any:
    """The type of one row, with its filters and its order; foreign keys lead to the types built before."""
    annotations: dict[str, Any] = {"id" if resource.model._meta.pk.name == "id" else "pk": strawberry.ID}
    fields: dict[str, Any] = {
        name: strawberry_django.field(description="The primary key.") for name in list(annotations)
    }
    for column in resource.columns.values():
        kind = types.get(column.target) if column.target is not None else type_of(column, resource.type_name)
        name = column.name
        if kind is None:  # the target has no resource: its key is all that can be told
            kind, name = strawberry.ID, column.field.attname
        is_guarded = has_field_rights(resource)
        annotations[name] = kind | None if column.field.null or is_guarded else kind
        fields[name] = strawberry_django.field(
            name=column.graphql_name,
            description=describe(column),
            extensions=[Readable(resource.name, column.name)] if is_guarded else [],
        )

    def get_queryset(cls: Any, /, queryset: models.QuerySet[Any], info: Info[Context, None], **_: Any) -> Any:
        return queryset.filter(pk__in=pks_of(visible_rows(resource, info)))

    namespace = {
        "__annotations__": annotations,
        "__module__": __name__,
        "get_queryset": classmethod(get_queryset),
        **fields,
    }
    verbose_name = resource.model._meta.verbose_name
    return strawberry_django.type(
        resource.model,
        name=resource.type_name,
        description=f"A {verbose_name}.",
        filters=filter_of(resource),
        ordering=order_of(resource),
        pagination=True,
    )(type(resource.type_name, (), namespace))


def visible_rows(resource: BulkResource, info: Info[Context, None]) -> models.QuerySet[Any]:
    """The rows that the caller may see; raises Unauthenticated, Forbidden."""
    user = user_of(info)
    check_may_view(user, resource)
    info.context.unreadable[resource.name] = write_only(resource, user)
    return resource.get_queryset(user)
