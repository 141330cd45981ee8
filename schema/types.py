"""What the API tells of an operation."""

from __future__ import annotations

import datetime
import logging
from typing import TYPE_CHECKING

import django.db
import strawberry
from asgiref.sync import sync_to_async
from django.urls import reverse
from strawberry.types import Info

from bulkql.schema.context import Context, user_of
from bulkql.schema.enums import FileFormat, OnError, State, Verb
from bulkql.schema.operations.deliveries import Delivery, deliveries_of
from bulkql.schema.operations.outcomes import (
    ENTRIES,
    After,
    ErrorGroup,
    First,
    RowErrorConnection,
    RowErrorEdge,
    RowResultConnection,
    RowResultEdge,
    error_group,
    given,
    page_info,
    row_error,
    row_result,
)
from bulkql.schema.permissions import hidden_contents
from bulkql.schema.scalars import BigInt
from bulkql.workers.downloads import signatures
from bulkql.workers.downloads.files import downloads
from bulkql.workers.errors import place_of
from bulkql.workers.ledger import groups, results, totals
from bulkql.workers.ledger.retention import plan_until
from bulkql.workers.models import Input, Operation

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from bulkql.workers.ledger.totals import Progress

logger = logging.getLogger("bulkql")


@strawberry.type(description="Rows of one model that were deleted along with others.")
class Cascade:
    model: str = strawberry.field(description="Their model, such as ledger.FinancialTransaction.")
    count: BigInt = strawberry.field(description="How many there are.")


@strawberry.type(description="The part of an operation that belongs to one resource.")
class ResourceCounts:
    resource: str = strawberry.field(description="The resource's name.")
    total: int | None = strawberry.field(description="All its rows; null until its file has been read to the end.")
    processed: int = strawberry.field(
        description="Rows that have their outcome, or have been written to an export's file."
    )
    created: int = strawberry.field(description="Rows that were created.")
    updated: int = strawberry.field(description="Rows that were changed.")
    unchanged: int = strawberry.field(description="Rows that already had these values, and were not written.")
    deleted: int = strawberry.field(description="Rows that were deleted.")
    failed: int = strawberry.field(description="Rows that were not written because of an error.")
    skipped: int = strawberry.field(
        description="Rows that were not written because the operation ended first, or other rows were bad."
    )
    exported: int = strawberry.field(description="Rows that were written to an export's file.")


@strawberry.type(description="How many rows a revert has undone. Each row is undone as a whole or not at all.")
class RevertCounts:
    undone: int = strawberry.field(description="Rows that are again as they were before the operation.")
    changed_since: int = strawberry.field(
        description="Rows that have changed since, and are left as they are: CONFLICT."
    )
    impossible: int = strawberry.field(description="Rows that cannot be restored; their row errors say why.")


@strawberry.type(
    description="A file of an operation that is over. It is generated while it is downloaded; only an export's files "
    "are stored."
)
class OperationFile:
    name: str = strawberry.field(
        description="Its name: RESOURCE-failed.csv, .ndjson and .xlsx, results.csv, .ndjson, .parquet; for an export "
        "RESOURCE.csv and so on."
    )
    format: FileFormat = strawberry.field(description="Its format.")
    url: str = strawberry.field(description="Where to GET it, with your authorization.")
    rows: BigInt = strawberry.field(description="The rows in it.")
    bytes: BigInt | None = strawberry.field(description="Its size, if it is known before the file is generated.")
    expires_at: datetime.datetime = strawberry.field(
        description="Until when the URL is valid; query it again to get a new one."
    )


