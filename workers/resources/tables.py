"""Registered models -> what the database lacks of their tables, each with the command that helps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

from bulkql.workers.resources.registry import registered


def lacking_tables() -> list[str]:
    """A sentence for each model whose table or columns are not in its database: of bulkql's own and of resources."""
    by_database: dict[str, list[type[models.Model]]] = {"default": list(apps.get_app_config("bulkql").get_models())}
    for resource in registered():
        links: list[Any] = [field.remote_field.through for field in resource.model._meta.local_many_to_many]
        by_database.setdefault(resource.database, []).extend([resource.model, *links])
    return [
        sentence for alias, found in by_database.items() for sentence in lacking_in(connections[alias], unique(found))
    ]


def unique(found: list[type[models.Model]]) -> list[type[models.Model]]:
    return list(dict.fromkeys(found))


def lacking_in(connection: BaseDatabaseWrapper, wanted: list[type[models.Model]]) -> Iterator[str]:
    """The same for one database."""
    lacks = {model: lack for model in wanted if (lack := lack_of(connection, model))}
    if not lacks:
        return
    # Reading all migrations takes longer than the questions: only to tell what helps.
    loader = MigrationLoader(connection)
    for model, lack in lacks.items():
        yield f"{model._meta.label} has no {lack} in the database {connection.alias}; {remedy(loader, model)}"


def lack_of(connection: BaseDatabaseWrapper, model: type[models.Model]) -> str:
    """What is missing of a model, in words; empty where nothing is."""
    meta = model._meta
    # No migration makes an unmanaged table, and a quoted name is one in a schema that introspection does not look into.
    if not meta.managed or '"' in meta.db_table:
        return ""
    fold = connection.introspection.identifier_converter
    with connection.cursor() as cursor:
        if fold(meta.db_table) not in connection.introspection.table_names(cursor, include_views=True):
            return f"table {meta.db_table}"
        described = connection.introspection.get_table_description(cursor, meta.db_table)
    there = {column.name for column in described}
    missing = [str(field.column) for field in meta.local_concrete_fields if fold(str(field.column)) not in there]
    return f"column {', '.join(missing)}" if missing else ""


def remedy(loader: MigrationLoader, model: type[models.Model]) -> str:
    """The command that makes what is missing."""
    app = model._meta.app_label
    if any(key[0] == app and key not in loader.applied_migrations for key in loader.disk_migrations):
        return "run `bulkql migrate`."
    return f"run `python manage.py makemigrations {app}`, then `bulkql migrate`."
