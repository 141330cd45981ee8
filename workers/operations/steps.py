"""What happens to an accepted operation, in order: read, written chunk by chunk, finished."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from uuid import UUID

from django.db import connection
from django.db.transaction import on_commit

from bulkql.workers.conf import limits
from bulkql.workers.enums import Verb
from bulkql.workers.errors import BulkError, GivenUp, LeaseLost, Paused
from bulkql.workers.exports.writing import write_files
from bulkql.workers.intake.planned import planned_chunks
from bulkql.workers.intake.reading import read_upload
from bulkql.workers.intake.unnamed import unnamed_rows
from bulkql.workers.ledger import claims, endings, totals
from bulkql.workers.ledger.heartbeat import WHOLE_SECONDS, heartbeat
from bulkql.workers.ledger.totals import Progress
from bulkql.workers.messaging import events
from bulkql.workers.messaging.dispatch import (
    dispatch,
    dispatch_chunks,
    dispatch_next,
    dispatch_writers,
    next_chunks,
)
from bulkql.workers.models import Input
from bulkql.workers.operations import atomic, chunks
from bulkql.workers.operations.failures import failed_too_often, is_outage, note_failure
from bulkql.workers.validation.hooks import send_finished
from bulkql.workers.webhooks import deliveries

logger = logging.getLogger("bulkql")


def write_chunk(chunk_id: int, *, dispatches: bool = True) -> bool:
    """Write one chunk, then go on with its operation; whether it is over by that."""
    try:
        chunk = chunks.claim_and_write(chunk_id)
    except GivenUp as given_up:
        give_up(*given_up.args)
        return True
    if chunk is None:
        return False
    if not (dispatch_next(chunk.input) if dispatches else next_chunks(chunk.input)):
        if end(chunk.operation_id):
            return True
        if dispatches:
            dispatch_chunks(chunk.operation_id)
    if dispatches:
        events.publish(chunk.operation_id)
    return False


def write_operation(operation_id: UUID, limit: str = "lock_wait_seconds") -> None:
    """Write all of an operation that is one transaction; raises Locked where it waits for as long as a request does."""
    try:
        is_over = atomic.claim_and_write_all(operation_id, limit)
    except GivenUp as given_up:
        give_up(*given_up.args)
        return
    if is_over:
        finished(operation_id)
    else:
        end(operation_id)


def read_input(input_id: int, *, dispatches: bool = True) -> None:
    """Read an upload into chunks; the first of them are written while the rest is read."""
    claimed = claims.claim_input(input_id)
    if claimed is None:
        return
    operation_id, what = claimed.operation_id, f"Reading {claimed.resource}"
    if claimed.attempts > limits().max_attempts:
        remedy = "A file with fewer or shorter rows may need less."
        if claimed.operation.verb == Verb.EXPORT:
            remedy = "An export of fewer rows or fields may need less."
        give_up(*failed_too_often(claimed.operation, what, claimed.attempts - 1, remedy).args)
        return
    try:
        with heartbeat.keeping(claimed, claims.its_operation(finished_at=None), seconds=WHOLE_SECONDS):
            go_through(claimed, dispatches=dispatches)
    except BulkError as error:
        give_up(operation_id, str(error))
        return
    except LeaseLost as lost:
        logger.warning("operation %s: %s", operation_id, lost)
        return
    except Paused as paused:
        # What is stored is stored; whoever goes on begins behind it, and it was no failed try.
        claims.untry(claimed)
        logger.info("%s", paused)
        return
    except BaseException as error:
        # Whatever went wrong, the retry must not wait for the lease to run out.
        note_failure(operation_id, what, error)
        heartbeat.give_back(claimed, was_away=is_outage(error))
        raise
    if dispatches:
        go_on_behind(claimed)


def go_through(claimed: Input, *, dispatches: bool) -> None:
    """Read an input into chunks, which others write meanwhile; or write the files of an export."""
    if claimed.operation.verb == Verb.EXPORT:
        for _ in write_files(claimed):
            events.publish(claimed.operation_id)
        return
    for _ in chunks_of(claimed):
        if dispatches and not claimed.operation.is_one_transaction and not is_next_dispatched(claimed):
            dispatch_chunks(claimed.operation_id)


def go_on_behind(read: Input) -> None:
    """Send messages for what is due now that an input is read, or end its operation."""
    if not is_next_dispatched(read):
        if end(read.operation_id):
            return
        # The next input's chunks may be due, or all of it; or it is known what a sync misses.
        (dispatch if read.operation.verb == Verb.SYNC else dispatch_writers)(read.operation_id)
    events.publish(read.operation_id)


def is_next_dispatched(stored: Input) -> bool:
    """Send messages for the next chunks of an input, where it is certain that these are the ones that are due."""
    # Nothing of a sync may be due before its guard has let it pass.
    is_first = stored.position == 0 and stored.operation.verb != Verb.SYNC
    return is_first and not stored.operation.is_one_transaction and dispatch_next(stored)


def chunks_of(claimed: Input) -> Iterator[object]:
    """What is read for an input, as it is stored: its file, the rows that a sync misses, or those of a plan."""
    if claimed.operation.applied_from_id is not None:
        return planned_chunks(claimed)
    return unnamed_rows(claimed) if claimed.removes else read_upload(claimed)


def end(operation_id: UUID) -> bool:
    """Finish an operation if there is nothing left to do; whether it is over."""
    endings.skip_canceled(operation_id)
    if not endings.finish(operation_id):
        return False
    finished(operation_id)
    return True


def give_up(operation_id: UUID, message: str) -> None:
    """End an operation that cannot go on."""
    if endings.fail(operation_id, message):
        finished(operation_id)


def finished(operation_id: UUID) -> None:
    """Tell everybody who wants to know that an operation is over."""
    logger.info("operation %s: over", operation_id)
    tell_end(totals.progress(operation_id))


def tell_end(progress: Progress) -> None:
    """Tell it to subscribers, to webhooks, and to the project's own receivers.

    Python code may have a transaction of its own: then nobody hears of it before the commit, or after a rollback.
    """
    on_commit(partial(tell_committed, progress), robust=connection.in_atomic_block)


def tell_committed(progress: Progress) -> None:
    """The same, now that it is certain."""
    events.publish_end(progress)
    if progress.calls_back:
        deliveries.ring()
    send_finished(progress.operation_id)
