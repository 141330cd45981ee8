"""What uvicorn loads: ASGI_APPLICATION of the settings in force, in a process that is its own."""

from __future__ import annotations

import gc
import os

from django.conf import settings
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bulkql.server.settings")
# A project without an application of its own has its URLs served by ours.
application = import_string(getattr(settings, "ASGI_APPLICATION", None) or "bulkql.server.asgi.application")

# A collection of all objects stops the process for half a second where a thousand subscribers are connected. What is
# loaded by now stays, and need not be looked at; and what an event leaves behind is mostly gone before 10,000 more
# objects are made, so that few of them grow old enough to call for one.
gc.collect()
gc.freeze()
gc.set_threshold(10_000)

__all__ = ["application"]