@strawberry.type(description="One bulk request: durable, and finished whatever happens to the service.")
class BulkOperation:
    id: strawberry.ID = strawberry.field(description="The id, for the query and the subscription `operation`.")
    kind: Verb = strawberry.field(description="What it does to its rows.")
    state: State = strawberry.field(description="Its state.")
    total: int | None = strawberry.field(description="All rows; null until the last file has been read to its end.")
    processed: int = strawberry.field(
        description="Rows that have their outcome, or have been written to an export's file."
    )
    created: int = strawberry.field(description="Rows that were created.")
    updated: int = strawberry.field(description="Rows that were changed.")
    unchanged: int = strawberry.field(description="Rows that already had these values, and were not written.")
    deleted: int = strawberry.field(description="Rows that were deleted.")
    failed: int = strawberry.field(description="Rows that were not written because of an error.")
    skipped: int = strawberry.field(
        description="Rows that were not written because the operation ended first, or other rows were bad."
    )
    exported: int = strawberry.field(description="Rows that were written to an export's file.")
    percentage: float | None = strawberry.field(
        description="The processed part of the total, from 0 to 100; null while the total is unknown."
    )
    rows_per_second: float | None = strawberry.field(
        description="Average since the start; of the whole operation once it is over."
    )
    eta_seconds: float | None = strawberry.field(description="Estimated seconds until the end, at the speed so far.")
    message: str | None = strawberry.field(description="Why it failed, what it waits for, or when it starts.")
    label: str | None = strawberry.field(description="The label that it was given.")
    on_error: OnError = strawberry.field(description="What happens to the other rows if some are bad.")
    dry_run: bool = strawberry.field(description="Whether everything is rolled back, as requested.")
    start_at: datetime.datetime | None = strawberry.field(description="The requested start; nothing is done before it.")
    max_rows_per_second: int | None = strawberry.field(
        description="Most rows that all workers together write per second; null for no limit."
    )
    created_at: datetime.datetime = strawberry.field(description="When it was accepted.")
    started_at: datetime.datetime | None = strawberry.field(description="When the first worker began.")
    finished_at: datetime.datetime | None = strawberry.field(description="When it ended.")
    created_by: str | None = strawberry.field(description="The name of the user who sent it.")
    retry_of: strawberry.ID | None = strawberry.field(description="The operation whose rows it retries.")
    revert_of: strawberry.ID | None = strawberry.field(description="The operation that it reverts.")
    applied_from: strawberry.ID | None = strawberry.field(description="The plan that it applies: a dry run.")
    plan_until: datetime.datetime | None = strawberry.field(
        description="Until when this dry run can be applied as a plan; null if it is not a plan."
    )
    stored: strawberry.Private[Operation]

    # What is read when it is asked for is nullable: where it cannot be read, the operation's id is told all the same.

    @strawberry.field(description="The operation that applied this plan; null before that, and if it is not a plan.")
    async def applied_as(self) -> strawberry.ID | None:
        return await sync_to_async(application_of)(self.stored) if self.dry_run else None

    @strawberry.field(description="The counts of each resource, in the order in which they are written.")
    async def resources(self) -> list[ResourceCounts] | None:
        return await sync_to_async(resource_counts)(self.stored)

    @strawberry.field(
        description="For a revert: how many rows were undone, and how many were not and why; null for others."
    )
    async def reverted(self) -> RevertCounts | None:
        if self.stored.verb != Verb.REVERT:
            return None
        heaps = await sync_to_async(totals.heaps)(self.stored)
        return RevertCounts(undone=heaps.undone, changed_since=heaps.changed_since, impossible=heaps.impossible)

    @strawberry.field(
        description="Rows that were deleted along with the operation's own, by model; for a revert also rows that "
        "were restored along."
    )
    async def cascades(self) -> list[Cascade] | None:
        counts = await sync_to_async(totals.cascades)(self.stored)
        return [Cascade(model=model, count=BigInt(count)) for model, count in counts.items()]

    @strawberry.field(description="Why rows were not written, in input order.")
    async def row_errors(
        self, info: Info[Context, None], first: First = ENTRIES, after: After = None
    ) -> RowErrorConnection | None:
        page = await sync_to_async(results.error_page)(self.stored, given(first, ENTRIES), after)
        hidden = await sync_to_async(hidden_contents)(user_of(info), self.stored)
        edges = [RowErrorEdge(cursor=place.cursor(), node=row_error(row, hidden)) for place, row in page.entries]
        return RowErrorConnection(edges=edges, page_info=page_info(page, after), total_count=page.total)

    @strawberry.field(
        description="The row errors so far in groups of one field and one code, the largest first, and 100 at most."
    )
    async def error_groups(self, info: Info[Context, None]) -> list[ErrorGroup] | None:
        found = await sync_to_async(groups.error_groups)(self.stored)
        hidden = await sync_to_async(hidden_contents)(user_of(info), self.stored)
        return [error_group(one, hidden) for one in found]

    @strawberry.field(description="What became of each row, in input order.")
    async def results(
        self, info: Info[Context, None], first: First = ENTRIES, after: After = None
    ) -> RowResultConnection | None:
        page = await sync_to_async(results.result_page)(self.stored, given(first, ENTRIES), after)
        hidden = await sync_to_async(hidden_contents)(user_of(info), self.stored)
        edges = [RowResultEdge(cursor=place.cursor(), node=row_result(row, hidden)) for place, row in page.entries]
        return RowResultConnection(edges=edges, page_info=page_info(page, after), total_count=page.total)

    @strawberry.field(description="Webhooks that are sent at its end, and their results.")
    async def deliveries(self) -> list[Delivery] | None:
        return await sync_to_async(deliveries_of)(self.stored)

    @strawberry.field(
        description="The failed rows as they were sent, to be fixed and sent again, and the results of all rows; for "
        "an export, its files. Empty until the operation is over."
    )
    async def files(self, info: Info[Context, None]) -> list[OperationFile] | None:
        # It may have ended since the moment that the other fields tell of.
        if self.state not in State.final():
            return []
        return await sync_to_async(operation_files)(self.stored, info.context.base_url, user_of(info))


