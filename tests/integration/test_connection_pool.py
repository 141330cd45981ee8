"""The pool of connections is right again as soon as the database is."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection

from bulkql.server.postgresql.base import DatabaseWrapper

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]
#: As many as a busy minute leaves in the pool.
MANY = 12
#: The tests' servers listen on a socket in the directory that they name as their host.
SOCKET = ".s.PGSQL.5432"


class Pooled:
    """Connections of a pool of its own, as the service's settings make it."""

    def __init__(self, seconds: float, **where: Any) -> None:
        own = settings.DATABASES["default"]
        pool = {**own["OPTIONS"]["pool"], "timeout": seconds}
        of_tests = connection.settings_dict
        self._settings = {**of_tests, **where, "OPTIONS": {**own["OPTIONS"], "pool": pool}}
        assert own["ENGINE"] == "bulkql.server.postgresql"

    def take(self) -> DatabaseWrapper:
        taken = DatabaseWrapper(self._settings, "pooled")
        taken.ensure_connection()
        return taken


@pytest.fixture(autouse=True)
def pool_is_closed() -> Iterator[None]:
    yield
    DatabaseWrapper._connection_pools.pop("pooled").close()


def test_connection_is_had_where_all_in_the_pool_have_died():
    pooled = Pooled(seconds=3)
    taken = [pooled.take() for _ in range(MANY)]
    pids = [one.connection.info.backend_pid for one in taken]
    for one in taken:
        one.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", [pids])

    with closing(pooled.take()) as taken, taken.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone()[0] not in pids


def test_database_that_was_away_is_reached_when_it_is_back():
    there = Path(connection.get_connection_params()["host"]) / SOCKET
    with tempfile.TemporaryDirectory() as away:
        pooled = Pooled(seconds=1.5, HOST=away)
        for _ in range(3):
            with pytest.raises(OperationalError):
                pooled.take()

        (Path(away) / SOCKET).symlink_to(there)
        with closing(pooled.take()) as taken, taken.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
