"""Which chunks are due -> dramatiq messages. A window of them, so that a big operation cannot starve small ones."""

from __future__ import annotations

import logging
from uuid import UUID

import redis
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from dramatiq import Message
from dramatiq.errors import BrokerConnectionError

from workers.broker import broker
from workers.conf import limits
from workers.models import Chunk, Input

logger = logging.getLogger("bulkql")


def ring(operation_id: UUID) -> None:
    """Ring the readers of an operation's files, and as many chunks as the window has room for."""
    for input_id in unrung_inputs(operation_id):
        send("read_input", input_id)
    for chunk_id in take_due(operation_id):
        send("write_chunk", chunk_id)


def unrung_inputs(operation_id: UUID) -> list[int]:
    """The inputs whose files nobody was asked to read yet; they count as rung from now on."""
    unrung = Input.objects.filter(operation=operation_id, read_at=None, rung_at=None, operation__finished_at=None)
    ids = list(unrung.values_list("pk", flat=True))
    return [pk for pk in ids if unrung.filter(pk=pk).update(rung_at=timezone.now())]


def take_due(operation_id: UUID) -> list[int]:
    """The next chunks to write; they count as rung from now on.

    Only those of the first input that is not written to its end: a resource's rows come after the rows that its
    foreign keys point to.
    """
    unwritten = Chunk.objects.filter(input=OuterRef("pk"), recorded_at=None)
    frontier = (
        Input.objects.filter(Q(read_at=None) | Exists(unwritten), operation=operation_id, operation__finished_at=None)
        .order_by("position")
        .first()
    )
    if frontier is None:
        return []
    with transaction.atomic():
        open_chunks = Chunk.objects.filter(input=frontier, recorded_at=None)
        room = limits().window - open_chunks.filter(rung_at__isnull=False).count()
        due = open_chunks.filter(rung_at=None).order_by("number").select_for_update(skip_locked=True, of=("self",))
        ids = list(due.values_list("pk", flat=True)[: max(room, 0)])
        Chunk.objects.filter(pk__in=ids).update(rung_at=timezone.now())
    return ids


def send(actor_name: str, identifier: int) -> None:
    """One message with an id. When Redis is away nothing is lost: the sweep rings again."""
    message = Message(queue_name="default", actor_name=actor_name, args=(identifier,), kwargs={}, options={})
    try:
        broker.enqueue(message)
    except (BrokerConnectionError, redis.RedisError) as error:
        logger.warning("%s %s was not rung (%s); the sweep will", actor_name, identifier, type(error).__name__)
