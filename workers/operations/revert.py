"""An operation that is over -> another one that undoes it, as the ledger kept what its rows were."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import polars as pl
from django.apps import apps
from django.db import transaction
from django.db.models import Q, Sum
from django.db.models.functions import Now

from bulkql.workers.backends import backend
from bulkql.workers.conf import limits
from bulkql.workers.enums import OnError, Verb
from bulkql.workers.errors import BadInput, Forbidden
from bulkql.workers.intake.accept import earlier, new_operation
from bulkql.workers.intake.authority import grant
from bulkql.workers.intake.checks import check_options
from bulkql.workers.intake.chunking import ChunkStore
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode, when_and_whom
from bulkql.workers.ledger import totals
from bulkql.workers.messaging.dispatch import dispatch
from bulkql.workers.models import Input, Operation
from bulkql.workers.operations.retry import leftovers
from bulkql.workers.operations.running import after_commit, waits_for_end, write_or_hand_over
from bulkql.workers.quotas import check_new_operation
from bulkql.workers.resources.plan import plan_of
from bulkql.workers.resources.registry import BulkResource, resource_named
from bulkql.workers.resources.rights import check_writes_freely, may, permission_to
from bulkql.workers.reverting.pieces import in_pieces
from bulkql.workers.reverting.source import NO_ROWS, raw_rows
from bulkql.workers.uploads.uploads import keyed_digest

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger("bulkql")


@dataclass(frozen=True, slots=True, kw_only=True)
class RevertOptions:
    """How an operation is reverted: as it would be carried out, and what is done to rows that changed since."""

    forces: bool = False
    mode: Mode = Mode.AUTO
    on_error: OnError = OnError.SKIP_ROWS
    dry_run: bool = False
    chunk_size: int | None = None
    label: str = ""
    idempotency_key: str | None = None
    start_at: datetime | None = None
    max_rows_per_second: int | None = None
    waits_long: bool = False
    webhook_url: str | None = None
    operation_id: UUID = field(default_factory=uuid4)


def revert(operation: Operation, user: User, options: RevertOptions) -> Operation:
    """Store the undoing of an operation as a new one of this user, and write it now or leave it to the workers.

    Raises BadInput where it cannot be undone, Forbidden.
    """
    request = request_of(operation, user, options)
    digest = hash_of_revert(operation, request, forces=options.forces)
    if (first := earlier(request, digest)) is not None:
        return first
    check_new_operation(user, 0)
    with transaction.atomic():
        # Of two who revert it at once, the second one sees the first one's.
        operation = Operation.objects.select_for_update().get(pk=operation.pk)
        if (first := earlier(request, digest)) is not None:
            return first
        again = store_revert(operation, request, digest, forces=options.forces)
    logger.info("operation %s: accepted, %s, of operation %s", again.id, again.verb, operation.id)
    with after_commit(again):
        if is_for_now(again, options):
            write_or_hand_over(again, waits_long=options.waits_long)
        else:
            dispatch(again.id)
    return again


def request_of(operation: Operation, user: User, options: RevertOptions) -> BulkRequest:
    """The options as those of a request; raises BadInput, LimitExceeded."""
    names = dict.fromkeys(operation.inputs.order_by("position").values_list("resource", flat=True))
    how = {one.name: getattr(options, one.name) for one in fields(options) if one.name != "forces"}
    inputs = [InputRequest(resource=resource_named(name)) for name in names]
    request = BulkRequest(verb=Verb.REVERT, user=user, inputs=inputs, **how)
    check_options(request)
    return request


def is_for_now(again: Operation, options: RevertOptions) -> bool:
    """AUTO undoes few rows at once."""
    if options.mode != Mode.AUTO:
        return waits_for_end(options.mode, again, options.waits_long)
    rows = again.inputs.aggregate(rows=Sum("total"))["rows"] or 0
    return options.start_at is None and options.max_rows_per_second is None and rows <= limits().sync_rows


def hash_of_revert(operation: Operation, request: BulkRequest, *, forces: bool) -> str:
    """A digest of all that decides what the revert does; only a key is ever compared with it."""
    how = [Verb.REVERT, str(operation.pk), forces, request.on_error, request.dry_run, request.chunk_size]
    how += when_and_whom(request)
    return keyed_digest(hashlib.sha256(json.dumps(how).encode()).hexdigest())


def store_revert(operation: Operation, request: BulkRequest, digest: str, *, forces: bool) -> Operation:
    """The new operation with its inputs and chunks, in the reverse of the order in which the other one was written."""
    check_revertible(operation)
    before = last_revert(operation)
    inputs = list((before or operation).inputs.order_by("position" if before else "-position"))
    for one in inputs:
        if not request.dry_run:
            check_writes_freely(resource_named(one.resource))
        check_may_undo(
            request.user, one if before is None else its_source(operation, one), resource_named(one.resource)
        )
    again = new_operation(request, digest, forces=forces, revert_of=operation)
    ends: Counter[str] = Counter()
    for position, one in enumerate(inputs):
        frames = written_frames(one) if before is None else leftovers(one)
        if operation.trades:
            # Rows of several chunks swapped unique values.
            frames = iter([pl.concat([NO_ROWS, *frames])])
        start = ends[one.resource]
        ends[one.resource] += store_input(again, position, one, frames, request.chunk_size, start)
    if not ends.total():
        raise BadInput(f"Operation {operation.id} wrote no row; there is nothing to revert.")
    return again


def check_revertible(operation: Operation) -> None:
    """Whether there is anything that could be undone; raises BadInput."""
    if operation.finished_at is None or operation.chunks.filter(recorded_at=None).exists():
        raise BadInput(f"Operation {operation.id} is {operation.state}; wait until it is over, or cancel it.")
    if operation.dry_run:
        raise BadInput(f"Operation {operation.id} was a dry run, which wrote nothing; there is nothing to revert.")
    if operation.verb == Verb.REVERT:
        raise BadInput(
            f"Operation {operation.id} is a revert, and reverts cannot be reverted. To write again what operation "
            f"{operation.revert_of_id} wrote, send its input again."
        )
    wrote = operation.chunks.filter(Q(created__gt=0) | Q(updated__gt=0) | Q(deleted__gt=0))
    if wrote.exists() and not wrote.exclude(images=None).exists():
        raise BadInput(f"Operation {operation.id} cannot be reverted: {why_unkept(operation)}")


def why_unkept(operation: Operation) -> str:
    """Why nothing is known of what an operation's rows were."""
    for resource in map(resource_named, operation.inputs.values_list("resource", flat=True)):
        if not backend(resource.database).supports_copy:
            return "images of rows are kept only on PostgreSQL."
        if not resource.keeps_what_was:
            return (
                f"{resource.name} does not keep images of its rows (keeps_images of its BulkResource, or "
                "BULKQL_KEEPS_IMAGES)."
            )
    return (
        "no images of its rows were kept when it was written, or too many rows were deleted along (BULKQL_IMAGE_ROWS)."
    )


