"""uvicorn's HTTP protocol, but that a client which does not read is cut off."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bulkql.workers.conf import limits


class PatientProtocol(HttpToolsProtocol):
    """Waits so long for a client to read, and no longer.

    What is unread is in memory, and its request, which waits to send the rest, keeps its user's share. Only aborting
    ends that: a connection that is closed first sends what it has.
    """

    _cut: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        # 48 KiB have to be read in that time: what the buffer has above its low-water mark.
        self._cut = self.loop.call_later(limits().stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_waiting()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None
