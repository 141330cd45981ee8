"""Messages that were lost -> dispatched again. Runs in every worker; twice at once does no harm."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from typing import Any

import dramatiq
from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone

from bulkql.workers.conf import limits
from bulkql.workers.ledger.claims import is_free
from bulkql.workers.ledger.retention import purge
from bulkql.workers.messaging.dispatch import dispatch
from bulkql.workers.models import Chunk, Input, Operation
from bulkql.workers.operations import steps

logger = logging.getLogger("bulkql")

#: Seconds between two purges of a worker process.
PURGE_SECONDS = 60 * 60


def rescue() -> None:
    """Forget the dispatches that nobody answered, then dispatch or finish every operation that is still open."""
    late = timezone.now() - timedelta(seconds=limits().redispatch_seconds)
    is_open = {"operation__finished_at": None, "dispatched_at__lt": late}
    forgotten = Chunk.objects.filter(is_free(), recorded_at=None, **is_open)
    unread = Input.objects.filter(is_free(), read_at=None, **is_open)
    unwritten = Operation.objects.filter(is_free(), finished_at=None, dispatched_at__lt=late)
    counts = [some.update(dispatched_at=None) for some in (forgotten, unread, unwritten)]
    if any(counts):
        logger.info("rescue: %s chunks, %s inputs and %s operations are dispatched again", *counts)
    # The youngest operations are their requests' own: give them a moment.
    settled = timezone.now() - timedelta(seconds=1)
    for operation_id in Operation.objects.filter(finished_at=None, created_at__lt=settled).values_list("pk", flat=True):
        if not steps.end(operation_id):
            dispatch(operation_id)


class Rescue(dramatiq.Middleware):
    """Runs the rescue every few seconds, beside a worker."""

    def __init__(self) -> None:
        self._stopping = threading.Event()

    def after_worker_boot(self, broker: dramatiq.Broker, worker: Any) -> None:
        threading.Thread(target=self._run, name="bulkql-rescue", daemon=True).start()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: Any) -> None:
        self._stopping.set()

    def _run(self) -> None:
        purged_at = 0.0
        while not self._stopping.wait(limits().rescue_seconds):
            try:
                rescue()
                if time.monotonic() - purged_at > PURGE_SECONDS:
                    purge()
                    purged_at = time.monotonic()
            except DatabaseError as error:
                logger.warning("rescue: the database is away (%s)", type(error).__name__)
            finally:
                close_old_connections()
        connection.close()
