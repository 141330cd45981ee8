"""What dramatiq loads: Django, then the actors."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal

import django

from bulkql.server.processes.bound import bind

# dramatiq's master may be killed: its children would go on without anybody to watch them or to stop them, with the
# settings that they were started with. What they have begun is rolled back, and others take over.
if (master := multiprocessing.parent_process()) is not None and master.pid is not None:
    bind(signal.SIGKILL, master.pid)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bulkql.server.settings")
django.setup()

from django.db.backends.signals import connection_created  # noqa: E402

from bulkql.server.processes.commits import commit_at_leisure  # noqa: E402
from bulkql.workers.actors import handle_chunk, handle_input  # noqa: E402
from bulkql.workers.messaging.broker import broker  # noqa: E402

connection_created.connect(commit_at_leisure)

# A chunk's rows of JSON are made and gone together: looking through them for garbage takes as long as decoding them.
gc.collect()
gc.freeze()
gc.set_threshold(50_000)

__all__ = ["broker", "handle_chunk", "handle_input"]
