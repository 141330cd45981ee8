"""What happens to an operation, in order: accepted, read, written chunk by chunk, finished."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from uuid import UUID

import django.db
from django.db import transaction
from django.db.models import Sum

from bulkql.workers.conf import limits
from bulkql.workers.enums import OnError, State, Verb
from bulkql.workers.errors import BulkError, GivenUp, LeaseLost, Paused, place_of
from bulkql.workers.exports.writing import write_files
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.chunking import ChunkStore
from bulkql.workers.intake.planned import planned_chunks
from bulkql.workers.intake.reading import read_upload
from bulkql.workers.intake.requests import BulkRequest, Mode
from bulkql.workers.intake.unnamed import unnamed_rows
from bulkql.workers.ledger import claims, endings, rates, totals
from bulkql.workers.ledger.heartbeat import WHOLE_SECONDS, heartbeat
from bulkql.workers.ledger.totals import Progress
from bulkql.workers.ledger.waits import Watch
from bulkql.workers.messaging import events
from bulkql.workers.messaging.dispatch import (
    dispatch,
    dispatch_chunks,
    dispatch_first,
    dispatch_next,
    dispatch_readers,
    dispatch_writers,
    next_chunks,
)
from bulkql.workers.models import Chunk, Input, Operation
from bulkql.workers.operations import atomic, chunks, inline
from bulkql.workers.operations.attempts import is_outage, tried_again
from bulkql.workers.operations.failures import failed_too_often, note_failure
from bulkql.workers.validation.hooks import send_finished
from bulkql.workers.webhooks import deliveries

logger = logging.getLogger("bulkql")


def run(request: BulkRequest) -> Operation:
    """Accept a request, then write it now or leave it to the workers. Raises BulkError with nothing stored.

    Once it is stored nothing is raised: a client that is told of an error would send its rows again.
    """
    try:
        if is_inline(request):
            with suppress(inline.NotInline):
                return write_inline(request)
        return accept_and_go_on(request)
    except django.db.Error:
        # The connection may have been lost in the midst of the commit; then only the ledger knows whether it was made.
        with suppress(django.db.Error, Operation.DoesNotExist):
            return Operation.objects.select_related("created_by").get(pk=request.operation_id)
        raise


def accept_and_go_on(request: BulkRequest) -> Operation:
    """Store a request, then write it now or leave it to the workers."""
    store = ChunkStore()
    operation, is_new = accept(request, store)
    if is_new:
        with after_commit(operation):
            logger.info("operation %s: accepted, %s", operation.id, operation.verb)
            if is_sync(request, operation):
                write_or_hand_over(operation)
            else:
                hand_over(request, operation, store.first)
    return operation


@contextmanager
def after_commit(operation: Operation) -> Iterator[None]:
    """What follows the commit may fail, and the operation is there all the same: the rescue goes on with it."""
    try:
        yield
    # Receivers and rules of users' apps may raise anything.
    except Exception as error:
        logger.error("operation %s: %s; it is stored, and the rescue goes on with it", operation.id, place_of(error))


def is_inline(request: BulkRequest) -> bool:
    """The rows came with the request, which waits for them, and they are to stay."""
    if (
        request.dry_run
        or request.start_at is not None
        or request.max_rows_per_second is not None
        or request.on_error == OnError.REJECT_ALL
        or any(item.rows is None or item.guard is not None for item in request.inputs)
    ):
        return False
    rows = sum(len(item.rows or ()) for item in request.inputs)
    return request.mode == Mode.SYNC or (request.mode == Mode.AUTO and rows <= limits().sync_rows)


def write_inline(request: BulkRequest) -> Operation:
    """Store and write a request in one transaction; raises what goes wrong with nothing stored."""
    operation, written = tried_again(partial(store_and_write, request))
    if written is not None:
        with after_commit(operation):
            logger.info("operation %s: written directly, %s", operation.id, operation.verb)
            tell_end(inline.final_progress(operation, written, len(request.inputs)))
    return operation


def store_and_write(request: BulkRequest) -> tuple[Operation, inline.InlineChunks | None]:
    """One try at all of an inline request; its chunks, unless it came before."""
    watch = Watch()
    written = inline.InlineChunks(watch)
    with watch, transaction.atomic():
        operation, is_new = accept(request, written)
        if is_new:
            inline.mark_finished(operation, written)
    return operation, written if is_new else None


def is_sync(request: BulkRequest, operation: Operation) -> bool:
    """AUTO writes few rows at once; files and more rows are queued."""
    if request.mode != Mode.AUTO:
        return request.mode == Mode.SYNC
    is_slow = request.start_at is not None or request.max_rows_per_second is not None
    if request.verb == Verb.EXPORT:
        counts = [one.total for one in operation.inputs.all()]
        is_few = sum(limits().sync_rows + 1 if count is None else count for count in counts) <= limits().sync_rows
        return is_few and not is_slow
    if is_slow or any(item.rows is None and item.queryset is None for item in request.inputs):
        return False
    return row_count_of(request, operation) <= limits().sync_rows


def row_count_of(request: BulkRequest, operation: Operation) -> int:
    """The rows of a request without files; only the operation knows how many a filter found."""
    if any(item.queryset is not None for item in request.inputs):
        return sum(one.total or 0 for one in operation.inputs.all())
    return sum(len(item.rows or ()) for item in request.inputs)


def hand_over(request: BulkRequest, operation: Operation, first: list[Chunk]) -> None:
    """Send the workers messages for what was accepted; `first`: the chunks that were stored first."""
    if all(item.file_options is not None or item.export is not None for item in request.inputs):
        dispatch_readers(operation.id)  # files have no chunks yet
        return
    if all(item.rows is not None and item.guard is None for item in request.inputs):
        # Rows that came with the request are to be written, and nothing is to be read.
        if first and request.start_at is None and not operation.is_one_transaction:
            dispatch_first(first)
        else:
            dispatch_chunks(operation.id)
        return
    dispatch(operation.id)
    if any(item.queryset is not None for item in request.inputs):
        end(operation.id)  # it may have found no row


def write_or_hand_over(operation: Operation) -> None:
    """Write the whole operation. It is stored: if that does not go well, workers will write it."""
    try:
        write_now(operation)
    # Rules of users' apps may raise anything; after some tries the workers will say that it is not to be.
    except Exception as error:
        logger.warning("operation %s: %s; the workers take over", operation.id, place_of(error))
        dispatch(operation.id)
        end(operation.id)  # what was left may have been its end
    operation.refresh_from_db(fields=["state", "message", "started_at", "finished_at"])


def write_now(operation: Operation) -> None:
    """The whole operation, in the caller's time."""
    for waiting in operation.inputs.filter(read_at=None):
        read_input(waiting.pk, dispatches=False)
        if operation.verb == Verb.EXPORT:  # the first has read all of them
            wait_for_helpers(operation)
            return
    operation.refresh_from_db(fields=["trades"])
    if is_more_than_asked(operation):
        dispatch(operation.pk)
        return
    if operation.is_one_transaction:
        write_operation(operation.pk, "lock_seconds")
        return
    is_over = False
    open_chunks = Chunk.objects.filter(operation=operation, recorded_at=None)
    for chunk_id, rows in open_chunks.order_by("input__position", "number").values_list("pk", "row_count"):
        wait_for_turn(operation, rows)
        is_over = write_chunk(chunk_id, dispatches=False)
        if not is_over and Operation.objects.filter(pk=operation.pk).exclude(waiting_since=None).exists():
            # A request waits for locks once, not for each chunk.
            break
    if not is_over:
        wait_for_helpers(operation)


