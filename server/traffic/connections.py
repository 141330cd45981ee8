"""HTTP requests -> Django, which gives its database connection back before a client reads, and waits for no client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from http import HTTPStatus
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections, transaction
from django.http import HttpRequest

from bulkql.workers.conf import limits

#: In the scope of a request: what its user holds until the answer is read, or its client has gone.
HELD = "bulkql.held"


def commits_itself(view: Callable[..., Any]) -> Callable[..., Any]:
    """The same view, which ATOMIC_REQUESTS leaves alone, in whichever database.

    Our views begin and commit their transactions themselves: an answer must not be sent before its operation is
    committed. Besides, Django refuses to wrap async views.
    """
    for alias in settings.DATABASES:
        view = transaction.non_atomic_requests(alias)(view)
    return view


class Stalled(Exception):
    """Nothing of the body came for too long."""


class Connections:
    """An ASGI application around Django's."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        is_whole = False

        async def receive_in_time() -> Any:
            nonlocal is_whole
            if is_whole:  # what comes now is the news that the client has gone
                return await receive()
            try:
                async with asyncio.timeout(limits().stall_seconds):
                    message = await receive()
            except TimeoutError:
                raise Stalled from None
            is_whole = not message.get("more_body", False)
            return message

        async def send_without_connection(message: Any) -> None:
            if message["type"] == "http.response.start":
                # A client that does not read would keep it for as long as it likes.
                await sync_to_async(close_old_connections)()
            await send(message)

        async with AsyncExitStack() as held:
            try:
                await self._application({**scope, HELD: held}, receive_in_time, send_without_connection)
            except Stalled:
                # The rest of the body may come at any time: uvicorn closes the connection over it.
                headers = [(b"connection", b"close")]
                await send({"type": "http.response.start", "status": HTTPStatus.REQUEST_TIMEOUT, "headers": headers})
                await send({"type": "http.response.body"})


async def hold(request: HttpRequest, share: AbstractContextManager[None] | AbstractAsyncContextManager[None]) -> None:
    """Hold a share until the request's answer is read; raises TooManyAtOnce.

    Without this application around Django nobody would tell when that is, so there are no shares.
    """
    held: AsyncExitStack | None = getattr(request, "scope", {}).get(HELD)
    if held is None:
        return
    if isinstance(share, AbstractAsyncContextManager):
        await held.enter_async_context(share)
    else:
        held.enter_context(share)
