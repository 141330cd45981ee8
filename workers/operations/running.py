"""A request -> its operation, which is written now or left to the workers."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import django.db
from django.db import transaction
from django.db.models import Sum

from bulkql.workers.backends import callers_settings
from bulkql.workers.conf import limits
from bulkql.workers.enums import OnError, State, Verb
from bulkql.workers.errors import place_of
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.chunking import ChunkStore
from bulkql.workers.intake.requests import BulkRequest, Mode
from bulkql.workers.ledger import rates
from bulkql.workers.ledger.waits import Watch
from bulkql.workers.messaging.dispatch import (
    dispatch,
    dispatch_chunks,
    dispatch_first,
    dispatch_readers,
)
from bulkql.workers.models import Chunk, Operation
from bulkql.workers.operations import inline
from bulkql.workers.operations.failures import tried_again
from bulkql.workers.operations.steps import end, read_input, tell_end, write_chunk, write_operation
from bulkql.workers.resources.registry import resource_named

logger = logging.getLogger("bulkql")


def run(request: BulkRequest) -> Operation:
    """Accept a request, then write it now or leave it to the workers. Raises BulkError with nothing stored.

    Once it is stored nothing is raised: a client that is told of an error would send its rows again.
    """
    try:
        with callers_settings(item.resource.database for item in request.inputs):
            return accept_and_write(request)
    except django.db.Error:
        # The connection may have been lost in the midst of the commit; then only the ledger knows whether it was made.
        with suppress(django.db.Error, Operation.DoesNotExist):
            return Operation.objects.select_related("created_by").get(pk=request.operation_id)
        raise


def accept_and_write(request: BulkRequest) -> Operation:
    """Store a request, and write it: in the same transaction, in others, or by the workers."""
    if is_inline(request):
        with suppress(inline.NotInline):
            return write_inline(request)
    store = ChunkStore()
    operation, is_new = accept(request, store)
    if is_new:
        with after_commit(operation):
            logger.info("operation %s: accepted, %s", operation.id, operation.verb)
            if is_sync(request, operation):
                write_or_hand_over(operation, waits_long=request.waits_long)
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
        logger.error("operation %s: %s; it is stored, and the rescue continues it", operation.id, place_of(error))


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
    return request.mode == Mode.SYNC or (request.mode == Mode.AUTO and request.inline_rows <= limits().sync_rows)


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
        return waits_for_end(request.mode, operation, request.waits_long)
    is_slow = request.start_at is not None or request.max_rows_per_second is not None
    if request.verb == Verb.EXPORT:
        counts = [one.total for one in operation.inputs.all()]
        is_few = sum(limits().sync_rows + 1 if count is None else count for count in counts) <= limits().sync_rows
        return is_few and not is_slow
    if is_slow or any(item.rows is None and item.queryset is None for item in request.inputs):
        return False
    return row_count_of(request, operation) <= limits().sync_rows


def waits_for_end(mode: Mode, operation: Operation, waits_long: bool) -> bool:
    """Whether the caller waits for the end: a request over the web no longer for a pace than for locks."""
    rate = operation.max_rows_per_second
    if mode != Mode.SYNC or waits_long or rate is None or operation.verb == Verb.EXPORT:
        return mode == Mode.SYNC
    totals = [one.total for one in operation.inputs.all()]
    # How many rows a file has nobody knows yet.
    return None not in totals and sum(filter(None, totals)) <= rate * limits().lock_seconds


def row_count_of(request: BulkRequest, operation: Operation) -> int:
    """The rows of a request without files; only the operation knows how many a filter found."""
    if any(item.queryset is not None for item in request.inputs):
        return sum(one.total or 0 for one in operation.inputs.all())
    return request.inline_rows


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


def write_or_hand_over(operation: Operation, *, waits_long: bool) -> None:
    """Write the whole operation. It is stored: if that does not go well, workers will write it."""
    try:
        with callers_settings(resource_named(one.resource).database for one in operation.inputs.all()):
            write_now(operation, waits_long)
    # Rules of users' apps may raise anything; after some tries the workers will say that it is not to be.
    except Exception as error:
        logger.warning("operation %s: %s; the workers take over", operation.id, place_of(error))
        dispatch(operation.id)
        end(operation.id)  # what was left may have been its end
    operation.refresh_from_db(fields=["state", "message", "started_at", "finished_at"])


def write_now(operation: Operation, waits_long: bool = False) -> None:
    """The whole operation, in the caller's time."""
    for waiting in operation.inputs.filter(read_at=None):
        read_input(waiting.pk, dispatches=False)
        if operation.verb == Verb.EXPORT:  # the first has read all of them
            wait_for_helpers(operation)
            return
    operation.refresh_from_db(fields=["trades"])
    if not waits_long and is_more_than_asked(operation):
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
