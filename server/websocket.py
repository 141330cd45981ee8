"""Websockets on the path of our GraphQL view -> the consumer; all else -> the project's own application."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import Any

import redis
from channels.sessions import CookieMiddleware
from django.conf import settings
from django.core.handlers.asgi import get_script_prefix
from django.urls import set_script_prefix

from bulkql.server.door.paths import match_of
from bulkql.server.graphql import GraphQLConsumer, served_schema


class Websocket:
    """An ASGI application around another, which need not know of websockets."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            await self._application(scope, receive, send)
        elif is_graphql(scope):
            await self._consume(scope, receive, to_who_is_there(send))
        else:
            await self._elsewhere(scope, receive, send)

    async def _consume(self, scope: Any, receive: Any, send: Any) -> None:
        """A websocket of ours. The first that comes after Redis was started again meets a dead connection, once."""
        is_begun = False

        async def receive_and_note() -> Any:
            nonlocal is_begun
            is_begun = True
            return await receive()

        try:
            await self._consumer(scope, receive_and_note, send)
        except redis.ConnectionError:
            if is_begun:
                raise
            await self._consumer(scope, receive, send)

    async def _elsewhere(self, scope: Any, receive: Any, send: Any) -> None:
        """A websocket of the project's, or of nobody's: Django, and Channels' router, raise ValueError for those."""
        is_answered = False

        async def send_and_note(message: Any) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        try:
            await self._application(scope, receive, send_and_note)
        except ValueError:
            if is_answered:
                raise
            await send({"type": "websocket.close"})  # before it was accepted: 403

    @cached_property
    def _consumer(self) -> Any:
        # Built at the first connection: a project's asgi.py is imported by tools that need no schema.
        # The consumer compares a browser's Origin with the host by itself. Channels' validator would also turn away
        # scripts, which send none and have no cookies that a foreign page could ride on.
        origins = [*settings.CSRF_TRUSTED_ORIGINS, *getattr(settings, "BULKQL_ORIGINS", [])]
        consumer = GraphQLConsumer.as_asgi(schema=served_schema(), allowed_origins=origins)
        return CookieMiddleware(consumer)


def to_who_is_there(send: Any) -> Any:
    """A `send` that is no error where the client has gone: who has seen the last event seldom waits for the last frame.

    That of a server raises a kind of OSError, and the consumer hears of it by a message:
    https://asgi.readthedocs.io/en/latest/specs/www.html#disconnected-client-send-exception
    """

    async def send_if_there(message: Any) -> None:
        with suppress(OSError):
            await send(message)

    return send_if_there


def is_graphql(scope: Any) -> bool:
    """Whether a websocket asks for the path under which the project has included our URLs."""
    # Django does this for each HTTP request; the urls that answers name depend on it.
    set_script_prefix(get_script_prefix(scope))
    match = match_of(scope)
    return match is not None and match.url_name == "graphql"