def application_of(plan: Operation) -> strawberry.ID | None:
    """The id of the operation that applied a plan."""
    found = Operation.objects.filter(applied_from=plan).values_list("pk", flat=True).first()
    return None if found is None else strawberry.ID(str(found))


def operation_files(operation: Operation, base_url: str, user: User) -> list[OperationFile]:
    """An operation's files, with fresh links; none where some of its rows are not the user's to read."""
    found: list[OperationFile] = []
    if hidden_contents(user, operation):
        return found
    for download in downloads(operation.pk):
        signature, expires_at = signatures.sign(operation.pk, download.name)
        found.append(
            OperationFile(
                name=download.name,
                format=FileFormat(download.format),
                url=base_url + reverse("bulkql:file", args=[operation.pk, signature, download.name]),
                rows=BigInt(download.rows),
                bytes=None if download.kept is None else BigInt(download.kept.size),
                expires_at=expires_at,
            )
        )
    return found


def resource_counts(operation: Operation) -> list[ResourceCounts]:
    """The counts of an operation by resource: those that a sync deletes are an input of their own."""
    found: dict[str, ResourceCounts] = {}
    for one in Input.objects.filter(operation=operation).order_by("position"):
        counts = totals.counts_of(one)
        new = ResourceCounts(resource=one.resource, total=one.total, processed=sum(counts.values()), **counts)
        found[one.resource] = new if one.resource not in found else added(found[one.resource], new)
    return list(found.values())


def added(first: ResourceCounts, second: ResourceCounts) -> ResourceCounts:
    """The counts of two inputs of one resource."""
    total = None if first.total is None or second.total is None else first.total + second.total
    sums = {name: getattr(first, name) + getattr(second, name) for name in ("processed", *totals.COUNTS)}
    return ResourceCounts(resource=first.resource, total=total, **sums)


def bulk_operation(operation: Operation, progress: Progress) -> BulkOperation:
    """An operation as stored, with totals that may be newer."""
    seconds = elapsed(progress)
    speed = progress.processed / seconds if seconds else None
    return BulkOperation(
        id=strawberry.ID(str(operation.id)),
        kind=Verb(operation.verb),
        state=progress.state,
        total=progress.total,
        processed=progress.processed,
        **{name: getattr(progress, name) for name in totals.COUNTS},
        percentage=round(100 * progress.processed / progress.total, 2) if progress.total else None,
        rows_per_second=round(speed, 1) if speed else None,
        eta_seconds=eta(progress, speed),
        message=progress.message or None,
        label=operation.label or None,
        on_error=OnError(operation.on_error),
        dry_run=operation.dry_run,
        start_at=operation.start_at,
        max_rows_per_second=operation.max_rows_per_second,
        created_at=operation.created_at,
        started_at=progress.started_at,
        finished_at=progress.finished_at,
        created_by=operation.created_by.get_username() if operation.created_by is not None else None,
        retry_of=strawberry.ID(str(operation.retry_of_id)) if operation.retry_of_id is not None else None,
        revert_of=strawberry.ID(str(operation.revert_of_id)) if operation.revert_of_id is not None else None,
        applied_from=strawberry.ID(str(operation.applied_from_id)) if operation.applied_from_id is not None else None,
        plan_until=plan_until(progress.finished_at) if is_plan(operation, progress) else None,
        stored=operation,
    )


def is_plan(operation: Operation, progress: Progress) -> bool:
    """Whether it can be applied, in its time."""
    return operation.is_plan and progress.state == State.COMPLETED


def eta(progress: Progress, speed: float | None) -> float | None:
    """Seconds until the end, at the speed so far; 0 when it is over."""
    if progress.is_final:
        return 0.0
    if not speed or progress.total is None:
        return None
    return round((progress.total - progress.processed) / speed, 1)


def elapsed(progress: Progress) -> float:
    """Seconds that an operation has been running."""
    if progress.started_at is None:
        return 0.0
    until = progress.finished_at or datetime.datetime.now(datetime.UTC)
    return max((until - progress.started_at).total_seconds(), 0.001)


def snapshot(operation: Operation) -> BulkOperation:
    """An operation as the database has it now."""
    return bulk_operation(operation, totals.progress(operation.pk))


def committed(operation: Operation) -> BulkOperation:
    """The same of one that has just been stored: who asked for it learns its id, even if its totals cannot be read."""
    try:
        return snapshot(operation)
    except django.db.Error as error:
        logger.warning("operation %s: its totals were not read, %s", operation.pk, place_of(error))
        return bulk_operation(operation, totals.at_first(operation))
