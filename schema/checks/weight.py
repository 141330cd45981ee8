"""Requests whose parsing and coercion would stop the event loop -> a loop of their own, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import close_old_connections

Answer = TypeVar("Answer")

#: Characters of a query that is not known yet, up to which parsing and validating it takes a few milliseconds.
LIGHT_TEXT = 2_000
#: Values in the variables, up to which coercing them takes about a millisecond.
LIGHT_VALUES = 2_000
#: Bytes of JSON that are decoded in well under a millisecond.
LIGHT_BYTES = 16 * 1024

# Few of them: each computes, and takes its share from the event loop; what waits for a thread waits in its order.
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="heavy")


def is_heavy(value: Any) -> bool:
    """Whether variables have more values than are light; looks no further than that."""
    count, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            count += len(one)
            if count > LIGHT_VALUES:
                return True
            waiting += one.values() if isinstance(one, dict) else one
    return False


async def in_thread(function: Callable[..., Answer], *arguments: Any) -> Answer:
    """What a function gives that would stop the event loop."""
    call = partial(copy_context().run, function, *arguments)
    return await asyncio.get_running_loop().run_in_executor(_threads, call)


async def apart(start: Callable[[], Awaitable[Answer]]) -> Answer:
    """What a coroutine gives, run to its end in a thread: its parts that do not wait stop nobody."""

    async def run() -> Answer:
        # The request's own thread for the database, as Django's handler makes it; under WSGI there is none yet.
        async with ThreadSensitiveContext():
            try:
                return await start()
            finally:
                await sync_to_async(close_old_connections)()

    return await in_thread(lambda: asyncio.run(run()))
