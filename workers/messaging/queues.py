"""Redis -> how many messages wait, and how many worker processes listen for them."""

from __future__ import annotations

from typing import Any

from bulkql.workers.messaging.broker import broker
from bulkql.workers.messaging.dispatch import SMALL_QUEUE
from bulkql.workers.messaging.notifier import CHANNEL
from bulkql.workers.messaging.servers import client_of, queue_url

QUEUES = ("default", SMALL_QUEUE)


def waiting_messages() -> dict[str, int]:
    """Messages that no worker has taken, by queue; raises RedisError."""
    client: Any = client_of(queue_url())
    return {name: int(client.llen(f"{broker.namespace}:{name}")) for name in QUEUES}


def listening_workers() -> int:
    """Worker processes; raises RedisError."""
    client: Any = client_of(queue_url())
    return int(dict(client.pubsub_numsub(CHANNEL))[CHANNEL.encode()])
