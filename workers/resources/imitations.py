"""Databases that call themselves PostgreSQL and are not -> refused for COPY, by a check that asks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from bulkql.workers.backends import backend
from bulkql.workers.resources.registry import BulkResource, _registry

#: What their version() has, and what they are. Temporary tables ON COMMIT DROP, SET CONSTRAINTS and deferred foreign
#: keys do not all work there, and rows that are written by COPY rely on them.
IMITATIONS = {
    "-YB-": "YugabyteDB",
    "CockroachDB": "CockroachDB",
    "Redshift": "Amazon Redshift",
}

#: Tables that Citus has spread over other servers, with all of their schemas; none where it is not installed.
HAS_CITUS = "SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus')"
IS_DISTRIBUTED = "SELECT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = to_regclass(%s))"


@register(Tags.database)
def check_databases(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """All databases of resources that are to be asked: `bulkql migrate`, `bulkql up` and `check --database` do."""
    asked = [alias for alias in databases or () if backend(alias).supports_copy]
    return [error for alias in asked for error in imitation_errors(alias)]


def imitation_errors(alias: str) -> Iterator[CheckMessage]:
    """What is not PostgreSQL in one database."""
    # Not in their order, which wrong registrations do not have; other checks name those.
    resources = [resource for resource in _registry.values() if resource.database == alias]
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT version()")
        name = imitation_of(cursor.fetchone()[0])
        if name is not None:
            yield Error(
                f"The database {alias} is {name}, which calls itself PostgreSQL and lacks what COPY needs.",
                hint=f"Use PostgreSQL, or an ENGINE of {name}'s own: then rows are written through the ORM.",
                id="bulkql.E040",
            )
            return
        cursor.execute(HAS_CITUS)
        if cursor.fetchone()[0]:
            yield from (distributed(one) for one in resources if is_distributed(cursor, one))


def imitation_of(version: str) -> str | None:
    """The name of what a database is that is not PostgreSQL, by its version()."""
    return next((name for mark, name in IMITATIONS.items() if mark in version), None)


def is_distributed(cursor: Any, resource: BulkResource) -> bool:
    """Whether Citus has spread a resource's table."""
    cursor.execute(IS_DISTRIBUTED, [connections[resource.database].ops.quote_name(resource.model._meta.db_table)])
    return bool(cursor.fetchone()[0])


def distributed(resource: BulkResource) -> Error:
    return Error(
        f"{resource.label} has the table {resource.model._meta.db_table}, which Citus distributes; "
        "COPY with checks and deferred constraints does not work there.",
        hint="Undistribute the table (SELECT undistribute_table(...)), or do not register its model.",
        id="bulkql.E041",
    )
