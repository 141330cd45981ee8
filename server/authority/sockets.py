"""Open websockets -> closed with 4403, once what they showed is good no more."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from django.db import InterfaceError, OperationalError

from bulkql.server.authority.credentials import Credential
from bulkql.workers.conf import limits

logger = logging.getLogger("bulkql")


class Socket(Protocol):
    """An open websocket."""

    async def revoke(self) -> None:
        """Stop what it does, and close it."""


class OpenSockets:
    """The websockets of this process, by what they showed: a thousand of one token are asked about once."""

    def __init__(self) -> None:
        self._sockets: dict[Credential, set[Socket]] = {}
        self._rounds: asyncio.Task[None] | None = None

    def join(self, credential: Credential, socket: Socket) -> None:
        """From now on the socket is asked about every BULKQL_AUTHORITY_SECONDS."""
        self._sockets.setdefault(credential, set()).add(socket)
        if self._rounds is None or self._rounds.done():
            self._rounds = asyncio.create_task(self._ask_again_and_again())

    def leave(self, credential: Credential, socket: Socket) -> None:
        sockets = self._sockets.get(credential, set())
        sockets.discard(socket)
        if not sockets:
            self._sockets.pop(credential, None)

    async def _ask_again_and_again(self) -> None:
        while self._sockets:
            await asyncio.sleep(max(limits().authority_seconds, 1))
            for credential in list(self._sockets):
                try:
                    await self.ask(credential)
                except (OperationalError, InterfaceError):
                    # Nothing can be read or written for anybody now. The next round asks again.
                    break

    async def ask(self, credential: Credential) -> None:
        """Close the credential's sockets, unless it still stands for somebody."""
        user = await credential.user()
        if user is not None and user.is_authenticated:
            return
        for socket in self._sockets.pop(credential, ()):
            logger.info("a websocket is closed: what it signed in with is good no more")
            await socket.revoke()


open_sockets = OpenSockets()
