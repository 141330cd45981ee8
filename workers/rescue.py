"""Messages that were lost -> dispatched again. Runs in every worker; twice at once does no harm."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import dramatiq
import redis
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from bulkql.workers.conf import limits
from bulkql.workers.errors import BulkError, place_of
from bulkql.workers.ledger import endings
from bulkql.workers.ledger.claims import is_coming, is_free
from bulkql.workers.ledger.heartbeat import heartbeat
from bulkql.workers.ledger.retention import purge
from bulkql.workers.ledger.turns import forget_dispatches, is_waiting
from bulkql.workers.messaging import continuity
from bulkql.workers.messaging.alarms import alarms
from bulkql.workers.messaging.dispatch import dispatch, dispatch_chunks
from bulkql.workers.models import Chunk, Input, Operation, Upload
from bulkql.workers.operations import steps
from bulkql.workers.webhooks import deliveries

logger = logging.getLogger("bulkql")

#: Seconds between two purges of a worker process.
PURGE_SECONDS = 60 * 60


def rescue() -> None:
    """Forget the dispatches that nobody answers for, then dispatch or finish the operations that nobody is at work on.

    While nothing is lost it is one query to the database and two questions to Redis.
    """
    try:
        is_lost = continuity.has_forgotten()
    except redis.RedisError as error:
        # Whoever cannot send messages leaves it to those who can: it would only stand in their way.
        logger.debug("rescue: Redis cannot be reached (%s)", type(error).__name__)
        return
    if is_lost:
        forget(asked() | unanswered(), "Redis has lost its messages")
    found = open_operations() if is_lost else neglected()
    for operation_id in list(found.values_list("pk", flat=True)):
        if not is_lost:
            forget(unanswered(), "nobody answers", operation_id)
        go_on_with(operation_id)
    if is_lost:
        continuity.note_told()


def go_on_with(operation_id: UUID) -> None:
    """End an operation or dispatch it; what cannot go on, as of a resource that is no more, keeps none waiting."""
    try:
        if not steps.end(operation_id):
            dispatch(operation_id)
    except BulkError as error:
        steps.give_up(operation_id, str(error))


def open_operations() -> QuerySet[Operation]:
    """Operations that are not over, and whose turn it is; the youngest are their requests' own, and have a moment."""
    return Operation.objects.filter(~is_waiting(), finished_at=None, created_at__lt=Now() - timedelta(seconds=1))


def neglected() -> QuerySet[Operation]:
    """Open operations of which something was lost, or on which nobody is at work."""
    chunks = Chunk.objects.filter(operation=OuterRef("pk"), recorded_at=None)
    inputs = Input.objects.filter(operation=OuterRef("pk"), read_at=None)
    is_lost = unanswered() | Exists(chunks.filter(unanswered())) | Exists(inputs.filter(unanswered()))
    in_hand = Q(leased_until__gte=Now()) | asked()
    is_in_hand = in_hand | Exists(chunks.filter(in_hand)) | Exists(inputs.filter(in_hand))
    # Its client is at work on it.
    is_sent = Exists(inputs.filter(is_coming())) & ~Exists(chunks) & ~Exists(inputs.filter(~is_coming(), removes=False))
    return open_operations().filter(is_lost | ~Q(is_in_hand) & ~Q(is_sent))


def end_abandoned() -> None:
    """End operations whose files will not come to their end: they have expired."""
    expired = Upload.objects.filter(uploaded_at=None, created_at__lt=Now() - timedelta(seconds=limits().upload_seconds))
    for one in Input.objects.filter(read_at=None, operation__finished_at=None, upload__in=expired):
        endings.forgo_uploads(one.operation_id)
        steps.give_up(
            one.operation_id, f"The rest of the file of {one.resource} did not arrive in time; send it again."
        )


def asked() -> Q:
    """It was dispatched, since it was claimed last and not long ago, and nobody has claimed it since."""
    since = Q(leased_until=None) | Q(dispatched_at__gt=F("leased_until"))
    return is_free() & since & Q(dispatched_at__gte=redispatched_from())


def unanswered() -> Q:
    """It was dispatched, and nobody claimed it in time; or whoever claimed it fell silent."""
    return is_free() & (Q(dispatched_at__lt=redispatched_from()) | Q(dispatched_at__lte=F("leased_until")))


def redispatched_from() -> Combinable:
    """What was dispatched before this moment should have been claimed by now."""
    return Now() - timedelta(seconds=limits().redispatch_seconds)


def forget(condition: Q, reason: str, operation_id: UUID | None = None) -> None:
    """Have what was dispatched count as not dispatched, of one operation or of all."""
    counts = forget_dispatches(condition, operation_id)
    if any(counts):
        logger.info("rescue: %s; %s chunks, %s inputs and %s operations are dispatched again", reason, *counts)


class Rescue(dramatiq.Middleware):
    """Runs the rescue every few seconds, beside a worker."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._purged_at = self._looked_at = float("-inf")

    def after_worker_boot(self, broker: dramatiq.Broker, worker: Any) -> None:
        threading.Thread(target=self._run, name="bulkql-rescue", daemon=True).start()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: Any) -> None:
        self._stopping.set()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: Any) -> None:
        # What is still at work now will not be finished: others need not wait for its leases to run out.
        heartbeat.give_back_all()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._guarded(self._round)
            ends_at = time.monotonic() + limits().rescue_seconds
            while not self._stopping.is_set() and (seconds := ends_at - time.monotonic()) > 0:
                for operation_id in alarms.wait(seconds):
                    self._guarded(partial(dispatch_chunks, operation_id))
        connection.close()

    def _round(self) -> None:
        rescue()
        if time.monotonic() - self._looked_at > deliveries.LOOK_SECONDS:
            self._looked_at = time.monotonic()
            deliveries.ring_if_due()
        if time.monotonic() - self._purged_at > PURGE_SECONDS:
            end_abandoned()
            purge()
            self._purged_at = time.monotonic()

    def _guarded(self, step: Callable[[], object]) -> None:
        """What cannot be done while the database or Redis is away, is done in the next round."""
        try:
            step()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("rescue: the database cannot be reached (%s)", type(error).__name__)
        except redis.RedisError as error:
            logger.warning("rescue: the connection to Redis was lost (%s)", type(error).__name__)
        except Exception as error:
            # Storages and users' apps may raise anything. Without this thread nothing that is lost would be found.
            logger.error("rescue: %s; the next round continues", place_of(error))
        finally:
            close_old_connections()
