"""Which chunks are due -> dramatiq messages. A window of them, so that a big operation cannot starve small ones."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import redis
from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.db.transaction import on_commit
from dramatiq import Message
from dramatiq.errors import BrokerConnectionError

from bulkql.workers.conf import limits
from bulkql.workers.enums import State, Verb
from bulkql.workers.ledger import rates, totals
from bulkql.workers.ledger.brake import Pressure, brake
from bulkql.workers.ledger.claims import is_readable, its_operation, may_begin
from bulkql.workers.ledger.turns import SLOWED_DOWN
from bulkql.workers.messaging import events
from bulkql.workers.messaging.alarms import alarms
from bulkql.workers.messaging.broker import broker
from bulkql.workers.models import Chunk, Input, Operation
from bulkql.workers.resources.plan import plan_of

logger = logging.getLogger("bulkql")

#: The messages of small inputs. Their chunks are not many.
SMALL_QUEUE = "small"
SMALL_ROWS = 1_000
SMALL_BYTES = 64 * 1024
#: What is to be known of a chunk before its message is sent.
CHUNK = ("pk", "dispatched_at", "row_count")
Due = tuple[int, datetime | None, int]


class NotDispatched(Exception):
    """Redis is away. What is stored stays due, and the rescue of whoever reaches Redis dispatches it."""


def dispatch(operation_id: UUID) -> None:
    """Send messages for everything that is due: files to read, and as many chunks as the window has room for."""
    send_all(operation_id, send_readers, send_writers)


def dispatch_readers(operation_id: UUID) -> None:
    """Send messages for the files to read."""
    send_all(operation_id, send_readers)


def dispatch_writers(operation_id: UUID) -> None:
    """Send a message for the one who writes all of it, once its files are read; or for the next chunks."""
    send_all(operation_id, send_writers)


def dispatch_chunks(operation_id: UUID) -> None:
    """Send messages for the next chunks to write."""
    send_all(operation_id, send_chunks)


def dispatch_first(stored: list[Chunk]) -> None:
    """Send messages for the first chunks of an operation, whoever has just stored it: they are its next ones."""
    frontier = stored[0].input
    first: list[Due] = [(chunk.pk, None, chunk.row_count) for chunk in stored if chunk.input_id == frontier.pk]
    send_all(frontier.operation_id, lambda _: send_window(frontier, first))


def dispatch_next(frontier: Input) -> bool:
    """Send messages for the next chunks of an input that was the first one with open chunks; whether it has any yet.

    One query, for those who have just stored or written one of its chunks: while the operation goes on and some of
    them are open, no others can be due, and nothing is at its end.
    """
    found = next_chunks(frontier)
    if not found:
        return False
    send_all(frontier.operation_id, lambda _: send_window(frontier, found))
    return True


def next_chunks(frontier: Input) -> list[Due]:
    """The chunks of `send_window`, while their operation goes on; none if it does not.

    What else counts for them, the operation's message and what it waits for, is brought up to date.
    """
    going_on = Chunk.objects.filter(
        input=frontier, recorded_at=None, operation__state=State.RUNNING, operation__trades=False
    )
    facts = ("operation__message", "operation__waiting_since")
    found = list(going_on.order_by("number").values_list(*CHUNK, *facts)[: limits().window])
    if found:
        *_, frontier.operation.message, frontier.operation.waiting_since = found[0]
    return [(pk, dispatched_at, rows) for pk, dispatched_at, rows, *_ in found]


def send_all(operation_id: UUID, *steps: Callable[[UUID], None]) -> None:
    """Send all messages that are due; in the caller's transaction, once it is committed: workers find no work before.

    What goes wrong then is not the caller's, whose rows are there: the rescue will see to it.
    """
    on_commit(partial(send_now, operation_id, *steps), robust=connection.in_atomic_block)


def send_now(operation_id: UUID, *steps: Callable[[UUID], None]) -> None:
    """Send all messages that are due. Redis being away costs an operation a moment, and no more."""
    try:
        for step in steps:
            step(operation_id)
    except NotDispatched as error:
        logger.warning(
            "operation %s: not dispatched (%s); a process that reaches Redis will do it", operation_id, error
        )


def send_readers(operation_id: UUID) -> None:
    """Raises NotDispatched."""
    goes_on = its_operation(may_begin(), finished_at=None)
    due = Input.objects.filter(is_readable(), goes_on, operation=operation_id, read_at=None, dispatched_at=None)
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
    waiting = Operation.objects.filter(~Exists(unread), may_begin(), pk=operation_id, finished_at=None)
    dispatch_once(waiting, partial(send, "write_operation", str(operation_id)))


def send_chunks(operation_id: UUID) -> None:
    """Messages for the next chunks; raises NotDispatched.

    Only those of the first input that is not written to its end: a resource's rows come after the rows that its
    foreign keys point to. Chunks are dispatched in their order, so those at work are among the first that are open.
    """
    # Nothing of a sync is due before its guard has let it pass.
    guarded = Input.objects.filter(operation=operation_id, removes=True, read_at=None)
    unwritten = Chunk.objects.filter(input=OuterRef("pk"), recorded_at=None)
    goes_on = its_operation(may_begin(), ~Q(state=State.CANCELING), finished_at=None)
    frontier = (
        Input.objects.filter(Q(read_at=None) | Exists(unwritten), goes_on, operation=operation_id)
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
    unrecorded = Chunk.objects.filter(input=frontier, recorded_at=None).order_by("number")
    send_window(frontier, unrecorded.values_list(*CHUNK))


def send_window(frontier: Input, chunks: QuerySet[Any, Any] | list[Due]) -> None:
    """Messages for as many of an input's next chunks as are to be at work; raises NotDispatched.

    `chunks`: the key, the moment at which it was dispatched and the rows of each.
    """
    plan = plan_of(frontier)
    pressure = brake.pressure(plan.resource.database)
    tell_of_brake(frontier.operation, pressure)
    # While it waits for somebody's locks, or others are to have room, one worker is enough.
    is_single = plan.is_sequential or frontier.operation.waiting_since is not None or pressure.rest_seconds > 0
    size = 1 if is_single else limits().window
    for chunk_id, dispatched_at, rows in chunks[:size]:
        if dispatched_at is None and not send_in_turn(frontier, chunk_id, rows, pressure):
            return


def send_in_turn(frontier: Input, chunk_id: int, rows: int, pressure: Pressure) -> bool:
    """A message for a chunk; whether its turn has come. Raises NotDispatched."""
    one, message = Chunk.objects.filter(pk=chunk_id), partial(send_for, frontier, "write_chunk", chunk_id)
    rate = frontier.operation.max_rows_per_second
    seconds = max(pressure.rest_seconds, rows / rate if rate else 0.0)
    if not seconds:
        dispatch_once(one, message)
        return True
    if not rates.take_turn(frontier.operation_id, seconds):
        alarms.set(frontier.operation_id, rates.seconds_until_turn(frontier.operation_id))
        return False
    if not dispatch_once(one, message):
        rates.give_back_turn(frontier.operation_id, seconds)
    return True


def tell_of_brake(operation: Operation, pressure: Pressure) -> None:
    """Say in an operation's message why it is slowed down, or that it is no more."""
    message = f"{SLOWED_DOWN}{pressure.reason}." if pressure.reason else ""
    if message != operation.message and (message or operation.message.startswith(SLOWED_DOWN)):
        Operation.objects.filter(pk=operation.pk, finished_at=None).update(message=message)
        events.publish_now(totals.progress(operation.pk))


def dispatch_once(one: QuerySet[Any], send_message: Callable[[], None]) -> bool:
    """Send its message, unless it was sent before; whether it was sent now.

    A message that cannot be sent does not count as sent. Whoever is cut off from Redis would else keep the work from
    those who are not, for as long as they wait for its messages.
    """
    if not one.filter(dispatched_at=None).update(dispatched_at=Now()):
        return False
    try:
        send_message()
    except (BrokerConnectionError, redis.RedisError) as error:
        one.update(dispatched_at=None)
        raise NotDispatched(type(error).__name__) from error
    return True


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
