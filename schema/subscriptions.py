"""Live progress: a snapshot first, then totals that never go back, then the final state, then completion."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry
from asgiref.sync import sync_to_async
from strawberry.types import Info

from schema.context import Context, user_of
from schema.permissions import operation_for
from schema.types import BulkOperation, bulk_operation
from workers import ledger
from workers.conf import limits
from workers.errors import BadInput
from workers.ledger import Progress
from workers.models import Operation
from workers.progress import MESSAGE_TYPE, from_message, group_of

Id = Annotated[strawberry.ID, strawberry.argument(description="The operation's id.")]


@strawberry.type(description="What can be watched.")
class Subscription:
    @strawberry.subscription(description="An operation's totals as they grow, to the last.")
    async def operation(self, info: Info[Context, None], id: Id) -> AsyncGenerator[BulkOperation, None]:
        operation = await sync_to_async(operation_for)(user_of(info), id)
        async for progress in watch(info, operation):
            yield bulk_operation(operation, progress)


async def watch(info: Info[Context, None], operation: Operation) -> AsyncGenerator[Progress, None]:
    """An operation's progress until it is over: each newer than the one before, and not too many of them.

    Redis delivers at most once. So after a moment of silence the totals are read from the database again, which is
    also how a subscriber that comes late gets its snapshot.
    """
    consumer = info.context.consumer
    if consumer is None:
        raise BadInput("Subscribe over a websocket: graphql-transport-ws on /graphql.")
    sequence = -1
    while True:
        # Join first, read then: what happens in between comes twice, and is told once.
        async with consumer.listen_to_channel(
            MESSAGE_TYPE, groups=[group_of(operation.pk)], timeout=limits().reread_seconds
        ) as messages:
            progress = await sync_to_async(ledger.progress)(operation.pk)
            if progress.sequence > sequence:
                yield progress
                sequence, sent_at = progress.sequence, time.monotonic()
            if progress.is_final:
                return
            async for message in messages:
                # The consumer hears of every operation that one of its subscriptions watches.
                if message["operation_id"] != str(operation.pk) or message["sequence"] <= sequence:
                    continue
                progress = from_message(message)
                if not progress.is_final and time.monotonic() - sent_at < 1 / limits().events_per_second:
                    continue
                yield progress
                sequence, sent_at = progress.sequence, time.monotonic()
                if progress.is_final:
                    return
