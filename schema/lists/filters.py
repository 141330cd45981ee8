"""Registered resources -> the filters and orders of their rows."""

from __future__ import annotations

from functools import cache
from typing import Any

import strawberry
import strawberry_django

from bulkql.schema.lists.lookups import lookup_of
from bulkql.schema.scalars import describe, is_sortable
from bulkql.workers.columns.column import Column
from bulkql.workers.resources.registry import BulkResource


@cache
def filter_of(resource: BulkResource) -> Any:
    """FinancialTransactionFilter: lookups on each column, foreign keys and lists by their targets."""
    columns = {column.name: column for column in searchable(resource)}
    lookups = {name: lookup_of(column, resource) for name, column in columns.items()}
    annotations = {name: lookup | None for name, lookup in lookups.items() if lookup is not None}
    namespace = {
        name: strawberry_django.filter_field(name=columns[name].graphql_name, description=words(columns[name]))
        for name in annotations
    }
    kind = type(
        f"{resource.type_name}Filter", (), {"__annotations__": annotations, "__module__": __name__, **namespace}
    )
    return strawberry_django.filter_type(
        resource.model,
        name=f"{resource.type_name}Filter",
        description=f"Which {resource.model._meta.verbose_name_plural}.",
    )(kind)


@cache
def order_of(resource: BulkResource) -> Any:
    """FinancialTransactionOrder: by any column with values that have an order."""
    columns = [column for column in searchable(resource) if is_sortable(column)]
    namespace = {
        column.name: strawberry_django.order_field(name=column.graphql_name, description=words(column))
        for column in columns
    }
    annotations = {column.name: strawberry.auto for column in columns}
    kind = type(f"{resource.type_name}Order", (), {"__annotations__": annotations, "__module__": __name__, **namespace})
    return strawberry_django.order_type(
        resource.model,
        name=f"{resource.type_name}Order",
        description=f"In which order the {resource.model._meta.verbose_name_plural} come.",
    )(kind)


def searchable(resource: BulkResource) -> list[Column]:
    """The columns that a client may search by: the primary key, and all that rows may give."""
    lists = {name: by_pk for name, (by_pk, *_) in resource.lists.items()}
    return list({resource.pk.name: resource.pk, **resource.columns, **lists}.values())


def words(column: Column) -> str:
    """What a field is for: one that is called `day` need not be the day of a month."""
    return describe(column, is_required=False)
