"""What the doctor finds on a real PostgreSQL and Redis, and where one of them is away."""

from __future__ import annotations

import asyncio

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from typer.testing import CliRunner

from bulkql.server.cli import app
from bulkql.server.doctor import database, redis, storage
from bulkql.server.doctor.findings import findings, ill, well
from bulkql.workers.models import StoredFile
from tests.integration.turns import fresh_queue

__all__ = ["fresh_queue"]

pytestmark = pytest.mark.django_db(transaction=True)


def subjects(found):
    return [(one.subject, one.health) for one in found]


@pytest.mark.postgresql
def test_a_sound_database_and_its_tables():
    found = list(database.look_at_database())

    # The tests' own server may not wait for its disk.
    assert [one.subject for one in found] == ["database", "connections", "durability", "pooler"]
    assert [one.health for one in found if one.subject != "durability"] == ["ok"] * 3
    assert found[0].seen.startswith("PostgreSQL ")
    assert list(database.look_at_tables()) == [well("migrations", "all have been applied, and all tables exist")]
    assert list(database.look_at_clock()) == [well("clock", "the database and this machine agree")]


def test_a_migration_that_was_not_run():
    recorder = MigrationRecorder(connection)
    ((_, last),) = MigrationLoader(connection).graph.leaf_nodes("bulkql")
    recorder.record_unapplied("bulkql", last)
    try:
        (found,) = database.look_at_tables()
    finally:
        recorder.record_applied("bulkql", last)

    assert (found.health, found.advice) == ("error", "Run `bulkql migrate`.")
    assert f"bulkql.{last}" in found.seen


@pytest.mark.parametrize(
    ("skew", "health", "seen"),
    [
        (0.5, "ok", "Redis and this machine agree"),
        (-90, "warning", "Redis is 90.0 s behind this machine"),
        (3, "warning", "Redis is 3.0 s ahead of this machine"),
    ],
    ids=["none", "behind", "ahead"],
)
def test_clocks_that_differ(skew, health, seen):
    found = database.clock_finding("Redis", skew)

    assert (found.health, found.seen) == (health, seen)


def test_a_sound_redis_carries_events_and_nobody_works():
    assert subjects(redis.look_at_redis())[:1] == [("redis", "ok")]
    assert subjects(redis.look_at_channel_layer()) == [("channel layer", "ok")]
    assert list(redis.look_at_workers()) == [ill("workers", "0 worker processes, 0 messages waiting", redis.WORK)]


def test_an_event_that_does_not_come_back_is_told(monkeypatch):
    class Deaf:
        async def new_channel(self):
            return "x"

        async def group_add(self, *_): ...

        group_send = group_discard = group_add

        async def flush(self): ...

        async def receive(self, _):
            await asyncio.Event().wait()

    monkeypatch.setattr(redis, "layer", Deaf)
    monkeypatch.setattr(redis, "EVENT_SECONDS", 0.01)

    (found,) = findings("channel layer", redis.look_at_channel_layer, redis.WAIT)

    assert (found.health, found.advice) == ("error", redis.WAIT)
    assert found.seen == "TimeoutError: no event came back within 0.01 seconds"


def test_what_is_stored_is_read_again_and_removed():
    assert subjects(storage.look_at_storage()) == [("storage", "ok")]
    assert not StoredFile.objects.exists()


def test_a_redis_that_is_away_is_told_once_and_the_others_are_looked_at(settings):
    settings.BULKQL_REDIS_URL = "redis://127.0.0.1:1/0"

    done = CliRunner().invoke(app, ["doctor"])

    lines = [line.split() for line in done.stdout.splitlines()]
    assert done.exit_code == 1
    assert ["error", "redis"] in [words[:2] for words in lines]
    assert not [words for words in lines if "workers" in words[:2] or "channel" in words[:2]]
    assert ["ok", "storage"] in [words[:2] for words in lines]
    assert redis.START in done.stdout
