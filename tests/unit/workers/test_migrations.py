"""Workers of the version before go on while the tables are migrated, and for a while behind that."""

from __future__ import annotations

import pytest
from django.db import migrations
from django.db.migrations.loader import MigrationLoader

FIRST = "0001_initial"


def of_bulkql() -> list[migrations.Migration]:
    found = MigrationLoader(None).disk_migrations
    return [migration for (app, name), migration in sorted(found.items()) if app == "bulkql" and name != FIRST]


@pytest.mark.parametrize("migration", of_bulkql(), ids=lambda migration: migration.name)
def test_old_workers_can_insert_into_the_new_tables(migration):
    """They do not know a new column: the database must fill it. And they still ask for those that are there."""
    for operation in migration.operations:
        assert not isinstance(operation, migrations.RemoveField | migrations.RenameField | migrations.DeleteModel)
        if isinstance(operation, migrations.AddField):
            assert operation.field.null or operation.field.has_db_default() or operation.field.many_to_many, (
                f"{migration.name} adds {operation.model_name}.{operation.name} without null=True or a db_default"
            )
