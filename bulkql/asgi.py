"""A project's ASGI application -> the same, with bulkql's websocket."""

from __future__ import annotations

from typing import Any


def with_websocket(application: Any) -> Any:
    """Answer websockets on the path of bulkql's `graphql` URL; all else goes to the application.

    The user is `scope["user"]` where middleware around this one has set it, otherwise that of Django's session.
    """
    # A project's asgi.py imports this before Django is set up.
    from bulkql.server.websocket import Websocket

    return Websocket(application)
