"""HTTP to Django, websockets to Channels."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bulkql.server.settings")
# Django first: the schema is built of registered models.
django.setup(set_prefix=False)

from bulkql.server.bodies import Bodies  # noqa: E402
from bulkql.server.graphql import served_schema  # noqa: E402
from bulkql.server.middleware import Handler  # noqa: E402
from bulkql.server.websocket import Websocket  # noqa: E402

# Built before the first request, and before the process freezes what it has loaded.
served_schema()

application = Websocket(Bodies(Handler()))
