"""Operations that are over -> told to those who want to know, and told again until they have heard it.

A delivery is stored with its operation, in one transaction, and is due from the moment at which that is over: there is
no commit between the end and the wish to tell it. What Redis loses is found by a look every few seconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

import redis
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from dramatiq.errors import BrokerConnectionError

from bulkql.workers.conf import limits
from bulkql.workers.enums import DeliveryState
from bulkql.workers.errors import BadInput
from bulkql.workers.ledger import totals
from bulkql.workers.ledger.claims import is_free
from bulkql.workers.messaging.dispatch import SMALL_QUEUE, send
from bulkql.workers.models import Delivery, Operation
from bulkql.workers.webhooks import sending
from bulkql.workers.webhooks.sending import Attempt
from bulkql.workers.webhooks.targets import Rules

logger = logging.getLogger("bulkql")

#: Seconds until the next try, after each that failed: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, as
#: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md has it.
PAUSES = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: Tries that the log of a delivery holds.
TRIES = 20
#: Seconds between two looks of a worker for deliveries that are due.
LOOK_SECONDS = 5
#: Seconds that one message may go on with whatever is due.
ROUND_SECONDS = 60
#: One thread of a process sends, whoever is slow at the other end: the others are for rows.
_sending = threading.Lock()


def announce(operation: Operation, urls: Iterable[str]) -> None:
    """Store what is to be told, with the operation itself."""
    Delivery.objects.bulk_create([Delivery(operation=operation, url=url) for url in urls])


def due() -> QuerySet[Delivery]:
    """What is to be sent now, and nobody is sending."""
    is_over = Q(operation__finished_at__isnull=False)
    return Delivery.objects.filter(is_free(), is_over, state=DeliveryState.PENDING, due_at__lte=Now())


def ring() -> None:
    """Have a worker send what is due. Redis being away costs a look's time."""
    try:
        send("deliver", "", SMALL_QUEUE)
    except (BrokerConnectionError, redis.RedisError) as error:
        logger.warning("webhooks: not dispatched (%s); a process that reaches Redis will do it", type(error).__name__)


def ring_if_due() -> None:
    """What was lost, or is due again. Who allows no webhooks pays no query."""
    if Rules.in_force().hosts and due().exists():
        ring()


def deliver_due() -> None:
    """Send whatever is due, one after the other, unless this process does so already."""
    if not _sending.acquire(blocking=False):
        return
    try:
        until = time.monotonic() + ROUND_SECONDS
        while time.monotonic() < until and (delivery_id := claim_next()) is not None:
            deliver(Delivery.objects.select_related("operation").get(pk=delivery_id))
    finally:
        _sending.release()


def claim_next() -> UUID | None:
    """Take the delivery that is due for longest; None where there is none."""
    lease = Now() + timedelta(seconds=2 * limits().webhook_seconds)
    for delivery_id in list(due().order_by("due_at").values_list("pk", flat=True)[:10]):
        free = Delivery.objects.filter(is_free(), pk=delivery_id, state=DeliveryState.PENDING)
        if free.update(leased_until=lease, attempts=F("attempts") + 1):
            return delivery_id
    return None


def deliver(delivery: Delivery) -> None:
    """One try, and what comes of it."""
    attempt = sending.send(delivery.url, delivery.message_id, message_of(delivery.operation))
    tries = [*delivery.tries, as_json(attempt)][-TRIES:]
    changes: dict[str, Any] = {"tries": tries, "leased_until": None, "state": state_after(delivery, attempt)}
    if attempt.is_taken:
        changes["delivered_at"] = timezone.now()
    if changes["state"] == DeliveryState.PENDING:
        changes["due_at"] = Now() + timedelta(seconds=PAUSES[delivery.attempts - 1])
    Delivery.objects.filter(pk=delivery.pk).update(**changes)
    answer = attempt.error or attempt.status
    logger.info("operation %s: webhook %s, try %s: %s", delivery.operation_id, delivery.pk, delivery.attempts, answer)


def state_after(delivery: Delivery, attempt: Attempt) -> DeliveryState:
    if attempt.is_taken:
        return DeliveryState.DELIVERED
    return DeliveryState.FAILED if attempt.is_final or delivery.attempts > len(PAUSES) else DeliveryState.PENDING


def as_json(attempt: Attempt) -> dict[str, Any]:
    """A try, for the log."""
    return {
        "at": attempt.at.isoformat(),
        "seconds": attempt.seconds,
        "status": attempt.status,
        "error": attempt.error,
    }


def message_of(operation: Operation) -> dict[str, Any]:
    """What is told: ids, counts and the label, never rows."""
    progress = totals.progress(operation.pk)
    return {
        "type": "operation.finished",
        "timestamp": progress.finished_at and progress.finished_at.isoformat(),
        "data": {
            "id": str(operation.pk),
            "kind": operation.verb,
            "state": progress.state.value,
            "label": operation.label or None,
            "dryRun": operation.dry_run,
            "total": progress.total,
            "processed": progress.processed,
            **{name: getattr(progress, name) for name in totals.COUNTS},
        },
    }


def resend(delivery: Delivery) -> None:
    """Send a delivery again, now, with all tries anew; raises BadInput before its operation is over."""
    if delivery.operation.finished_at is None:
        raise BadInput(f"Operation {delivery.operation_id} is not over; its webhook is sent when it is.")
    Delivery.objects.filter(pk=delivery.pk).update(state=DeliveryState.PENDING, attempts=0, due_at=Now())
    ring()
