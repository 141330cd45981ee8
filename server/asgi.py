"""HTTP to Django, websockets to Channels."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bulkql.server.settings")
# Django first: the schema is built of registered models.
http = get_asgi_application()

from bulkql.server.bodies import Bodies  # noqa: E402
from bulkql.server.graphql import served_schema  # noqa: E402
from bulkql.server.websocket import Websocket  # noqa: E402

# Built before the first request, and before the process freezes what it has loaded.
served_schema()

application = Websocket(Bodies(http))
