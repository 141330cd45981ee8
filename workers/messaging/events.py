"""Totals -> Redis pub/sub, in the form that the channel layer delivers to websockets."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import redis

from bulkql.workers.conf import limits
from bulkql.workers.enums import State
from bulkql.workers.ledger import totals
from bulkql.workers.ledger.totals import Progress
from bulkql.workers.messaging.servers import layer, layer_prefix, redis_url

logger = logging.getLogger("bulkql")

#: The type of the channel layer's messages.
MESSAGE_TYPE = "operation.progress"

#: Chunks that threads finish together are published one by one: what is left out waits for the next chunk's end.
BURST = 4

#: When an operation's next totals would be due, were they published evenly.
_due: dict[UUID, float] = {}


def publish(operation_id: UUID) -> None:
    """Publish an operation's totals, unless this process did so too often. What is left out, the next ones tell."""
    now, pause = time.monotonic(), 1 / limits().events_per_second
    due = max(_due.get(operation_id, 0.0), now - (BURST - 1) * pause)
    if due > now:
        return
    _due[operation_id] = due + pause
    send(totals.progress(operation_id))


def publish_end(operation_id: UUID) -> None:
    """Publish the final totals, always."""
    _due.pop(operation_id, None)
    send(totals.progress(operation_id))


def send(progress: Progress) -> None:
    """One message to the operation's group and one to its owner's.

    Redis being away costs subscribers two seconds, not the operation.
    """
    # Straight into Redis: the layer's own group_send opens a connection for each call from a thread.
    try:
        message = layer().serialize(to_message(progress))
        with client().pipeline(transaction=False) as trip:
            for group in (group_of(progress.operation_id), group_of_owner(progress.owner_id)):
                trip.publish(f"{layer_prefix()}__group__{group}", message)
            trip.execute()
    except redis.RedisError as error:
        logger.warning("operation %s: progress was not published (%s)", progress.operation_id, type(error).__name__)


@cache
def client() -> redis.Redis:
    """This process's connection pool."""
    return redis.Redis.from_url(redis_url(), socket_timeout=5, socket_connect_timeout=2)


def group_of(operation_id: UUID) -> str:
    """The channel layer's group of an operation's subscribers."""
    return f"bulkql.operation.{operation_id}"


def group_of_owner(user_id: int | None) -> str:
    """The channel layer's group of those who watch all operations of a user."""
    return f"bulkql.owner.{user_id}"


def to_message(progress: Progress) -> dict[str, Any]:
    """Ids and numbers, never rows."""
    return {
        "type": MESSAGE_TYPE,
        "operation_id": str(progress.operation_id),
        "owner_id": progress.owner_id,
        "sequence": progress.sequence,
        "state": progress.state.value,
        "total": progress.total,
        **{name: getattr(progress, name) for name in totals.COUNTS},
        "message": progress.message,
        "started_at": progress.started_at and progress.started_at.isoformat(),
        "finished_at": progress.finished_at and progress.finished_at.isoformat(),
    }


def from_message(message: dict[str, Any]) -> Progress:
    """What to_message made."""
    fields = {name: value for name, value in message.items() if name != "type"}
    return Progress(
        **{
            **fields,
            "operation_id": UUID(message["operation_id"]),
            "state": State(message["state"]),
            "started_at": message["started_at"] and datetime.fromisoformat(message["started_at"]),
            "finished_at": message["finished_at"] and datetime.fromisoformat(message["finished_at"]),
        }
    )
