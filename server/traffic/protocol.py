"""uvicorn's protocols, but that a client which does not read, or never ends its headers, is cut off.

And a websocket's application may say how long a message of its client is allowed to be.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from bulkql.workers.conf import limits

#: In the scope of a websocket: a function that limits the bytes of a message, and of one that is not ended.
LIMIT_MESSAGES = "bulkql.limit_messages"
#: Bytes of a URL and headers, as with uvicorn's other parser (h11). A buffer of the event loop may come on top.
HEAD_BYTES = 64 * 1024
TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: 31\r\nconnection: close\r\n\r\n"
    b"The URL or headers are too long"
)


class PatientProtocol(HttpToolsProtocol):
    """Waits so long for a client to read, or for its headers, and no longer.

    What is unread is in memory, and its request, which waits to send the rest, keeps its user's share. Only aborting
    ends that: a connection that is closed first sends what it has. Headers are in memory too, and nobody knows yet
    whose they are.
    """

    _cut: asyncio.TimerHandle | None = None
    _head_timer: asyncio.TimerHandle | None = None
    #: Bytes of which the parser has told nothing: of a head, or of what follows the last piece of a body.
    _untold = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        self._untold += len(data)
        super().data_received(data)
        if self._untold > HEAD_BYTES and not self.transport.is_closing():
            self._refuse()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._untold = 0
        self._stop_awaiting_head()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._untold = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._untold = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        # 48 KiB have to be read in that time: what the buffer has above its low-water mark.
        self._cut = self.loop.call_later(limits().stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_waiting()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_awaiting_head()
        super().connection_lost(exc)

    def _refuse(self) -> None:
        if self._is_answering():
            self.transport.abort()
        else:
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def _is_answering(self) -> bool:
        """Whether an earlier request of the connection is still being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        self._stop_awaiting_head()
        self._head_timer = self.loop.call_later(limits().stall_seconds, self._give_up)

    def _give_up(self) -> None:
        if self._is_answering():
            self._await_head()
        else:
            self.transport.close()

    def _stop_awaiting_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_waiting(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None


class LimitedSocket(WebSocketsSansIOProtocol):
    """Lets the application limit what is kept of a message until its last byte has come: by then it is in memory."""

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            scope: Any = self.scope
            scope[LIMIT_MESSAGES] = self._limit

    def _limit(self, size: int) -> None:
        """No more than this, and never more than the server allows."""
        self.conn.max_message_size = min(size, self.config.ws_max_size)
