"""Where Redis is: every URL that redis-py takes has a database beside it, which a Redis has that nobody configured."""

from __future__ import annotations

import subprocess
import sys

import pytest
from redis.connection import parse_url

from bulkql.workers.messaging.servers import client_of, next_database, redis_url


@pytest.mark.parametrize(
    ("url", "number"),
    [
        ("redis://localhost:6379", 1),
        ("redis://localhost:6379/", 1),
        ("redis://localhost:6379/3", 4),
        ("redis://localhost:6379/3?db=5", 6),
        ("rediss://ada:p%2Fw@cache.example:6380/2?ssl_cert_reqs=none", 3),
        ("redis://localhost:6379/14", 15),
        ("redis://localhost:6379/15", 14),
        ("redis://localhost:6379/16", 17),
        ("unix:///run/redis/redis.sock", 1),
        ("unix://ada:secret@/run/redis/redis.sock?db=2", 3),
    ],
)
def test_the_next_database_differs_by_its_number_alone(url, number):
    found = parse_url(next_database(url))

    assert found == {**parse_url(url), "db": number}


@pytest.mark.parametrize("number", [0, 14, 15])
def test_the_queue_has_a_database_in_redis_as_it_comes(number):
    address = redis_url().rpartition("/")[0]

    assert client_of(next_database(f"{address}/{number}")).ping()


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({"REDIS_URL": "redis://one:6379/0"}, "redis://one:6379/0?db=1"),
        ({"REDIS_URL": "redis://one:6379/0", "BULKQL_QUEUE_URL": "redis://one:6379/0"}, "redis://one:6379/0"),
    ],
    ids=["beside", "told"],
)
def test_the_environment_tells_where_the_queue_is(environment, url):
    code = "from bulkql.workers.messaging.servers import queue_url; print(queue_url())"
    settings = {"DJANGO_SETTINGS_MODULE": "bulkql.server.settings", **environment}
    done = subprocess.run([sys.executable, "-c", code], env=settings, capture_output=True, text=True, check=True)

    assert done.stdout == f"{url}\n"
