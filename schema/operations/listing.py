"""Operations as they are found again: one by its id, or pages of them, filtered and in an order."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from strawberry.relay import PageInfo
from strawberry.types import Info

from bulkql.schema.context import Context, user_of
from bulkql.schema.enums import State, Verb
from bulkql.schema.operations.order import OperationOrder, Place, ordering
from bulkql.schema.operations.outcomes import After, First, given
from bulkql.schema.permissions import is_staff, plans_to_apply, readable_operation, visible_operations
from bulkql.schema.types import BulkOperation, snapshot
from bulkql.workers.columns.cleaning import in_utc
from bulkql.workers.errors import BadInput, refusals_named
from bulkql.workers.intake.checks import check_text, exceeds
from bulkql.workers.models import Operation

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@strawberry.input(description="Which operations: those that meet all that is given.")
class OperationFilter:
    state: list[State] | None = strawberry.field(default=None, description="In one of these states.")
    kind: list[Verb] | None = strawberry.field(default=None, description="Of one of these kinds.")
    resource: str | None = strawberry.field(default=None, description="With rows of the resource of this name.")
    label: str | None = strawberry.field(default=None, description="With exactly this label.")
    label_contains: str | None = strawberry.field(default=None, description="With this text in the label.")
    created_after: datetime | None = strawberry.field(default=None, description="Accepted at this time or later.")
    created_before: datetime | None = strawberry.field(default=None, description="Accepted before this time.")
    finished_after: datetime | None = strawberry.field(default=None, description="Ended at this time or later.")
    finished_before: datetime | None = strawberry.field(default=None, description="Ended before this time.")
    created_by: str | None = strawberry.field(default=None, description="Sent by the user of this name.")
    dry_run: bool | None = strawberry.field(default=None, description="Whether it is a dry run.")


@strawberry.type(description="An operation and its cursor.")
class BulkOperationEdge:
    cursor: str = strawberry.field(description="The cursor, for `after`.")
    node: BulkOperation = strawberry.field(description="The operation.")


@strawberry.type(description="A page of operations.")
class BulkOperationConnection:
    edges: list[BulkOperationEdge] = strawberry.field(description="The operations with their cursors.")
    page_info: PageInfo = strawberry.field(description="Where the page begins and ends, and whether there are others.")
    total_count: int = strawberry.field(description="The number of operations that match the filters.")


#: The operations of a page where nobody says how many.
OPERATIONS = 20

Id = Annotated[strawberry.ID, strawberry.argument(description="The operation's id.")]
Filters = Annotated[OperationFilter | None, strawberry.argument(description="Which operations; by default all.")]
Order = Annotated[
    OperationOrder | None, strawberry.argument(description="In which order; a cursor is valid only for the same order.")
]


@strawberry.type
class OperationQuery:
    @strawberry.field(description="One operation: your own, a plan that you may apply, or for staff any operation.")
    async def operation(self, info: Info[Context, None], id: Id) -> BulkOperation:
        return await sync_to_async(lambda: snapshot(readable_operation(user_of(info), id)))()

    @strawberry.field(
        description="Your operations; for staff, all operations. With dryRun: true also plans of others that you may "
        "apply."
    )
    async def operations(
        self,
        info: Info[Context, None],
        filters: Filters = None,
        order: Order = OperationOrder.CREATED_AT_DESC,
        first: First = OPERATIONS,
        after: After = None,
    ) -> BulkOperationConnection:
        return await sync_to_async(operations_page)(
            user_of(info), filters, order or OperationOrder.CREATED_AT_DESC, given(first, OPERATIONS), after
        )


def operations_page(
    user: User, filters: OperationFilter | None, order: OperationOrder, first: int, after: str | None
) -> BulkOperationConnection:
    """A page of the operations that a user may see; raises BadInput, LimitExceeded."""
    exceeds("page_rows", "operations in a page", first, "ask for fewer")
    if first < 0:
        raise BadInput(f"first is {first}; a page has no negative number of operations.")
    filters = filters or OperationFilter()
    visible = visible_operations(user)
    if filters.dry_run and not is_staff(user):
        visible = visible | plans_to_apply(user, Operation.objects.select_related("created_by"))
    chosen = narrowed(visible, filters)
    rest = chosen if after is None else chosen.filter(Place.of(after, order).is_behind())
    found = list(rest.order_by(*ordering(order))[: first + 1])
    edges = [edge(operation, order) for operation in found[:first]]
    page = PageInfo(
        has_next_page=len(found) > first,
        has_previous_page=after is not None,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )
    return BulkOperationConnection(edges=edges, page_info=page, total_count=chosen.count())


def narrowed(operations: QuerySet[Operation], filters: OperationFilter) -> QuerySet[Operation]:
    """Those of the operations that meet all filters; null says nothing. Raises BadInput."""
    check_text("resource", filters.resource or "")
    check_text("label", filters.label or "")
    check_text("labelContains", filters.label_contains or "")
    check_text("createdBy", filters.created_by or "")
    conditions = {
        "state__in": filters.state,
        "verb__in": filters.kind,
        # One input a resource: this join doubles no operation.
        "inputs__resource": filters.resource,
        "label": filters.label,
        "label__contains": filters.label_contains,
        "created_at__gte": moment("createdAfter", filters.created_after),
        "created_at__lt": moment("createdBefore", filters.created_before),
        "finished_at__gte": moment("finishedAfter", filters.finished_after),
        "finished_at__lt": moment("finishedBefore", filters.finished_before),
        f"created_by__{get_user_model().USERNAME_FIELD}": filters.created_by,
        "dry_run": filters.dry_run,
    }
    with refusals_named("filters"):
        return operations.filter(**{lookup: value for lookup, value in conditions.items() if value is not None})


def moment(name: str, given: datetime | None) -> datetime | None:
    """A time without an offset is one of the service's time zone. Raises BadInput.

    In UTC: PostgreSQL takes no offset of 16 hours, and ISO 8601 has some of 23.
    """
    if given is None:
        return None
    try:
        found: datetime = in_utc(given)
    except (OverflowError, ValueError):
        raise BadInput(f"`{name}` is {given.isoformat()}, which is not within the years 1 to 9999 in UTC.") from None
    return found


def edge(operation: Operation, order: OperationOrder) -> BulkOperationEdge:
    place = Place(order, getattr(operation, order.column), operation.id)
    return BulkOperationEdge(cursor=place.cursor(), node=snapshot(operation))
