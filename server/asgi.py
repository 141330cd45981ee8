"""HTTP to Django, websockets to Channels."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bulkql.server.settings")
# Django first: the schema is built of registered models.
http = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.sessions import CookieMiddleware  # noqa: E402
from django.conf import settings  # noqa: E402
from django.urls import path  # noqa: E402

from bulkql.schema.schema import schema  # noqa: E402
from bulkql.server.auth import Sessions  # noqa: E402
from bulkql.server.bodies import Bodies  # noqa: E402
from bulkql.server.graphql import GraphQLConsumer  # noqa: E402

consumer = GraphQLConsumer.as_asgi(schema=schema(), allowed_origins=settings.CSRF_TRUSTED_ORIGINS)

application = ProtocolTypeRouter(
    {
        "http": Bodies(http),
        # The consumer compares a browser's Origin with the host by itself. Channels' validator would also turn away
        # scripts, which send none and have no cookies that a foreign page could ride on.
        "websocket": CookieMiddleware(Sessions(URLRouter([path("graphql", consumer)]))),
    }
)
