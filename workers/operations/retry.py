"""The failed and skipped rows of an operation -> a new operation."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING

import polars as pl
from django.db import transaction
from django.db.models import Q, Sum
from django.db.models.functions import Now

from bulkql.workers.enums import Outcome, Verb
from bulkql.workers.errors import BadInput
from bulkql.workers.frames import GIVES_TO, RESERVED_PK, SUPERSEDED_BY, SUPERSEDED_KEY, TAKES_FROM, unpack
from bulkql.workers.intake.accept import input_again
from bulkql.workers.intake.chunking import ChunkStore
from bulkql.workers.intake.duplicates import Superseded, find_superseded
from bulkql.workers.intake.reading import in_slices
from bulkql.workers.ledger.results import chunks_in_order, result_rows
from bulkql.workers.messaging.dispatch import dispatch
from bulkql.workers.models import Chunk, Input, Operation
from bulkql.workers.operations.running import after_commit
from bulkql.workers.quotas import check_new_operation
from bulkql.workers.resources.plan import plan_of
from bulkql.workers.resources.registry import BulkResource, resource_named
from bulkql.workers.resources.rights import (
    check_may_still,
    check_needs_no_plan,
    check_permissions,
    check_writes_freely,
)
from bulkql.workers.reverting.pieces import in_pieces
from bulkql.workers.webhooks.deliveries import announce

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger("bulkql")


def retry(operation: Operation, user: User) -> Operation:
    """Store the rows that an operation left as a new one of this user, and dispatch it; raises BadInput, Forbidden."""
    # The end of an operation that failed skips its open chunks a moment later; until then their rows are not settled.
    if operation.finished_at is None or operation.chunks.filter(recorded_at=None).exists():
        raise BadInput(f"Operation {operation.id} is {operation.state}; wait until it is over, or cancel it.")
    if operation.verb == Verb.EXPORT:
        raise BadInput(f"Operation {operation.id} is an export, which has no rows to retry; ask for the export again.")
    if operation.inputs.filter(removes=True, scope_rows=None).exists():
        raise BadInput(
            f"Operation {operation.id} ended before it was known which rows are missing from its input; send the "
            f"whole input again."
        )
    check_new_operation(user, 0)
    with transaction.atomic():
        # Of two who retry it at once, the second one sees the first one's.
        operation = Operation.objects.select_for_update().get(pk=operation.pk)
        check_not_retried(operation)
        again = store_again(operation, user)
    logger.info("operation %s: accepted, %s, a retry of operation %s", again.id, again.verb, operation.id)
    with after_commit(again):
        dispatch(again.id)
    return again


def check_not_retried(operation: Operation) -> None:
    """Rows are retried once, or they would be written twice; raises BadInput with the operation that has them now."""
    last = None if operation.dry_run else operation.retries.order_by("-created_at").first()
    if last is None:
        return
    if last.finished_at is None:
        raise BadInput(f"Operation {operation.id} is being retried by operation {last.id}; wait until it is over.")
    raise BadInput(
        f"Operation {operation.id} was retried by operation {last.id}; retry that one, which has the rows that are "
        f"left."
    )


def store_again(operation: Operation, user: User) -> Operation:
    """The new operation with its inputs and chunks."""
    again = Operation.objects.create(
        verb=operation.verb,
        on_error=operation.on_error,
        dry_run=operation.dry_run,
        skip_existing=operation.skip_existing,
        max_rows_per_second=operation.max_rows_per_second,
        label=operation.label,
        created_by=user,
        rows_by_id=operation.sent_by,
        retry_of=operation,
        revert_of=operation.revert_of,
        forces=operation.forces,
        calls_back=operation.calls_back,
    )
    if operation.calls_back:
        announce(again, operation.deliveries.values_list("url", flat=True))
    total = sum(store_left(again, old, user) for old in operation.inputs.order_by("position"))
    if total == 0:
        raise BadInput(
            f"Operation {operation.id} has no rows to retry: none failed or was skipped, except for rows whose key "
            f"appears again in a later row."
        )
    return again


def store_left(again: Operation, old: Input, user: User) -> int:
    """The rows that one input left, if there are any; gives how many."""
    resource = resource_named(old.resource)
    is_revert = again.verb == Verb.REVERT
    rows, size = leftovers(old), old.chunk_size
    slices = in_pieces(plan_of(old), rows, size) if is_revert else in_slices(rows, size)
    first = next(slices, None)
    if first is None:
        return 0
    if not is_revert:
        check_may_write_again(again, old, resource, user)
    elif not again.dry_run:
        check_writes_freely(resource)
    stored = input_again(old, again)
    plan = plan_of(stored)
    if is_revert:
        return store_total(stored, ChunkStore().store(stored, plan, chain([first], slices), rows_before(stored)))
    # Keys that these rows give in full are settled; what the table has by now may bring others together.
    with closing(find_superseded(plan, leftovers(old), user)) as verdicts:
        start = rows_before(stored)
        total = ChunkStore().store(stored, plan, marked_again(verdicts, chain([first], slices)), start)
    return store_total(stored, total)


def check_may_write_again(again: Operation, old: Input, resource: BulkResource, user: User) -> None:
    """What was allowed once may be so no more, or not to this user; raises BadInput, Forbidden."""
    verb = Verb(again.verb)
    check_may_still(user, verb, resource)
    if old.removes:
        check_permissions(user, Verb.DELETE, resource)
    if not again.dry_run:
        check_needs_no_plan(Verb.DELETE if old.removes else verb, resource)


def store_total(stored: Input, total: int) -> int:
    """All rows of an input are stored."""
    Input.objects.filter(pk=stored.pk).update(total=total, read_at=Now())
    return total


def rows_before(stored: Input) -> int:
    """The rows that an operation has for the same resource already: those of a sync come before what it misses."""
    others = stored.operation.inputs.filter(resource=stored.resource, position__lt=stored.position)
    return others.aggregate(rows=Sum("total", default=0))["rows"]  # type: ignore[no-any-return]  # an aggregate


def marked_again(verdicts: Superseded, slices: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The rows in their chunks, with what was found of them."""
    row_start = 0
    for frame in slices:
        yield verdicts.mark(frame, row_start)
        row_start += frame.height


def leftovers(old: Input) -> Iterator[pl.DataFrame]:
    """The raw rows that an input left, in order, a chunk at a time."""
    with_rows = old.chunks.filter(Q(failed__gt=0) | Q(skipped__gt=0))
    for chunk in chunks_in_order(
        with_rows.select_related("input").only(
            "input__position", "number", "row_start", "row_count", "payload", "results"
        )
    ):
        left = rows_to_retry(chunk)
        if left.height:
            yield left


def rows_to_retry(chunk: Chunk) -> pl.DataFrame:
    """A chunk's failed and skipped rows, as they were given.

    A superseded row stays out, since it would overwrite the row that won. So do the keys that were reserved: rows that
    are retried twice would collide.
    """
    raw = unpack(chunk.payload)
    is_left = result_rows(chunk)["outcome"].is_in([Outcome.FAILED.value, Outcome.SKIPPED.value])
    if SUPERSEDED_BY in raw.columns:
        is_left &= raw[SUPERSEDED_BY].is_null()
    marks = (RESERVED_PK, SUPERSEDED_BY, SUPERSEDED_KEY, GIVES_TO, TAKES_FROM)
    return raw.filter(is_left).drop(marks, strict=False)
