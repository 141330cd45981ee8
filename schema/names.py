"""The names of GraphQL's types: those that a resource brings, those that are ours, and who has one of them already."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from strawberry.schema.name_converter import NameConverter
from strawberry.types.enum import StrawberryEnumDefinition

from bulkql.schema.scalars import ENDINGS, enum_name_of
from bulkql.workers.enums import Verb
from bulkql.workers.resources.registry import BulkResource

#: Types of GraphQL, Strawberry and ours that are in each schema, or come with the first resource that has use for them.
SCALARS = frozenset({"Boolean", "Date", "DateTime", "Decimal", "Float", "ID", "Int", "JSON", "String", "Time", "UUID"})
OF_OURS = frozenset({"Base64", "BigInt", "Duration", "Upload"})
COMMON = frozenset({"Mutation", "OffsetPaginationInput", "Ordering", "PageInfo", "Query", "Subscription"})
#: Where they are written down.
OURS = ("bulkql.schema.", "bulkql.workers.")


def names_of(resource: BulkResource) -> set[str]:
    """The types that a resource may bring into a schema."""
    own = resource.type_name
    enums = [enum_name_of(column, own) for column in resource.columns.values() if column.choice_names]
    return {
        own,
        *(f"{own}{ending}" for ending in ENDINGS),
        *enums,
        *(f"{enum}BaseFilterLookup" for enum in enums),
    }


def our_types() -> dict[str, Any]:
    """The types that are written down in this package, by their names; not those that resources bring."""
    found: dict[str, Any] = {}
    for name, module in list(sys.modules.items()):
        if name.startswith("bulkql.schema."):  # which import the enums of workers/
            for value in vars(module).values():
                definition = getattr(value, "__strawberry_definition__", None)
                if definition is not None and getattr(value, "__module__", "").startswith(OURS):
                    found[definition.name] = value
    return found


def our_names() -> frozenset[str]:
    """The names that no resource can have."""
    inputs = {f"Bulk{verb.title()}Input" for verb in Verb}
    return SCALARS | OF_OURS | COMMON | inputs | {prefixed(name) for name in our_types()}


def clashes(resources: list[BulkResource]) -> Iterator[tuple[BulkResource, str, list[str]]]:
    """The resources that bring a type which is there already: the resource, whose it is, and the names."""
    owners = dict.fromkeys(our_names(), "bulkql itself")
    for resource in resources:
        shared: dict[str, list[str]] = {}
        for name in sorted(names_of(resource)):
            if (owner := owners.setdefault(name, resource.label)) != resource.label:
                shared.setdefault(owner, []).append(name)
        for owner, names in shared.items():
            yield resource, owner, names


class Prefixed(NameConverter):
    """Names our own types with BULKQL_TYPE_PREFIX before them, so that a project may have a Change and a Mode too."""

    def __init__(self, auto_camel_case: bool) -> None:
        super().__init__(auto_camel_case)
        self._ours = {id(kind.__strawberry_definition__) for kind in our_types().values()}

    def from_object(self, object_type: Any) -> str:
        return self._named(object_type, super().from_object(object_type))

    def from_enum(self, enum: StrawberryEnumDefinition) -> str:
        return self._named(enum, super().from_enum(enum))

    def _named(self, definition: Any, name: str) -> str:
        return prefixed(name) if id(definition) in self._ours else name


def prefixed(name: str) -> str:
    """The name of a type of ours in this project."""
    prefix = type_prefix()
    return name if name in COMMON or name.startswith(prefix) else f"{prefix}{name}"


def type_prefix() -> str:
    """The setting BULKQL_TYPE_PREFIX; by default none."""
    return str(getattr(settings, "BULKQL_TYPE_PREFIX", "") or "")
