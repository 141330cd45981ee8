"""Registered resources -> what keeps their schema from being built, as Django's system checks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.core.checks import CheckMessage, Error

from bulkql.schema.names import clashes, type_prefix
from bulkql.schema.schema import built
from bulkql.workers.errors import place_of
from bulkql.workers.resources.registry import BulkResource

#: What GraphQL takes for a name; those with two underscores at the beginning are its own.
NAME = r"(?!__)[_A-Za-z][_0-9A-Za-z]*"


def building_errors(resources: list[BulkResource]) -> Iterator[CheckMessage]:
    """Names that are there twice, each with its way out; where there are none, whatever else the building says."""
    found = list(prefix_errors()) or [*type_name_errors(resources), *field_name_errors(resources)]
    yield from found
    if found:
        return
    try:
        built(resources)
    except Exception as error:  # whatever it is, the web process would meet it next
        yield Error(
            f"The GraphQL schema cannot be built: {error} ({place_of(error)})",
            hint="Remove the named resource from bulk.py, and report its model to the authors of bulkql.",
            id="bulkql.E045",
        )


def prefix_errors() -> Iterator[CheckMessage]:
    prefix = type_prefix()
    if prefix and not re.fullmatch(NAME, prefix):
        yield Error(
            f"BULKQL_TYPE_PREFIX is {prefix!r}, which GraphQL does not take.",
            hint="Set it to ASCII letters, such as Bulk.",
            id="bulkql.E044",
        )


def type_name_errors(resources: list[BulkResource]) -> Iterator[CheckMessage]:
    """Types of two owners."""
    for resource in resources:
        if not re.fullmatch(NAME, resource.type_name):
            yield Error(
                f"{type(resource).__qualname__} has the type_name {resource.type_name!r}, which GraphQL does not take.",
                hint=f"Set `type_name` to ASCII letters and digits, such as {suggestion(resource)}.",
                id="bulkql.E043",
            )
    for resource, owner, names in clashes(resources):
        several = len(names) > 1
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        yield Error(
            f"{resource.label} and {owner} share the GraphQL type{'s' if several else ''} {shown}.",
            hint=f'Set in {type(resource).__qualname__}: type_name = "{suggestion(resource)}"',
            id="bulkql.E047",
        )


def field_name_errors(resources: list[BulkResource]) -> Iterator[CheckMessage]:
    """Lists that would stand in the place of a query of ours."""
    ours = built([])._schema.query_type
    assert ours is not None
    for resource in resources:
        if resource.name in ours.fields:
            yield Error(
                f"{resource.label} has the GraphQL name {resource.name}, which is a query of bulkql itself.",
                hint=f'Set in {type(resource).__qualname__}: name = "{resource.model._meta.app_label}'
                f'{resource.name[:1].upper()}{resource.name[1:]}"',
                id="bulkql.E046",
            )


def suggestion(resource: BulkResource) -> str:
    """A name that is not there twice, as likely as not: ShopCategory."""
    words = resource.model._meta.app_label.split("_")
    return "".join(word[:1].upper() + word[1:] for word in words) + resource.model.__name__
