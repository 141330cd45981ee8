"""Which chunks are due -> dramatiq messages. A window of them, so that a big operation cannot starve small ones."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import redis
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from dramatiq import Message
from dramatiq.errors import BrokerConnectionError

from bulkql.workers.conf import limits
from bulkql.workers.enums import State, Verb
from bulkql.workers.messaging.broker import broker
from bulkql.workers.models import Chunk, Input, Operation
from bulkql.workers.resources.plan import plan_of

logger = logging.getLogger("bulkql")

#: The messages of small inputs. Their chunks are not many.
SMALL_QUEUE = "small"
SMALL_ROWS = 1_000
SMALL_BYTES = 64 * 1024


class NotDispatched(Exception):
    """Redis is away. What is stored stays due, and the rescue of whoever reaches Redis dispatches it."""


def dispatch(operation_id: UUID) -> bool:
    """Send messages for everything that is due: files to read, and as many chunks as the window has room for."""
    return dispatched(operation_id, send_readers, send_writers)


def dispatch_readers(operation_id: UUID) -> bool:
    """Send messages for the files to read."""
    return dispatched(operation_id, send_readers)


def dispatch_writers(operation_id: UUID) -> bool:
    """Send a message for the one who writes all of it, once its files are read; or for the next chunks."""
    return dispatched(operation_id, send_writers)


def dispatch_chunks(operation_id: UUID) -> bool:
    """Send messages for the next chunks to write."""
    return dispatched(operation_id, send_chunks)


def dispatched(operation_id: UUID, *steps: Callable[[UUID], None]) -> bool:
    """Whether all messages that are due were sent. Redis being away costs an operation a moment, and no more."""
    try:
        for step in steps:
            step(operation_id)
    except NotDispatched as error:
        logger.warning("operation %s: not dispatched (%s); whoever reaches Redis will do it", operation_id, error)
        return False
    return True


def send_readers(operation_id: UUID) -> None:
    """Raises NotDispatched."""
    unread = Input.objects.filter(operation=operation_id, read_at=None, dispatched_at=None, operation__finished_at=None)
    # Which rows a sync misses is known only when all others have been read.
    reading = Input.objects.filter(operation=operation_id, read_at=None, removes=False)
    due = unread.filter(Q(removes=False) | ~Exists(reading))
    # All files of an export show one moment, so that one worker writes all of them.
    for one in due.exclude(position__gt=0, operation__verb=Verb.EXPORT).select_related("upload"):
        dispatch_once(Input.objects.filter(pk=one.pk), partial(send_for, one, "read_input", one.pk))


def send_writers(operation_id: UUID) -> None:
    """Raises NotDispatched."""
    if Operation.objects.get(pk=operation_id).is_one_transaction:
        send_whole(operation_id)
    else:
        send_chunks(operation_id)


def send_whole(operation_id: UUID) -> None:
    """A message for the one who writes all of it, once its files are read; raises NotDispatched."""
    unread = Input.objects.filter(operation=OuterRef("pk"), read_at=None)
    waiting = Operation.objects.filter(~Exists(unread), pk=operation_id, finished_at=None)
    dispatch_once(waiting, partial(send, "write_operation", str(operation_id)))


def send_chunks(operation_id: UUID) -> None:
    """Messages for the next chunks; raises NotDispatched.

    Only those of the first input that is not written to its end: a resource's rows come after the rows that its
    foreign keys point to. Chunks are dispatched in their order, so those at work are among the first that are open.
    """
    # Nothing of a sync is due before its guard has let it pass.
    guarded = Input.objects.filter(operation=operation_id, removes=True, read_at=None)
    unwritten = Chunk.objects.filter(input=OuterRef("pk"), recorded_at=None)
    frontier = (
        Input.objects.filter(Q(read_at=None) | Exists(unwritten), operation=operation_id, operation__finished_at=None)
        .exclude(operation__state=State.CANCELING)
        .exclude(Exists(guarded))
        .select_related("operation", "upload")
        .order_by("position")
        .first()
    )
    if frontier is None:
        return
    if frontier.operation.is_one_transaction:
        # A file that was read meanwhile has rows that are to be written together.
        send_whole(operation_id)
        return
    # While it waits for somebody's locks, one worker that waits is enough: the others are for other operations.
    is_single = plan_of(frontier).is_sequential or frontier.operation.waiting_since is not None
    size = 1 if is_single else limits().window
    window = Chunk.objects.filter(input=frontier, recorded_at=None).order_by("number")[:size]
    for chunk_id, dispatched_at in window.values_list("pk", "dispatched_at"):
        if dispatched_at is None:
            dispatch_once(Chunk.objects.filter(pk=chunk_id), partial(send_for, frontier, "write_chunk", chunk_id))


def dispatch_once(one: QuerySet[Any], send_message: Callable[[], None]) -> None:
    """Send its message, unless it was sent before.

    A message that cannot be sent does not count as sent. Whoever is cut off from Redis would else keep the work from
    those who are not, for as long as they wait for its messages.
    """
    if not one.filter(dispatched_at=None).update(dispatched_at=Now()):
        return
    try:
        send_message()
    except (BrokerConnectionError, redis.RedisError) as error:
        one.update(dispatched_at=None)
        raise NotDispatched(type(error).__name__) from error


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
    """One message with an id."""
    message: Message[None] = Message(queue_name=queue, actor_name=actor_name, args=(identifier,), kwargs={}, options={})
    broker.enqueue(message)
