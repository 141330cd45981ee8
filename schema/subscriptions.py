"""Live progress: a snapshot first, then totals that never go back, then the final state, then completion."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import redis
import strawberry
from channels.db import database_sync_to_async
from django.db.models import Q
from strawberry.types import Info

from bulkql.schema.checks.documents import way_to_subscribe
from bulkql.schema.context import Context, user_of
from bulkql.schema.permissions import readable_operation, user_now
from bulkql.schema.types import BulkOperation, bulk_operation
from bulkql.schema.watching.readings import read_totals
from bulkql.workers.conf import limits
from bulkql.workers.errors import BadInput
from bulkql.workers.ledger import totals
from bulkql.workers.ledger.totals import Progress
from bulkql.workers.messaging.events import from_message, group_of, group_of_owner
from bulkql.workers.messaging.servers import layer
from bulkql.workers.models import Operation

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Id = Annotated[strawberry.ID, strawberry.argument(description="The operation's id.")]


@strawberry.type(description="Everything that can be watched.")
class Subscription:
    @strawberry.subscription(description="An operation's totals as they grow, until its end.")
    async def operation(self, info: Info[Context, None], id: Id) -> AsyncGenerator[BulkOperation, None]:
        watcher = Watcher(info)
        operation = await database_sync_to_async(readable_operation)(watcher.user, id)
        async for progress in watch(operation):
            await watcher.check(id)
            yield bulk_operation(operation, progress)

    @strawberry.subscription(description="The totals of all your operations, current and future ones, as they grow.")
    async def operations(self, info: Info[Context, None]) -> AsyncGenerator[BulkOperation, None]:
        watcher = Watcher(info)
        async for operation, progress in watch_all(watcher.user):
            await watcher.check(str(operation.pk))
            yield bulk_operation(operation, progress)


class Watcher:
    """Who listens to a subscription, asked again before what is told, once in BULKQL_AUTHORITY_SECONDS.

    Many sockets of one user may share what follows (schema/watching/sharing.py): who of them is signed in is their own
    affair, and what the user may see is everybody's.
    """

    def __init__(self, info: Info[Context, None]) -> None:
        """Raises BadInput over HTTP, Unauthenticated."""
        check_websocket(info)
        self.user = user_of(info)
        self._context = info.context
        self._asked_at = time.monotonic()

    async def check(self, operation_id: str) -> None:
        """Whether the operation may still be told of; raises Unauthenticated, NotFound."""
        if time.monotonic() - self._asked_at < limits().authority_seconds:
            return
        self.user = await database_sync_to_async(self._user_now)(operation_id)
        # What is selected of the operation asks this user's permissions, and Django keeps them with the object.
        self._context.user = self.user
        self._asked_at = time.monotonic()

    def _user_now(self, operation_id: str) -> User:
        user = user_now(self.user)
        readable_operation(user, operation_id)
        return user


#: Operations that are over and that a subscriber to all of them remembers.
KEPT_ENDS = 1_000


@dataclass
class Told:
    """What a subscriber knows: totals never go back, and do not come too often."""

    sequence: int = -1
    message: str = ""
    at: float = 0.0
    is_over: bool = False
    #: Read once: whether it may still be seen is asked elsewhere, and its totals come with the progress.
    operation: Operation | None = None

    def pause(self) -> float:
        """Seconds until more may be told."""
        return max(self.at + 1 / limits().events_per_second - time.monotonic(), 0)

    def is_news(self, progress: Progress) -> bool:
        """Whether totals are newer than those that were told, in which case they are told now."""
        if not is_newer(progress, self):
            return False
        self.sequence, self.message = progress.sequence, progress.message
        self.at, self.is_over = time.monotonic(), progress.is_final
        return True


def is_newer(progress: Progress, known: Told | Progress) -> bool:
    """Whether totals have grown, or another thing is said of them: while an operation waits, nothing grows."""
    is_said = progress.sequence == known.sequence and progress.message != known.message
    return progress.sequence > known.sequence or is_said


async def watch(operation: Operation) -> AsyncGenerator[Progress, None]:
    """An operation's progress until it is over.

    Redis delivers at most once, or not at all while it is away. So after a moment of silence the totals are read from
    the database again, which is also how a subscriber that comes late gets its snapshot.
    """
    told = Told()
    while not told.is_over:
        try:
            # Join first, read then: what happens in between comes twice, and is told once.
            async with heard(group_of(operation.pk)) as queue:
                news: Progress | None = await read_totals(operation.pk)
                while news is not None:
                    if told.is_news(news):
                        yield news
                    if told.is_over:
                        return
                    news = await newest(queue, told)
        except (redis.RedisError, OSError):
            await asyncio.sleep(limits().reread_seconds)
            if told.is_news(progress := await read_totals(operation.pk)):
                yield progress


async def newest(queue: asyncio.Queue[Progress], told: Told) -> Progress | None:
    """The next totals that may be told, the end at once; None after a moment of silence."""
    news: Progress | None = None
    while True:
        patience = limits().reread_seconds if news is None else told.pause()
        try:
            # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with an item, and who has
            # unsubscribed would be told on.
            async with asyncio.timeout(patience):
                progress = await queue.get()
        except TimeoutError:
            return news
        if is_newer(progress, told if news is None else news):
            news = progress
        if news is not None and (news.is_final or not told.pause()):
            return news


async def watch_all(user: User) -> AsyncGenerator[tuple[Operation, Progress], None]:
    """The progress of all of a user's operations, for as long as the subscriber listens."""
    told: dict[UUID, Told] = {}
    while True:
        forget_oldest(told)
        try:
            async with heard(group_of_owner(str(user.pk))) as queue:
                unfinished = [operation_id for operation_id, one in told.items() if not one.is_over]
                for operation, progress in await database_sync_to_async(at_work)(user, unfinished):
                    one = told.setdefault(operation.pk, Told(operation=operation))
                    if one.is_news(progress):
                        yield operation, progress
                while True:
                    async with asyncio.timeout(limits().reread_seconds):
                        progress = await queue.get()
                    one = told.setdefault(progress.operation_id, Told())
                    # What is left out here, later totals or the next reading tell.
                    if (progress.is_final or not one.pause()) and one.is_news(progress):
                        operation = one.operation or await database_sync_to_async(readable_operation)(
                            user, str(progress.operation_id)
                        )
                        one.operation = None if one.is_over else operation
                        yield operation, progress
        except TimeoutError:
            continue
        except (redis.RedisError, OSError):
            await asyncio.sleep(limits().reread_seconds)


