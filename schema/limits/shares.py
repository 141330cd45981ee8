"""What one user has at once in this process: requests, downloads, subscriptions, bytes of frames."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import TooManyAtOnce


@dataclass(slots=True)
class Share:
    """How many of something a user may have at once; more are refused."""

    #: The field of conf.Limits.
    limit: str
    what: str
    way_out: str
    _held: Counter[Any] = field(default_factory=Counter)

    @property
    def most(self) -> int:
        most: int = getattr(limits(), self.limit)
        return most

    def used(self, user_id: Any) -> int:
        return self._held[user_id]

    @contextmanager
    def taken(self, user_id: Any, amount: int = 1) -> Iterator[None]:
        """So many more of them, until they are over; raises TooManyAtOnce."""
        if self._held[user_id] + amount > self.most:
            raise TooManyAtOnce(
                f"{self._held[user_id] + amount:,} {self.what} exceed the limit of {self.most:,} "
                f"({setting_name(self.limit)}); {self.way_out}."
            )
        self._held[user_id] += amount
        try:
            yield
        finally:
            self._held[user_id] -= amount
            if not self._held[user_id]:
                del self._held[user_id]


@dataclass(slots=True)
class Line:
    """Requests wait for their turn, so that a client of many threads is slowed down, and not refused."""

    share: Share
    waiting: Share
    _turns: dict[Any, asyncio.Semaphore] = field(default_factory=dict)

    @asynccontextmanager
    async def turn(self, user_id: Any) -> AsyncIterator[None]:
        """The user's turn; raises TooManyAtOnce where too many wait."""
        turns = self._turns.setdefault(user_id, asyncio.Semaphore(self.share.most))
        try:
            with self.waiting.taken(user_id):
                await turns.acquire()
            try:
                with self.share.taken(user_id):
                    yield
            finally:
                turns.release()
        finally:
            if not self.share.used(user_id) and not self.waiting.used(user_id):
                self._turns.pop(user_id, None)


REQUESTS = Share("user_requests", "requests of yours at once", "wait for the others")
LINE = Line(REQUESTS, Share("user_requests_waiting", "requests of yours in line", "send fewer at once"))
DOWNLOADS = Share("user_downloads", "downloads of yours at once", "read one of them to its end first")
SUBSCRIPTIONS = Share("user_subscriptions", "subscriptions of yours at once", "end some of them first")
FRAMES = Share("user_frame_bytes", "bytes of your operations over websockets at once", "wait for some of them")
