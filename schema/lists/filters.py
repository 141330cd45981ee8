"""Registered resources -> the filters and orders of their rows."""

from __future__ import annotations

from functools import cache
from typing import Any

import strawberry
import strawberry_django

from bulkql.workers.resources.registry import BulkResource


@cache
def filter_of(resource: BulkResource) -> Any:
    """FinancialTransactionFilter: lookups on each column."""
    references = [column.name for column in resource.columns.values() if column.target is not None]
    annotations = dict.fromkeys([*searchable(resource), *references], strawberry.auto)
    kind = type(f"{resource.type_name}Filter", (), {"__annotations__": annotations, "__module__": __name__})
    return strawberry_django.filter_type(
        resource.model,
        name=f"{resource.type_name}Filter",
        lookups=True,
        description=f"Which {resource.model._meta.verbose_name_plural}.",
    )(kind)


@cache
def order_of(resource: BulkResource) -> Any:
    """FinancialTransactionOrder: by any column."""
    annotations = dict.fromkeys(searchable(resource), strawberry.auto)
    kind = type(f"{resource.type_name}Order", (), {"__annotations__": annotations, "__module__": __name__})
    return strawberry_django.order_type(
        resource.model,
        name=f"{resource.type_name}Order",
        description=f"In which order the {resource.model._meta.verbose_name_plural} come.",
    )(kind)


def searchable(resource: BulkResource) -> list[str]:
    """The columns that filters and orders know: those with values of their own, and the primary key."""
    own = [column.name for column in resource.columns.values() if column.target is None and column.is_plain]
    return list(dict.fromkeys([resource.model._meta.pk.name, *own]))
