"""What can be read: operations, resources, and the rows of each resource."""

from __future__ import annotations

from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
import strawberry_django
from asgiref.sync import sync_to_async
from django.db import models
from strawberry.relay import PageInfo
from strawberry.types import Info

from schema.context import Context, user_of
from schema.filters import filter_of, order_of
from schema.permissions import check_may_view, operation_for, visible_operations
from schema.scalars import describe, type_of
from schema.types import After, BulkOperation, First, snapshot
from workers.errors import BadInput
from workers.intake import exceeds
from workers.models import Operation
from workers.resources import BulkResource, registered

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Id = Annotated[strawberry.ID, strawberry.argument(description="The operation's id.")]


@strawberry.type(description="A resource: a model and its rules.")
class ResourceInfo:
    name: str = strawberry.field(description="Its name in inputs and queries.")
    type_name: str = strawberry.field(description="The name of one row's type.")
    fields: list[str] = strawberry.field(description="The fields that rows may give.")
    required_fields: list[str] = strawberry.field(description="Those that a created row must give.")
    match_fields: list[str] = strawberry.field(description="The key by which rows are found.")
    operations: list[str] = strawberry.field(description="The operations that it offers.")


@strawberry.type(description="An operation and its place.")
class BulkOperationEdge:
    cursor: str = strawberry.field(description="The place, for `after`.")
    node: BulkOperation = strawberry.field(description="The operation.")


@strawberry.type(description="A page of operations, the newest first.")
class BulkOperationConnection:
    edges: list[BulkOperationEdge] = strawberry.field(description="The operations with their places.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")
    total_count: int = strawberry.field(description="All operations that you may see.")


@strawberry.type
class OperationQuery:
    @strawberry.field(description="One operation; your own, or for staff any.")
    async def operation(self, info: Info[Context, None], id: Id) -> BulkOperation:
        return await sync_to_async(lambda: snapshot(operation_for(user_of(info), id)))()

    @strawberry.field(description="Your operations, the newest first; for staff all of them.")
    async def operations(
        self, info: Info[Context, None], first: First = 20, after: After = None
    ) -> BulkOperationConnection:
        return await sync_to_async(operations_page)(user_of(info), first, after)

    @strawberry.field(description="The registered resources, parents before children.")
    async def bulk_resources(self, info: Info[Context, None]) -> list[ResourceInfo]:
        user_of(info)
        return [resource_info(resource) for resource in registered()]


def resource_info(resource: BulkResource) -> ResourceInfo:
    names = {name: column.graphql_name for name, column in resource.columns.items()}
    return ResourceInfo(
        name=resource.name,
        type_name=resource.type_name,
        fields=list(names.values()),
        required_fields=[column.graphql_name for column in resource.columns.values() if column.is_required],
        match_fields=[names[name] for name in resource.match_fields],
        operations=sorted(resource.operations),
    )


def operations_page(user: User, first: int, after: str | None) -> BulkOperationConnection:
    """A page of the operations that a user may see."""
    exceeds("page_rows", "operations in a page", first, "ask for fewer")
    if first < 0:
        raise BadInput(f"first is {first}; a page has no negative number of operations.")
    visible = visible_operations(user).order_by("-created_at", "-id")
    rest = visible
    if after is not None:
        last = operation_for(user, after)
        older = models.Q(created_at__lt=last.created_at)
        rest = visible.filter(older | models.Q(created_at=last.created_at, id__lt=last.id))
    found = list(rest[: first + 1])
    edges = [edge(operation) for operation in found[:first]]
    page = PageInfo(
        has_next_page=len(found) > first,
        has_previous_page=after is not None,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )
    return BulkOperationConnection(edges=edges, page_info=page, total_count=visible.count())


def edge(operation: Operation) -> BulkOperationEdge:
    return BulkOperationEdge(cursor=str(operation.id), node=snapshot(operation))


def query_type(resources: list[BulkResource]) -> type:
    """Operations, and a list query for each resource: financialTransactions(filters, order, pagination)."""
    types: dict[type[models.Model], Any] = {}
    for resource in resources:
        types[resource.model] = row_type(resource, types)
    lists = {
        resource.name: strawberry_django.field(
            name=resource.name,
            description=f"The {resource.model._meta.verbose_name_plural} that you may see.",
        )
        for resource in resources
    }
    annotations = {resource.name: GenericAlias(list, types[resource.model]) for resource in resources}
    namespace = {"__annotations__": annotations, "__module__": __name__, **lists}
    return strawberry.type(type("Query", (OperationQuery,), namespace), description="What can be read.")


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
        annotations[name] = kind | None if column.field.null else kind
        fields[name] = strawberry_django.field(name=column.graphql_name, description=describe(column))

    def get_queryset(cls: Any, /, queryset: models.QuerySet[Any], info: Info[Context, None], **_: Any) -> Any:
        return queryset.filter(pk__in=visible_rows(resource, info).values("pk"))

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
    return resource.get_queryset(user)
