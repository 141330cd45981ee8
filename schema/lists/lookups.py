"""A column -> what a filter may ask of it, in the types in which its values are written."""

from __future__ import annotations

import datetime
import decimal
import uuid
from functools import cache
from typing import Any, cast

import strawberry
import strawberry_django
from django.db import models
from django.db.models import Q
from strawberry.types import Info, get_object_definition
from strawberry_django.fields import filter_types
from strawberry_django.filters import process_filters, resolve_value

from bulkql.schema.context import Context
from bulkql.schema.lists.visible import visible_rows
from bulkql.schema.options import is_given
from bulkql.schema.permissions import REFERENCE
from bulkql.schema.scalars import BigInt, Duration, describe, enum_of, kind_of
from bulkql.workers.columns.column import Column
from bulkql.workers.resources.registry import BulkResource, resource_of
from bulkql.workers.resources.scope import is_all, pks_of

#: In place of Strawberry's info: the filter's own words are asked for, of all rows and for nobody.
FOR_NOBODY: Any = object()

#: The lookups of values that have an order.
COMPARED = (int, float, decimal.Decimal, BigInt, Duration)
LOOKUPS: dict[Any, Any] = {
    str: filter_types.StrFilterLookup,
    uuid.UUID: filter_types.StrFilterLookup,
    datetime.date: filter_types.DateFilterLookup,
    datetime.datetime: filter_types.DatetimeFilterLookup,
    datetime.time: filter_types.TimeFilterLookup,
    **{kind: filter_types.ComparisonFilterLookup[kind] for kind in COMPARED},  # type: ignore[valid-type]
}


def lookup_of(column: Column, resource: BulkResource) -> Any:
    """The lookups of a column; None where a database cannot compare its values."""
    if column.target is not None:
        return reference_lookup(column.target)
    if column.choice_names:
        return filter_types.BaseFilterLookup[enum_of(column, resource.type_name)]  # type: ignore[misc]
    kind: Any = kind_of(column)
    if isinstance(column.field, models.JSONField):
        return Presence
    if not column.is_plain and not isinstance(column.field, COMPARABLE):
        return None
    # Of an address, a database knows whether it is the same; its text it does not have.
    is_text = kind is str and not isinstance(column.field, models.GenericIPAddressField)
    if is_text or (kind in LOOKUPS and kind is not str):
        return LOOKUPS[kind]
    return filter_types.BaseFilterLookup[kind]


#: Fields without a fast path whose values a database compares all the same.
COMPARABLE = (models.DurationField, models.GenericIPAddressField, models.BinaryField)


@strawberry.input(description="Whether there is a value.")
class Presence:
    is_null: bool | None = strawberry_django.filter_field(description="Whether the value is null.")


@strawberry.input(description="A row to which other rows refer, by its key.")
class ReferenceLookup:
    exact: strawberry.ID | None = strawberry_django.filter_field(
        description="The row with this key, in the form in which rows give it."
    )
    in_list: list[strawberry.ID] | None = strawberry_django.filter_field(description="One of the rows with these keys.")
    pk: strawberry.ID | None = strawberry_django.filter_field(
        description="The row with this primary key, if rows give another key."
    )
    is_null: bool | None = strawberry_django.filter_field(description="Whether it refers to no row that you may see.")

    @strawberry_django.filter_field
    def filter(self, info: Info, queryset: Any, prefix: str) -> Any:
        """Strawberry's hook for a whole lookup: `prefix` is the field and two underscores."""
        if info is FOR_NOBODY:
            return process_filters(cast(Any, self), queryset, info, prefix, skip_object_filter_method=True)
        return queryset, condition(self, info, queryset.model, prefix.removesuffix("__"))


@cache
def reference_lookup(target: type[models.Model]) -> Any:
    """FinancialAccountLookup: a target by the key that rows give, and by the fields of its own keys."""
    resource = resource_of(target)
    if resource is None:
        return ReferenceLookup
    columns = [resource.columns[name] for name in resource.names_of_keys() if name not in REFERENCE]
    lookups = {one.name: lookup_of(one, resource) for one in columns if one.target is None}
    annotations = {name: lookup | None for name, lookup in lookups.items() if lookup is not None}
    namespace = {
        one.name: strawberry_django.filter_field(name=one.graphql_name, description=describe(one, is_required=False))
        for one in columns
        if one.name in annotations
    }
    name = f"{resource.type_name}Lookup"
    kind = type(name, (ReferenceLookup,), {"__annotations__": annotations, "__module__": __name__, **namespace})
    return strawberry.input(kind, name=name, description=f"A {target._meta.verbose_name} to which rows refer.")


def keys_of(lookup: object) -> list[str]:
    """The fields of the target's own keys that a lookup asks by."""
    fields = get_object_definition(lookup, strict=True).fields
    return [one.name for one in fields if one.name not in REFERENCE and is_given(getattr(lookup, one.name))]


def condition(lookup: ReferenceLookup, info: Info[Context, None], model: type[models.Model], path: str) -> Q:
    """Which rows of a model point to a target as the lookup says; a hidden target is none, as where rows are read."""
    field: Any = model._meta.get_field(path)
    target: type[models.Model] = field.related_model
    visible = visible_targets(target, info)
    found = Q()
    for key in keys_of(lookup):
        found &= process_filters(getattr(lookup, key), visible, info, prefix=f"{key}__")[1]
    by = field.target_field.name
    if is_given(lookup.exact):
        found &= Q(**{by: resolve_value(lookup.exact)})
    if is_given(lookup.pk):
        found &= Q(pk=resolve_value(lookup.pk))
    if is_given(lookup.in_list):
        found &= Q(**{f"{by}__in": resolve_value(lookup.in_list)})
    chosen = pointing(model, path, visible.filter(found)) if found else Q()
    if is_given(lookup.is_null):
        some = pointing(model, path, visible)
        chosen &= ~some if lookup.is_null else some
    return chosen


def visible_targets(target: type[models.Model], info: Info[Context, None]) -> models.QuerySet[Any]:
    """The rows that may be pointed to, as far as the caller may see them."""
    resource = resource_of(target)
    everything = target._base_manager.all()
    if resource is None:
        return everything
    visible = visible_rows(resource, info)
    return everything if is_all(visible) else everything.filter(pk__in=pks_of(visible))


def pointing(model: type[models.Model], path: str, targets: models.QuerySet[Any]) -> Q:
    """The rows that point to some of these targets; a list with several of them counts once."""
    if not isinstance(model._meta.get_field(path), models.ManyToManyField):
        if is_all(targets):
            return Q(**{f"{path}__isnull": False})
        return Q(**{f"{path}__in": targets})
    return Q(pk__in=model._base_manager.filter(**{f"{path}__in": targets}).values("pk"))
