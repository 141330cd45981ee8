"""An operation that waits for locks: told in its message, given another turn, and given up in the end."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.db.models.functions import Coalesce, Now

from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import GivenUp, Locked
from bulkql.workers.ledger import claims, totals
from bulkql.workers.ledger.waits import Watch
from bulkql.workers.messaging import events
from bulkql.workers.models import Chunk, Operation

logger = logging.getLogger("bulkql")


def watch_of(operation: Operation, limit: str) -> Watch:
    """Watches over a transaction of an operation, whose message says what it waits for."""
    return Watch(limit, partial(tell, operation.pk))


def tell(operation_id: UUID, reason: str) -> None:
    """Say in an operation's message, and to its subscribers, what it waits for."""
    waiting = Operation.objects.filter(pk=operation_id, finished_at=None)
    if waiting.update(message=f"Waiting: {reason}.", waiting_since=Coalesce("waiting_since", Now())):
        events.publish_now(totals.progress(operation_id))


def go_on(operation: Operation, watch: Watch) -> None:
    """It has what it waited for, if it did."""
    if watch.reason or operation.waiting_since is not None:
        Operation.objects.filter(pk=operation.pk, finished_at=None).update(message="", waiting_since=None)


def put_off(chunk: Chunk, locked: Locked) -> None:
    """Let others have their turn before a chunk is tried again; that it had to wait is no failure of its own.

    Raises GivenUp where its operation has waited for BULKQL_LOCK_WAIT_SECONDS.
    """
    tell(chunk.operation_id, locked.reason)
    claims.untry(chunk)
    logger.info("operation %s: chunk %s waits for locks", chunk.operation_id, chunk.pk)
    longest = limits().lock_wait_seconds
    too_long_ago = Now() - timedelta(seconds=longest)
    if Operation.objects.filter(pk=chunk.operation_id, waiting_since__lt=too_long_ago).exists():
        setting = setting_name("lock_wait_seconds")
        raise GivenUp(chunk.operation_id, str(Locked(locked.reason, longest, setting)))
