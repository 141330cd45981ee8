"""Bodies of requests -> memory, for as many bytes at once as one request may have; the others wait on disk.

A megabyte of JSON takes ten or more as values, as a frame and as a chunk. Django has spooled a body to a file by the
time that its view is called, so one that waits takes nothing.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache

from django.http import HttpRequest

from bulkql.schema.checks.weight import in_thread
from bulkql.workers.conf import limits

#: In the scope of a request: a function that tells how many bytes of its body have come.
BODY_BYTES = "bulkql.body_bytes"
#: What is smaller waits for nobody.
UNIT_BYTES = 1024 * 1024


class Room:
    """The memory of a process, in units. Whoever comes first goes first: small bodies do not keep out a large one."""

    def __init__(self, size: int) -> None:
        self._units = max(1, size // UNIT_BYTES)
        self._free = asyncio.Semaphore(self._units)
        self._line = asyncio.Lock()

    @asynccontextmanager
    async def taken(self, size: int) -> AsyncIterator[None]:
        """Room for so many bytes, once there is some. However large, one alone is served."""
        async with AsyncExitStack() as held:
            if units := min(size // UNIT_BYTES, self._units):
                async with self._line:
                    for _ in range(units):
                        await held.enter_async_context(self._free)
            try:
                yield
            finally:
                if units:
                    await in_thread(give_back)


def give_back() -> None:
    """Have the allocator give the system what is free: it keeps hundreds of megabytes, a part for each thread."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


@cache
def room() -> Room:
    """That of this process."""
    return Room(limits().request_bytes)


def body_bytes(request: HttpRequest) -> int:
    """The size of a request's body; 0 without the application that counts (server/bodies.py)."""
    count = getattr(request, "scope", {}).get(BODY_BYTES)
    return count() if count is not None else 0
