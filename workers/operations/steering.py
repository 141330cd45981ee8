"""Whoever watches an operation -> stops it, pauses it, lets it go on."""

from __future__ import annotations

import logging
from uuid import UUID

from bulkql.workers.enums import OnError, State
from bulkql.workers.errors import BadInput
from bulkql.workers.exports.records import end_idle
from bulkql.workers.ledger import claims, endings, totals, turns
from bulkql.workers.messaging import events
from bulkql.workers.messaging.dispatch import dispatch
from bulkql.workers.models import Operation
from bulkql.workers.operations.steps import end

logger = logging.getLogger("bulkql")


def cancel(operation_id: UUID) -> None:
    """Stop an operation at its next chunk: what is written stays, the rest is skipped. One that is over stays so.

    Its files are read to their end all the same, so that every row gets its outcome, and can be sent again.
    """
    if endings.ask_to_stop(operation_id):
        logger.info("operation %s: canceling", operation_id)
        end_idle(operation_id)
        endings.forgo_uploads(operation_id)
        if not end(operation_id):
            # One that was paused, or for later, has nobody who would read its files to their end.
            dispatch_anew(operation_id)
            events.publish(operation_id)


def pause(operation_id: UUID) -> None:
    """Begin nothing more of an operation: chunks at work are finished, and files are read no further.

    Raises BadInput where it is over, is stopping, or is being written in one transaction. It stays paused, and is kept,
    until somebody resumes or cancels it.
    """
    while not turns.pause(operation_id):
        operation = Operation.objects.get(pk=operation_id)
        if operation.state == State.PAUSED:
            return
        # Somebody else may have resumed it just now: then it is tried again.
        check_pausable(operation)
    logger.info("operation %s: paused", operation_id)
    events.publish_now(totals.progress(operation_id))


def check_pausable(operation: Operation) -> None:
    """Whether an operation can be paused; raises BadInput."""
    if operation.state not in (State.QUEUED, State.RUNNING):
        raise BadInput(
            f"Operation {operation.pk} is {operation.state}; only operations that are QUEUED or RUNNING can be paused."
        )
    if operation.is_one_transaction:
        raise BadInput(
            f"Operation {operation.pk} is being written in one transaction, as {why_whole(operation)}; a pause would "
            f"hold its locks. Let it finish, or cancel it, so that none of its rows are written."
        )


def why_whole(operation: Operation) -> str:
    """What has all rows of an operation written in one transaction."""
    if operation.dry_run:
        return "dryRun asks"
    return "onError: REJECT_ALL asks" if operation.on_error == OnError.REJECT_ALL else "rows exchange unique values"


def resume(operation_id: UUID) -> None:
    """Let a paused operation go on; one that goes on already does so. Raises BadInput where it is over or stopping."""
    while not turns.resume(operation_id):
        state = Operation.objects.values_list("state", flat=True).get(pk=operation_id)
        if state in (State.QUEUED, State.RUNNING):
            return
        # Somebody else may have paused it just now: then it is tried again.
        if state != State.PAUSED:
            raise BadInput(f"Operation {operation_id} is {state}; only PAUSED operations can be resumed.")
    logger.info("operation %s: resumed", operation_id)
    if not end(operation_id):
        dispatch_anew(operation_id)
        events.publish_now(totals.progress(operation_id))


def dispatch_anew(operation_id: UUID) -> None:
    """Send messages anew for what nobody is at work on: those that came meanwhile have done nothing."""
    turns.forget_dispatches(claims.is_free(), operation_id)
    dispatch(operation_id)
