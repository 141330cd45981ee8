"""What can be read: operations, resources, and the rows of each resource."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from types import GenericAlias
from typing import TYPE_CHECKING, Any

import strawberry
import strawberry_django
from asgiref.sync import sync_to_async
from django.db import models
from strawberry.annotation import StrawberryAnnotation
from strawberry.extensions import FieldExtension
from strawberry.types import Info
from strawberry.types.arguments import StrawberryArgument
from strawberry_django.fields.field import StrawberryDjangoField

from bulkql.schema.checks.filters import check_filter
from bulkql.schema.context import Context, user_of
from bulkql.schema.limits.fetching import canceled_with_client, fetch
from bulkql.schema.limits.usage import LimitQuery
from bulkql.schema.lists.filters import filter_of, order_of
from bulkql.schema.operations import OperationQuery
from bulkql.schema.permissions import check_may_search, check_may_view, may_view, view_forbidden
from bulkql.schema.scalars import describe, type_of
from bulkql.workers.columns.column import graphql_name
from bulkql.workers.conf import limits
from bulkql.workers.errors import BadInput, Forbidden, refusals_named
from bulkql.workers.intake.requests import exceeds
from bulkql.workers.resources.registry import BulkResource, registered, resource_of
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
    return strawberry.type(
        type("Query", (OperationQuery, ResourceQuery, LimitQuery), namespace), description="What can be read."
    )


def list_field(resource: BulkResource) -> type[StrawberryDjangoField]:
    """The field of a resource's list: what a client asks by is looked at before the database is asked."""

    class ListField(StrawberryDjangoField):
        @property
        def arguments(self) -> list[StrawberryArgument]:
            """Strawberry's own name for an order of several keys is `ordering`."""
            found = super().arguments
            for one in found:
                if one.python_name == "ordering":
                    one.graphql_name = "order"
                    one.type_annotation = StrawberryAnnotation(list[order_of(resource)] | None)  # type: ignore[misc]
            return found

        @arguments.setter
        def arguments(self, value: list[StrawberryArgument]) -> None:
            StrawberryDjangoField.arguments.fset(self, value)  # type: ignore[attr-defined]

        def get_queryset(self, queryset: Any, info: Info[Context, None], **arguments: Any) -> Any:
            user = user_of(info)
            check_may_view(user, resource)
            check_may_search(user, resource, "filtered", arguments.get("filters"))
            check_may_search(user, resource, "ordered", arguments.get("ordering"))
            check_filter(resource, arguments.get("filters"), f"{resource.name}.filters", info)
            page = page_of(resource, arguments.pop("pagination", None))
            found = super().get_queryset(queryset, info, **arguments)  # type: ignore[no-untyped-call]  # not typed there
            # Without an order, two pages could have the same row.
            found = (found if found.ordered else found.order_by("pk"))[page]
            # Read here: a pattern that the database does not take is known only then.
            with refusals_named(f"{resource.name}.filters"):
                fetch(found, resource.name)
            return found

        def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
            result = super().get_result(source, info, args, kwargs)
            return canceled_with_client(result) if isawaitable(result) else result

    return ListField


def reference_field(target: BulkResource) -> type[StrawberryDjangoField]:
    """The field of a row that another row points to: null where the user may not see that row."""

    class ReferenceField(StrawberryDjangoField):
        def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
            # Asked when the rows were; here, on the event loop, a project's own backend could not ask the database.
            if target.name in info.context.hidden:
                raise Forbidden(view_forbidden(target))
            return super().get_result(source, info, args, kwargs)

    return ReferenceField


def page_of(resource: BulkResource, given: Any) -> slice:
    """Which of the rows; a page of the default size where nothing is said. Raises BadInput, LimitExceeded."""
    offset: int = given.offset if is_given(given) else 0
    limit: int = given.limit if is_given(given) and is_given(given.limit) else limits().default_page_rows
    if offset < 0:
        raise BadInput(f"{resource.name}.pagination.offset is {offset}; the first row has the offset 0.")
    if limit < 0:
        raise BadInput(f"{resource.name}.pagination.limit is {limit}; a page has no negative number of rows.")
    exceeds("page_rows", f"{resource.name} in a page", limit, "ask for fewer")
    return slice(offset, offset + limit)


def is_given(value: Any) -> bool:
    return value is not None and value is not strawberry.UNSET


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
        target = resource_of(column.target) if column.target in types and column.target is not None else None
        # What a row points to may be out of sight, and must not take the row with it.
        is_guarded = has_field_rights(resource)
        annotations[name] = kind | None if column.field.null or target is not None or is_guarded else kind
        fields[name] = strawberry_django.field(
            name=column.graphql_name,
            description=describe(column),
            field_cls=reference_field(target) if target is not None else StrawberryDjangoField,
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
    """The rows that the caller may see; raises Unauthenticated."""
    user = user_of(info)
    # The fields that lead here say what is forbidden: an error here would be one of the whole list.
    if may_view(user, resource):
        info.context.hidden.discard(resource.name)
        info.context.unreadable[resource.name] = write_only(resource, user)
        return resource.get_queryset(user)
    info.context.hidden.add(resource.name)
    return resource.model._base_manager.none()
