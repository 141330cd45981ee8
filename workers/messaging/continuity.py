"""Whether Redis still has the messages that it was sent. A flush or a restart loses all of them without a word."""

from __future__ import annotations

from bulkql.workers.messaging.broker import broker

#: Holds the id of the Redis process that has been told; it goes with the messages.
KEY = f"{broker.namespace}:told"


def run_id() -> str:
    """The id of the Redis process, another one after each start; raises RedisError."""
    return str(broker.client.info("server")["run_id"])


def has_forgotten() -> bool:
    """Whether messages may be lost that count as sent; raises RedisError."""
    return broker.client.get(KEY) != run_id().encode()


def note_told() -> None:
    """All that is due has been sent again; raises RedisError."""
    broker.client.set(KEY, run_id())
