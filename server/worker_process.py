"""What dramatiq loads: Django, then the actors."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from typing import Any

import django

from bulkql.server.processes.bound import bind

# dramatiq's master may be killed: its children would go on without anybody to watch them or to stop them, with the
# settings that they were started with. What they have begun is rolled back, and others take over.
if (master := multiprocessing.parent_process()) is not None and master.pid is not None:
    bind(signal.SIGKILL, master.pid)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bulkql.server.settings")
django.setup()

from django.db.backends.signals import connection_created  # noqa: E402

from bulkql.workers.actors import handle_chunk, handle_input  # noqa: E402
from bulkql.workers.backends import backend  # noqa: E402
from bulkql.workers.messaging.broker import broker  # noqa: E402


def commit_at_leisure(connection: Any, **_: Any) -> None:
    """Leases, dispatches and the reader's chunks need not reach the disk before work goes on.

    What a crash of the database takes of them is taken from its end, and made again: the upload is there, and the
    rescue rings. Rows and their ledger entries commit durably (workers/chunks.py).
    """
    if backend(connection.alias).supports_transaction_settings:
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit TO off")


connection_created.connect(commit_at_leisure)

# A chunk's rows of JSON are made and gone together: looking through them for garbage takes as long as decoding them.
gc.collect()
gc.freeze()
gc.set_threshold(50_000)

__all__ = ["broker", "handle_chunk", "handle_input"]