def wait_for_turn(operation: Operation, rows: int) -> None:
    """Who asks for a pace and for the end waits for both."""
    rate = operation.max_rows_per_second
    while rate is not None and not rates.take_turn(operation.pk, rows / rate):
        time.sleep(rates.seconds_until_turn(operation.pk))


def is_more_than_asked(operation: Operation) -> bool:
    """Whether a request of few rows is to delete many, which are for the workers."""
    if operation.verb != Verb.SYNC:
        return False
    missing = operation.inputs.filter(removes=True).aggregate(rows=Sum("total"))["rows"] or 0
    return int(missing) > limits().inline_rows


def wait_for_helpers(operation: Operation) -> None:
    """A long operation may have been swept, and its last chunks be in the hands of workers."""
    deadline = time.monotonic() + limits().lease_seconds
    end(operation.pk)
    while time.monotonic() < deadline:
        operation.refresh_from_db(fields=["state"])
        if operation.state in (*State.final(), State.PAUSED):
            return
        time.sleep(0.05)  # the database does not call back


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
        remedy = "A file with fewer or shorter rows may take less of it."
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
    """Tell it to subscribers, to webhooks, and to the project's own receivers."""
    events.publish_end(progress)
    if progress.calls_back:
        deliveries.ring()
    send_finished(progress.operation_id)