def forget_oldest(told: dict[UUID, Told]) -> None:
    """Keep the last of those that are over, whose late messages are no news; a subscriber may listen for weeks."""
    over = [operation_id for operation_id, one in told.items() if one.is_over]
    for operation_id in over[:-KEPT_ENDS]:
        del told[operation_id]


#: The loop itself holds tasks weakly.
_members: set[asyncio.Task[None]] = set()


@asynccontextmanager
async def heard(group: str) -> AsyncIterator[asyncio.Queue[Progress]]:
    """The progress that is published to a group from now on; raises redis.RedisError, OSError."""
    queue: asyncio.Queue[Progress] = asyncio.Queue()
    joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    # A subscriber is cancelled at any moment, and a call of Redis must not be: in Python 3.11 the asyncio.wait_for in
    # redis-py swallows a cancellation, and whoever has unsubscribed would be told on for ever. Where it does not,
    # redis-py closes the connection, which all subscribers share.
    member = asyncio.create_task(belong(group, queue, joined, left))
    _members.add(member)
    member.add_done_callback(dismiss)
    try:
        await asyncio.wait([member, joined], return_when=asyncio.FIRST_COMPLETED)
        if member.done():
            member.result()
        yield queue
    finally:
        left.cancel()


async def belong(
    group: str, queue: asyncio.Queue[Progress], joined: asyncio.Future[None], left: asyncio.Future[None]
) -> None:
    """Be a member of a group, from when `joined` is done until `left` is."""
    progress_layer = layer()
    with redis_faults():
        channel = await progress_layer.new_channel()

    async def listen() -> None:
        while True:
            queue.put_nowait(from_message(await progress_layer.receive(channel)))

    # The layer forgets a channel whose receiver is cancelled, once it has begun.
    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    try:
        with redis_faults():
            await progress_layer.group_add(group, channel)
        joined.set_result(None)
        await asyncio.wait([left])
    finally:
        listening.cancel()
        with suppress(redis.RedisError, OSError), redis_faults():
            await progress_layer.group_discard(group, channel)


def dismiss(member: asyncio.Task[None]) -> None:
    """Forget one whose subscriber has left, and who alone would know of its error."""
    _members.discard(member)
    if not member.cancelled():
        member.exception()


@contextmanager
def redis_faults() -> Iterator[None]:
    """Where another task closes the connection in the middle, redis-py raises what is no error of Redis: it is one."""
    try:
        yield
    except (AttributeError, RuntimeError) as error:
        raise redis.ConnectionError("the connection was closed while it was used") from error


def at_work(user: User, known: list[UUID]) -> list[tuple[Operation, Progress]]:
    """A user's operations that are not over, and those of which the end was not told yet."""
    open_or_known = Q(finished_at=None) | Q(pk__in=known)
    found = Operation.objects.select_related("created_by").filter(open_or_known, created_by=user)
    return [(operation, totals.progress(operation.pk)) for operation in found.order_by("created_at")]


def check_websocket(info: Info[Context, None]) -> None:
    """Raises BadInput over HTTP."""
    if info.context.consumer is None:
        raise BadInput(way_to_subscribe())
