"""A model whose table or columns are missing is named, with the command that helps."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from bulkql.workers.enums import Lane
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.resources.relations import check_relations
from bulkql.workers.resources.tables import lacking_tables

pytestmark = pytest.mark.django_db


def run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_nothing_is_lacking_where_all_is_migrated():
    assert lacking_tables() == []


def test_pending_migration_is_told():
    run("DROP TABLE places_city")
    MigrationRecorder(connection).migration_qs.filter(app="places").delete()

    assert lacking_tables() == [
        "places.City has no table places_city in the database default; run `bulkql migrate`.",
    ]


def test_columns_for_which_no_migration_is_written_are_told():
    run("ALTER TABLE places_city DROP COLUMN latitude, DROP COLUMN longitude")

    assert lacking_tables() == [
        "places.City has no column latitude, longitude in the database default; "
        "run `python manage.py makemigrations places`, then `bulkql migrate`.",
    ]


def test_app_without_migrations_is_told():
    run("DROP TABLE zoo_note_tags")

    assert lacking_tables() == [
        "zoo.Note_tags has no table zoo_note_tags in the database default; "
        "run `python manage.py makemigrations zoo`, then `bulkql migrate`.",
    ]


@pytest.mark.parametrize(("kind", "error"), [("VIEW", "bulkql.E081"), ("MATERIALIZED VIEW", "bulkql.E080")])
def test_view_in_place_of_a_table_is_refused(monkeypatch, kind, error):
    run("ALTER TABLE zoo_folder RENAME TO zoo_folders")
    run(f"CREATE {kind} zoo_folder AS SELECT * FROM zoo_folders")

    assert [(one.id, one.msg.partition(",")[0]) for one in check_relations(["default"])] == [
        (error, "zoo.Folder has the table zoo_folder")
    ]


def test_view_is_written_to_row_by_row(monkeypatch):
    monkeypatch.setattr(resource_named("folders"), "writes", Lane.SAVE)
    run("ALTER TABLE zoo_folder RENAME TO zoo_folders")
    run("CREATE VIEW zoo_folder AS SELECT * FROM zoo_folders")

    assert check_relations(["default"]) == []
