"""Where Redis is: every URL that redis-py takes has a database that comes next."""

from __future__ import annotations

import pytest
from redis.connection import parse_url

from bulkql.workers.messaging.servers import next_database


@pytest.mark.parametrize(
    ("url", "number"),
    [
        ("redis://localhost:6379", 1),
        ("redis://localhost:6379/", 1),
        ("redis://localhost:6379/3", 4),
        ("redis://localhost:6379/3?db=5", 6),
        ("rediss://ada:p%2Fw@cache.example:6380/2?ssl_cert_reqs=none", 3),
        ("unix:///run/redis/redis.sock", 1),
        ("unix://ada:secret@/run/redis/redis.sock?db=2", 3),
    ],
)
def test_the_next_database_differs_by_its_number_alone(url, number):
    found = parse_url(next_database(url))

    assert found == {**parse_url(url), "db": number}
