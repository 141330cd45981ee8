"""Extensions that the server does not offer are told before a migration stops in the middle of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.contrib.postgres.fields import HStoreField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.operations import CITextExtension, CreateExtension, TrigramExtension
from django.core.checks import run_checks
from django.db import connection, migrations, models
from django.test.utils import isolate_apps

from bulkql.workers.resources import extensions
from bulkql.workers.resources.extensions import check_extensions

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]


@pytest.fixture
def _poor(monkeypatch):
    """A server without contrib, as that of the wheels is; others may have it."""
    monkeypatch.setattr(extensions, "OFFERED", "SELECT 'plpgsql' UNION SELECT 'vector'")


def told():
    return [error.msg for error in check_extensions(databases=["default"])]


@pytest.mark.usefixtures("_poor")
def test_nothing_is_told_where_nothing_is_needed_or_nobody_may_ask():
    assert told() == check_extensions(databases=None) == []
    assert [error for error in run_checks(databases=["default"]) if error.id == "bulkql.E042"] == []


@pytest.mark.usefixtures("_poor")
def test_migrations_that_create_them_are_named(monkeypatch):
    class Loader:
        def __init__(self, asked):
            assert asked.alias == connection.alias
            self.disk_migrations = {
                ("shop", "0001_first"): SimpleNamespace(operations=[TrigramExtension(), CreateExtension("vector")]),
                ("shop", "0002_sql"): SimpleNamespace(
                    operations=[
                        migrations.RunSQL('CREATE EXTENSION IF NOT EXISTS "uuid-ossp"; CREATE extension PG_TRGM'),
                        migrations.SeparateDatabaseAndState(database_operations=[CITextExtension()]),
                    ]
                ),
            }

    monkeypatch.setattr(extensions, "MigrationLoader", Loader)

    lacks = "which the database default does not offer."
    assert told() == [
        f"The migration shop.0001_first and 1 more needs PostgreSQL's extension pg_trgm, {lacks}",
        f"The migration shop.0002_sql needs PostgreSQL's extension uuid-ossp, {lacks}",
        f"The migration shop.0002_sql needs PostgreSQL's extension citext, {lacks}",
    ]
    assert "set DATABASE_URL to a server" in check_extensions(databases=["default"])[0].hint


@pytest.mark.usefixtures("_poor")
@isolate_apps("tests.zoo", attr_name="own")
def test_columns_and_indexes_of_models_are_named(monkeypatch):
    class NoCase(models.CharField):
        def db_type(self, connection):
            return "citext"

    class Embedding(models.Field):
        def db_type(self, connection):
            return "vector(3)"

    class Thing(models.Model):  # noqa: DJ008
        code = NoCase()
        more = HStoreField()
        near = Embedding()
        name = models.TextField()

        class Meta:
            app_label = "zoo"
            indexes = [
                GinIndex(fields=["name"], name="by_name", opclasses=["gin_trgm_ops"]),
                GinIndex(OpClass(models.F("name"), name="gist_trgm_ops"), name="by_words"),
            ]

    monkeypatch.setattr(extensions, "apps", Thing._meta.apps)

    lacks = "which the database default does not offer."
    assert told() == [
        f"zoo.Thing.code needs PostgreSQL's extension citext, {lacks}",
        f"zoo.Thing.more needs PostgreSQL's extension hstore, {lacks}",
        f"The index by_name of zoo.Thing and 1 more needs PostgreSQL's extension pg_trgm, {lacks}",
    ]