def last_revert(operation: Operation) -> Operation | None:
    """The latest revert that left rows as they are; raises BadInput where there is nothing left to revert."""
    last = operation.reverts.filter(dry_run=False).order_by("-created_at").first()
    if last is None:
        return None
    if last.finished_at is None:
        raise BadInput(f"Operation {operation.id} is being reverted by operation {last.id}.")
    progress = totals.progress(last.pk)
    if not progress.failed and not progress.skipped:
        raise BadInput(f"Operation {operation.id} was reverted by operation {last.id}.")
    return last


def its_source(operation: Operation, one: Input) -> Input:
    """The input of the reverted operation that an input of an earlier revert is about."""
    return operation.inputs.get(resource=one.resource, removes=one.removes)


def check_may_undo(user: User, one: Input, resource: BulkResource) -> None:
    """Whether the user has the opposite permission of each thing that was done; raises Forbidden."""
    wrote = one.chunks.aggregate(delete=Sum("created"), change=Sum("updated"), add=Sum("deleted"))
    needed = [(action, resource.model) for action, rows in wrote.items() if rows]
    for cascades in one.chunks.exclude(cascades=None).values_list("cascades", flat=True):
        needed += [("add", apps.get_model(label)) for label in cascades or ()]
    for action, model in dict.fromkeys(needed):
        if not model._meta.auto_created and not may(user, action, model):
            raise Forbidden(f"Reverting {resource.name} needs the permission {permission_to(action, model)}.")


def written_frames(one: Input) -> Iterator[pl.DataFrame]:
    """The rows that an input's chunks wrote, the last chunk first."""
    wrote = one.chunks.order_by("-number").values_list("pk", "created", "updated", "deleted")
    for chunk_id, *counts in wrote:
        yield raw_rows(chunk_id, sum(counts))


def store_input(
    again: Operation,
    position: int,
    old: Input,
    frames: Iterator[pl.DataFrame],
    chunk_size: int | None,
    start: int,
) -> int:
    """The rows of one input, from this index on; gives how many."""
    resource = resource_named(old.resource)
    size = resource.size_of_chunks(chunk_size)
    stored = Input.objects.create(
        operation=again,
        resource=old.resource,
        position=position,
        chunk_size=size,
        match_by=[resource.pk.name],
        removes=old.removes,
        scope_rows=old.scope_rows,
        read_at=Now(),
        total=0,
    )
    grant(stored)
    plan = plan_of(stored)
    count = ChunkStore().store(stored, plan, in_pieces(plan, frames, size), start)
    Input.objects.filter(pk=stored.pk).update(total=count)
    return count
