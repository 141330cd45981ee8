"""Totals -> Redis pub/sub, in the form that the channel layer delivers to websockets."""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime
from functools import cache
from time import monotonic
from typing import Any
from uuid import UUID

import redis

from bulkql.workers.conf import limits
from bulkql.workers.enums import State
from bulkql.workers.ledger import totals
from bulkql.workers.ledger.totals import Progress
from bulkql.workers.messaging.servers import client_of, layer, layer_prefix, redis_url

logger = logging.getLogger("bulkql")

#: The type of the channel layer's messages.
MESSAGE_TYPE = "operation.progress"

#: Chunks that threads finish together are published one by one: what is left out waits for the next chunk's end.
BURST = 4

#: When an operation's next totals would be due, were they published evenly. Subscribers keep a pause of their own
#: (subscriptions.Told), and the two are not one: this spares Redis what one process has to say, without ever waiting;
#: that spares a websocket what all processes say together, and waits for the pause to pass.
_due: dict[UUID, float] = {}


def publish(operation_id: UUID) -> None:
    """Publish an operation's totals, unless this process did so too often. What is left out, the next ones tell."""
    if is_due(operation_id):
        publish_now(totals.progress(operation_id))


def publish_end(progress: Progress) -> None:
    """Publish the final totals, always."""
    _due.pop(progress.operation_id, None)
    publish_now(progress)


def is_due(operation_id: UUID) -> bool:
    """Whether an operation's totals may be published, in which case they count as published."""
    now, pause = monotonic(), 1 / limits().events_per_second
    earliest = now - (BURST - 1) * pause
    # An operation may end in another process, which alone hears of it: forget those that have been quiet.
    for quiet in [known for known, due in list(_due.items()) if due <= earliest]:
        _due.pop(quiet, None)
    due = _due.get(operation_id, earliest)
    if due > now:
        return False
    _due[operation_id] = due + pause
    return True


def publish_now(progress: Progress) -> None:
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
    return client_of(redis_url())


def group_of(operation_id: UUID) -> str:
    """The channel layer's group of an operation's subscribers."""
    return f"bulkql.operation.{operation_id}"


def group_of_owner(user_id: str | None) -> str:
    """The channel layer's group of those who watch all operations of a user, by the user's key as text.

    Names of groups are short, and of few characters; a key may be any text.
    """
    return f"bulkql.owner.{hashlib.sha256(str(user_id).encode()).hexdigest()[:32]}"


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
            "exported": 0,  # a worker of before tells none
            **fields,
            "operation_id": UUID(message["operation_id"]),
            "state": State(message["state"]),
            "started_at": message["started_at"] and datetime.fromisoformat(message["started_at"]),
            "finished_at": message["finished_at"] and datetime.fromisoformat(message["finished_at"]),
        }
    )
