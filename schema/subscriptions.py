"""Live progress: a snapshot first, then totals that never go back, then the final state, then completion."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import redis
import strawberry
from channels.db import database_sync_to_async
from django.db.models import Q
from strawberry.types import Info

from schema.context import Context, user_of
from schema.permissions import operation_for
from schema.readings import totals
from schema.types import BulkOperation, bulk_operation
from workers import ledger
from workers.conf import limits
from workers.errors import BadInput
from workers.ledger import Progress
from workers.models import Operation
from workers.progress import MESSAGE_TYPE, from_message, group_of, group_of_owner

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from strawberry.channels import GraphQLWSConsumer

Id = Annotated[strawberry.ID, strawberry.argument(description="The operation's id.")]


@strawberry.type(description="What can be watched.")
class Subscription:
    @strawberry.subscription(description="An operation's totals as they grow, to the last.")
    async def operation(self, info: Info[Context, None], id: Id) -> AsyncGenerator[BulkOperation, None]:
        operation = await database_sync_to_async(operation_for)(user_of(info), id)
        async for progress in watch(info, operation):
            yield bulk_operation(operation, progress)

    @strawberry.subscription(description="All of your operations, those at work and those to come, as they grow.")
    async def operations(self, info: Info[Context, None]) -> AsyncGenerator[BulkOperation, None]:
        async for operation, progress in watch_all(info, user_of(info)):
            yield bulk_operation(operation, progress)


@dataclass
class Told:
    """What a subscriber knows: totals never go back, and do not come too often."""

    sequence: int = -1
    at: float = 0.0
    is_over: bool = False

    def is_news(self, progress: Progress) -> bool:
        """Whether to tell these totals; what is left out here, later ones or the next reading tell."""
        now = time.monotonic()
        is_soon = now - self.at < 1 / limits().events_per_second
        if progress.sequence <= self.sequence or (is_soon and not progress.is_final):
            return False
        self.sequence, self.at, self.is_over = progress.sequence, now, progress.is_final
        return True


async def watch(info: Info[Context, None], operation: Operation) -> AsyncGenerator[Progress, None]:
    """An operation's progress until it is over.

    Redis delivers at most once, or not at all while it is away. So after a moment of silence the totals are read from
    the database again, which is also how a subscriber that comes late gets its snapshot.
    """
    consumer = consumer_of(info)
    told = Told()
    silence = limits().reread_seconds
    while True:
        try:
            # Join first, read then: what happens in between comes twice, and is told once.
            groups = [group_of(operation.pk)]
            async with consumer.listen_to_channel(MESSAGE_TYPE, groups=groups, timeout=silence) as messages:
                progress = await totals(operation.pk)
                if told.is_news(progress):
                    yield progress
                if progress.is_final:
                    return
                async for message in messages:
                    progress = from_message(message)
                    # The consumer hears of every operation that one of its subscriptions watches.
                    if progress.operation_id != operation.pk or not told.is_news(progress):
                        continue
                    yield progress
                    if progress.is_final:
                        return
        except (redis.RedisError, OSError):
            await asyncio.sleep(silence)
            progress = await totals(operation.pk)
            if told.is_news(progress):
                yield progress
            if progress.is_final:
                return


async def watch_all(info: Info[Context, None], user: User) -> AsyncGenerator[tuple[Operation, Progress], None]:
    """The progress of all of a user's operations, for as long as the subscriber listens."""
    consumer = consumer_of(info)
    told: dict[UUID, Told] = {}
    silence = limits().reread_seconds
    while True:
        try:
            groups = [group_of_owner(user.pk)]
            async with consumer.listen_to_channel(MESSAGE_TYPE, groups=groups, timeout=silence) as messages:
                unfinished = [operation_id for operation_id, one in told.items() if not one.is_over]
                for operation, progress in await database_sync_to_async(at_work)(user, unfinished):
                    if told.setdefault(operation.pk, Told()).is_news(progress):
                        yield operation, progress
                async for message in messages:
                    progress = from_message(message)
                    if progress.owner_id != user.pk:
                        continue
                    if not told.setdefault(progress.operation_id, Told()).is_news(progress):
                        continue
                    yield await database_sync_to_async(operation_for)(user, str(progress.operation_id)), progress
        except (redis.RedisError, OSError):
            await asyncio.sleep(silence)


def at_work(user: User, known: list[UUID]) -> list[tuple[Operation, Progress]]:
    """A user's operations that are not over, and those of which the end was not told yet."""
    open_or_known = Q(finished_at=None) | Q(pk__in=known)
    found = Operation.objects.select_related("created_by").filter(open_or_known, created_by=user)
    return [(operation, ledger.progress(operation.pk)) for operation in found.order_by("created_at")]


def consumer_of(info: Info[Context, None]) -> GraphQLWSConsumer[Any, Any]:
    """The websocket's consumer; raises BadInput over HTTP."""
    if info.context.consumer is None:
        raise BadInput("Subscribe over a websocket: graphql-transport-ws on /graphql.")
    return info.context.consumer
