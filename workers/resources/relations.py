"""Registered models -> those whose table is a view, into which rows cannot be copied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from bulkql.workers.backends import backend
from bulkql.workers.enums import Lane, Verb
from bulkql.workers.resources.lanes import lane_of
from bulkql.workers.resources.registry import BulkResource, _registry

KIND = "SELECT relkind FROM pg_class WHERE oid = to_regclass(%s)"
#: What pg_class calls them: https://www.postgresql.org/docs/current/catalog-pg-class.html
VIEW, MATERIALIZED = "v", "m"


@register(Tags.database)
def check_relations(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """All databases of resources that are to be asked: `bulkql migrate`, `bulkql up` and `check --database` do."""
    asked = [alias for alias in databases or () if backend(alias).supports_copy]
    resources = [resource for resource in _registry.values() if resource.database in asked]
    return [error for resource in resources for error in relation_errors(resource)]


def relation_errors(resource: BulkResource) -> Iterator[CheckMessage]:
    """What keeps rows out of one model's table."""
    connection, table = connections[resource.database], resource.model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(KIND, [connection.ops.quote_name(table)])
        found = cursor.fetchone()
    kind = found[0] if found is not None else None
    if kind == MATERIALIZED:
        yield Error(
            f"{resource.label} has the table {table}, which is a materialized view: nothing can be written to it.",
            hint="Register the models of the tables that it is made of.",
            id="bulkql.E080",
        )
    elif kind == VIEW and any(lane_of(resource, verb) == Lane.COPY for verb in resource.operations - {Verb.DELETE}):
        yield Error(
            f"{resource.label} has the table {table}, which is a view: rows cannot be copied into it.",
            hint=f"Add writes = bulkql.SAVE to {type(resource).__qualname__}, or register the model of the table.",
            id="bulkql.E081",
        )
