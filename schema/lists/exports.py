"""One resource's part of an export -> the request that workers/ takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import strawberry_django
from django.db.models import QuerySet
from strawberry.types import Info
from strawberry_django.ordering import apply_ordering

from bulkql.schema.checks.filters import check_filter
from bulkql.schema.context import Context
from bulkql.schema.lists.filters import order_of
from bulkql.schema.options import is_given
from bulkql.schema.permissions import check_may_search
from bulkql.workers.errors import BadInput
from bulkql.workers.exports.fields import fields_for
from bulkql.workers.intake.requests import ExportRequest, FileCompression, InputRequest
from bulkql.workers.readers.options import FileFormat
from bulkql.workers.resources.registry import BulkResource, resource_named

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def exports_of(given: Any, user: User, info: Info[Context, None]) -> list[InputRequest]:
    """What an export names; raises BadInput, Forbidden."""
    found = [export_of(resource_named(name), item, user, info) for name, item in vars(given).items() if is_given(item)]
    if not found:
        raise BadInput("The input names no resource; give one an object, {} for all of its rows.")
    return found


def export_of(resource: BulkResource, item: Any, user: User, info: Info[Context, None]) -> InputRequest:
    """The rows and the columns of one file, as far as the user may read them."""
    wanted, form, compression = (
        value if is_given(value := getattr(item, name)) else None for name in ("fields", "format", "compression")
    )
    fields = fields_for(resource, wanted, user)
    export = ExportRequest(
        fields=tuple(one.name for one in fields),
        format=FileFormat.CSV if form is None else FileFormat(form),
        compression=None if compression is None else FileCompression(compression),
    )
    return InputRequest(resource=resource, where=searched(resource, item.where, item.order, user, info), export=export)


def searched(
    resource: BulkResource, where: Any, order: Any, user: User, info: Info[Context, None]
) -> QuerySet[Any] | None:
    """The rows that a filter finds, in an order, in anybody's sight; None for all, in the order of their keys."""
    if not is_given(where) and not is_given(order):
        return None
    rows: QuerySet[Any] = resource.model._base_manager.all()
    if is_given(where):
        check_may_search(user, resource, "filtered", where)
        check_filter(resource, where, f"{resource.name}.where", info)
        rows = strawberry_django.filters.apply(where, rows, info)
    if is_given(order):
        check_may_search(user, resource, "ordered", order)
        rows = apply_ordering(order_of(resource), order, info, rows)
    return rows
