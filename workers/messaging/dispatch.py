"""Which chunks are due -> dramatiq messages. A window of them, so that a big operation cannot starve small ones."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

import redis
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from dramatiq import Message
from dramatiq.errors import BrokerConnectionError

from bulkql.workers.conf import limits
from bulkql.workers.enums import State
from bulkql.workers.messaging.broker import broker
from bulkql.workers.models import Chunk, Input, Operation
from bulkql.workers.resources.plan import plan_of

logger = logging.getLogger("bulkql")

#: The messages of small inputs. Their chunks are not many.
SMALL_QUEUE = "small"
SMALL_ROWS = 1_000
SMALL_BYTES = 64 * 1024


def dispatch(operation_id: UUID) -> None:
    """Send messages for everything that is due: files to read, and as many chunks as the window has room for."""
    dispatch_readers(operation_id)
    dispatch_writers(operation_id)


def dispatch_readers(operation_id: UUID) -> None:
    """Send messages for the files to read."""
    unread = Input.objects.filter(operation=operation_id, read_at=None, dispatched_at=None, operation__finished_at=None)
    for one in unread.select_related("upload"):
        if is_first_to_dispatch(Input.objects.filter(pk=one.pk)):
            send_for(one, "read_input", one.pk)


def dispatch_writers(operation_id: UUID) -> None:
    """Send a message for the one who writes all of it, once its files are read; or for the next chunks."""
    operation = Operation.objects.get(pk=operation_id)
    if not operation.is_one_transaction:
        dispatch_chunks(operation_id)
    elif not operation.inputs.filter(read_at=None).exists():
        waiting = Operation.objects.filter(pk=operation_id, finished_at=None)
        if is_first_to_dispatch(waiting):
            send("write_operation", str(operation_id))


def dispatch_chunks(operation_id: UUID) -> None:
    """Send messages for the next chunks to write.

    Only those of the first input that is not written to its end: a resource's rows come after the rows that its
    foreign keys point to. Chunks are dispatched in their order, so those at work are among the first that are open.
    """
    unwritten = Chunk.objects.filter(input=OuterRef("pk"), recorded_at=None)
    frontier = (
        Input.objects.filter(Q(read_at=None) | Exists(unwritten), operation=operation_id, operation__finished_at=None)
        .exclude(operation__state=State.CANCELING)
        .select_related("operation", "upload")
        .order_by("position")
        .first()
    )
    if frontier is None:
        return
    size = 1 if plan_of(frontier).is_sequential else limits().window
    window = Chunk.objects.filter(input=frontier, recorded_at=None).order_by("number")[:size]
    for chunk_id, dispatched_at in window.values_list("pk", "dispatched_at"):
        if dispatched_at is None and is_first_to_dispatch(Chunk.objects.filter(pk=chunk_id)):
            send_for(frontier, "write_chunk", chunk_id)


def is_first_to_dispatch(one: QuerySet[Any]) -> bool:
    """Whether nobody dispatched it before, in which case it counts as dispatched from now on."""
    return bool(one.filter(dispatched_at=None).update(dispatched_at=timezone.now()))


def send_for(one: Input, actor_name: str, identifier: int) -> None:
    """A message for an input; that of a small one overtakes the others."""
    if is_small(one):
        send(actor_name.replace("_", "_small_", 1), identifier, SMALL_QUEUE)
    else:
        send(actor_name, identifier)


def is_small(one: Input) -> bool:
    """Whether an input has few rows, as far as is known."""
    if one.total is not None:
        return one.total <= SMALL_ROWS
    return one.upload is not None and (one.upload.size or 0) <= SMALL_BYTES


def send(actor_name: str, identifier: int | str, queue: str = "default") -> None:
    """One message with an id. When Redis is away nothing is lost: the rescue dispatches again."""
    message: Message[None] = Message(queue_name=queue, actor_name=actor_name, args=(identifier,), kwargs={}, options={})
    try:
        broker.enqueue(message)
    except (BrokerConnectionError, redis.RedisError) as error:
        logger.warning(
            "%s %s was not dispatched (%s); the rescue will do it", actor_name, identifier, type(error).__name__
        )
