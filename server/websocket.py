"""Websockets on the path of our GraphQL view -> the consumer; all else -> the project's own application."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from channels.sessions import CookieMiddleware
from django.conf import settings
from django.core.handlers.asgi import get_script_prefix
from django.urls import NoReverseMatch, reverse, set_script_prefix

from bulkql.server.auth import Sessions
from bulkql.server.graphql import GraphQLConsumer, served_schema


class Websocket:
    """An ASGI application around another, which need not know of websockets."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        is_ours = scope["type"] == "websocket" and is_graphql(scope)
        await (self._consumer if is_ours else self._application)(scope, receive, send)

    @cached_property
    def _consumer(self) -> Any:
        # Built at the first connection: a project's asgi.py is imported by tools that need no schema.
        # The consumer compares a browser's Origin with the host by itself. Channels' validator would also turn away
        # scripts, which send none and have no cookies that a foreign page could ride on.
        origins = [*settings.CSRF_TRUSTED_ORIGINS, *getattr(settings, "BULKQL_ORIGINS", [])]
        consumer = GraphQLConsumer.as_asgi(schema=served_schema(), allowed_origins=origins)
        return CookieMiddleware(Sessions(consumer))


def is_graphql(scope: Any) -> bool:
    """Whether a websocket asks for the path under which the project has included our URLs."""
    # Django does this for each HTTP request; the urls that answers name depend on it.
    set_script_prefix(get_script_prefix(scope))
    try:
        return bool(scope["path"] == reverse("bulkql:graphql"))
    except NoReverseMatch:
        return False
