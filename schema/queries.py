"""What can be read: operations, resources, and the rows of each resource."""

from __future__ import annotations

from types import GenericAlias
from typing import TYPE_CHECKING

import strawberry
import strawberry_django
from asgiref.sync import sync_to_async
from strawberry.types import Info

from bulkql.schema.context import Context, user_of
from bulkql.schema.limits.usage import LimitQuery
from bulkql.schema.lists.fields import list_field
from bulkql.schema.lists.types import row_types
from bulkql.schema.operations.listing import OperationQuery
from bulkql.schema.templates.queries import TemplateQuery
from bulkql.workers.columns.column import graphql_name
from bulkql.workers.resources.registry import BulkResource, registered
from bulkql.workers.resources.rights import read_only, write_only

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@strawberry.type(description="A resource: a model and its rules.")
class ResourceInfo:
    name: str = strawberry.field(description="Its name in inputs and queries.")
    type_name: str = strawberry.field(description="The name of one row's type.")
    fields: list[str] = strawberry.field(description="The fields that rows may give.")
    required_fields: list[str] = strawberry.field(description="Fields that a new row must give.")
    writable_fields: list[str] = strawberry.field(description="Fields that you may write.")
    readable_fields: list[str] = strawberry.field(description="Fields that you may read, if you may view its rows.")
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
    types = row_types(resources)
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
    bases = (OperationQuery, ResourceQuery, TemplateQuery, LimitQuery)
    return strawberry.type(type("Query", bases, namespace), description="Everything that can be read.")
