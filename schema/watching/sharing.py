"""Many who watch the same -> one execution, whose results all of them are sent.

A thousand pages that watch an operation ask the same of it. Executing a query a thousand times for each event takes
longer than the event's chunk took to be written.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import aclosing
from functools import lru_cache
from typing import Any

from graphql import FieldNode, GraphQLError, OperationDefinitionNode, OperationType, parse
from strawberry.schema.schema import StreamResult

from bulkql.schema.checks.documents import CHARACTERS, TEXTS
from bulkql.schema.context import Context

Start = Callable[[], Awaitable[StreamResult]]

#: The subscription whose newest result alone tells all that the earlier ones did.
WATCH = "operation"


class Broadcast:
    """One execution of a subscription. It begins with its first listener, and ends with its last."""

    def __init__(self, key: Hashable, start: Start) -> None:
        self._key = key
        self._newest: Any = None
        self._number = 0
        self._news = asyncio.Event()
        self._listeners = 0
        self._task = asyncio.create_task(self._run(start))
        self._task.add_done_callback(lambda _: self._end())

    async def listen(self) -> AsyncGenerator[Any, None]:
        """The newest result at once, then those that follow; a slow listener misses some of them, not the last."""
        self._listeners += 1
        number = 0
        try:
            while True:
                news = self._news
                if self._number > number:
                    number = self._number
                    yield self._newest
                elif self._task.done():
                    self._task.result()
                    return
                else:
                    await news.wait()
        finally:
            self._listeners -= 1
            if self._listeners == 0:
                self._task.cancel()
                self._forget()

    async def _run(self, start: Start) -> None:
        async with aclosing(await start()) as results:
            async for result in results:
                self._newest = result
                self._number += 1
                self._wake()

    def _end(self) -> None:
        # Who comes now begins anew, with a reading of the database.
        self._forget()
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _forget(self) -> None:
        if _broadcasts.get(self._key) is self:
            del _broadcasts[self._key]


_broadcasts: dict[Hashable, Broadcast] = {}


def shared(key: Hashable, start: Start) -> StreamResult:
    """The results of the execution that `start` begins, or of one that began before."""
    broadcast = _broadcasts.get(key)
    if broadcast is None:
        broadcast = _broadcasts[key] = Broadcast(key, start)
    return broadcast.listen()


def key_of(query: str | None, variables: Any, context: Any, name: str | None) -> Hashable | None:
    """What subscriptions have in common that are sent the same; None for what is not shared.

    Only one user's are shared: what somebody may see is asked once, for the first of them.
    """
    is_users = isinstance(context, Context) and context.user is not None
    if not is_users or query is None or len(query) > CHARACTERS or not watches_one(query, name):
        return None
    return context.user.pk, context.base_url, query, name, json.dumps(variables, sort_keys=True)


@lru_cache(maxsize=TEXTS)
def watches_one(query: str, name: str | None) -> bool:
    """Whether a text is the subscription to one operation, and nothing else."""
    try:
        definitions = parse(query, no_location=True).definitions
    except (GraphQLError, RecursionError):
        return False
    found = [one for one in definitions if isinstance(one, OperationDefinitionNode)]
    if name is not None:
        found = [one for one in found if one.name is not None and one.name.value == name]
    if len(found) != 1 or found[0].operation != OperationType.SUBSCRIPTION:
        return False
    match found[0].selection_set.selections:
        case [FieldNode(name=field)]:
            return field.value == WATCH
    return False
