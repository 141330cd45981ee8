"""Extensions of PostgreSQL that the project needs and the server does not offer -> a system check, with the way out.

A migration would stop in the middle, with the words of the database. The PostgreSQL of wheels comes without those that
other builds bring along (contrib): citext, hstore, pg_trgm and more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import apps
from django.contrib.postgres.indexes import OpClass
from django.contrib.postgres.operations import CreateExtension
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections, models, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import RunSQL

from bulkql.workers.backends import backend

#: Types of columns that an extension brings, without their modifiers.
TYPES = {
    "citext": "citext",
    "cube": "cube",
    "hstore": "hstore",
    "isbn": "isn",
    "ltree": "ltree",
    "geography": "postgis",
    "geometry": "postgis",
    "vector": "vector",
}
#: Operator classes of indexes that an extension brings.
OPERATOR_CLASSES = {"gin_trgm_ops": "pg_trgm", "gist_trgm_ops": "pg_trgm"}
#: What a migration may say in SQL of its own.
IN_SQL = re.compile(r'CREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?"?([\w-]+)', re.IGNORECASE)

OFFERED = "SELECT name FROM pg_available_extensions UNION SELECT extname FROM pg_extension"


@register(Tags.database)
def check_extensions(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """All PostgreSQL databases that are to be asked: `bulkql migrate`, `bulkql up` and `check --database` do."""
    asked = [connections[alias] for alias in databases or () if backend(alias).supports_extensions]
    return [error for connection in asked for error in extension_errors(connection)]


def extension_errors(connection: BaseDatabaseWrapper) -> Iterator[CheckMessage]:
    """The extensions that one database does not offer, each with who needs it."""
    needed: dict[str, list[str]] = {}
    for extension, who in (*needed_by_migrations(connection), *needed_by_models(connection)):
        needed.setdefault(extension, []).append(who)
    if not needed:
        return
    with connection.cursor() as cursor:
        cursor.execute(OFFERED)
        offered = {name for (name,) in cursor.fetchall()}
    for extension, found in needed.items():
        if extension not in offered:
            others = f" and {len(found) - 1} more" if len(found) > 1 else ""
            yield Error(
                f"{found[0]}{others} needs PostgreSQL's extension {extension}, which the database {connection.alias} "
                "does not offer.",
                hint="The PostgreSQL that `bulkql up` brings has no contrib extensions: set DATABASE_URL to a server "
                "that has it. Debian's postgresql has those of contrib, and docker-compose.yml's image too; others, "
                "such as postgis, are packages of their own.",
                id="bulkql.E042",
            )


def needed_by_migrations(connection: BaseDatabaseWrapper) -> Iterator[tuple[str, str]]:
    """Extensions that migrations create, applied or not, and those migrations."""
    for (app, name), migration in MigrationLoader(connection).disk_migrations.items():
        for operation in flat(migration.operations):
            if isinstance(operation, CreateExtension):
                yield operation.name, f"The migration {app}.{name}"
            elif isinstance(operation, RunSQL):
                for extension in IN_SQL.findall(str(operation.sql)):
                    yield extension.lower(), f"The migration {app}.{name}"


def flat(operations: Iterable[Any]) -> Iterator[Any]:
    """Operations, and those that others hold (SeparateDatabaseAndState)."""
    for operation in operations:
        yield operation
        yield from flat(getattr(operation, "database_operations", ()))


def needed_by_models(connection: BaseDatabaseWrapper) -> Iterator[tuple[str, str]]:
    """Extensions of the tables' columns and indexes, and their models."""
    for model in apps.get_models(include_auto_created=True):
        meta = model._meta
        if not meta.managed or not router.allow_migrate_model(connection.alias, model):
            continue
        for field in meta.local_concrete_fields:
            kind = re.match(r"\w*", field.db_type(connection) or "")
            if kind is not None and kind[0] in TYPES:
                yield TYPES[kind[0]], f"{meta.label}.{field.name}"
        for index in meta.indexes:
            for name in operator_classes(index):
                if name in OPERATOR_CLASSES:
                    yield OPERATOR_CLASSES[name], f"The index {index.name} of {meta.label}"


def operator_classes(index: models.Index) -> Iterator[str]:
    """Those that an index names, beside its fields or in its expressions."""
    yield from index.opclasses
    named: Iterable[Any] = index.expressions
    for expression in named:
        yield from (str(one.extra["name"]) for one in expression.flatten() if isinstance(one, OpClass))
