"""Django settings -> where Redis is, and the channel layer."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

import redis
from channels.layers import get_channel_layer
from django.conf import settings
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

#: Where nothing is set; a system check says so.
DEFAULT_URL = "redis://localhost:6379/0"


def redis_url() -> str:
    """BULKQL_REDIS_URL, or the project's REDIS_URL."""
    return str(getattr(settings, "BULKQL_REDIS_URL", None) or getattr(settings, "REDIS_URL", None) or DEFAULT_URL)


#: The last database of a Redis that nobody configured.
LAST_DATABASE = 15


def queue_url() -> str:
    """BULKQL_QUEUE_URL, or the database beside that of redis_url: a flush of one is not a flush of the other."""
    return str(getattr(settings, "BULKQL_QUEUE_URL", None) or next_database(redis_url()))


def next_database(url: str) -> str:
    """The URL of the Redis database that comes next, or before the last: also behind a socket, unix:///run/x?db=1."""
    address, _, query = url.partition("?")
    number = int(parse_url(url).get("db", 0))  # type: ignore[no-untyped-call]
    beside = number + 1 if number != LAST_DATABASE else number - 1
    return f"{address}?{urlencode({**dict(parse_qsl(query)), 'db': beside})}"


def client_of(url: str) -> redis.Redis:
    """A client that says within seconds that Redis is away. By default it tries four times, and waits in between."""
    # Once more, at once: a connection of the pool may be one to a Redis that was restarted.
    return redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=2, retry=Retry(NoBackoff(), 1))


def layer_name() -> str:
    """The alias `bulkql` of CHANNEL_LAYERS where a project has one, for its default may be of another kind."""
    return "bulkql" if "bulkql" in getattr(settings, "CHANNEL_LAYERS", {}) else "default"


def layer() -> Any:
    """The channel layer of progress."""
    return get_channel_layer(layer_name())


def layer_prefix() -> str:
    """What the names of its groups begin with in Redis."""
    layers: dict[str, dict[str, Any]] = settings.CHANNEL_LAYERS
    return str(layers[layer_name()].get("CONFIG", {}).get("prefix", "asgi"))
