"""What a worker process loads: it is started again where it dies, and its work waits until it is."""

from __future__ import annotations

import os
import subprocess
import sys

#: What only the web process needs, and takes as long to import as all of a worker's own.
OF_THE_WEB = ("strawberry", "strawberry_django", "graphql", "channels.generic", "uvicorn")


def test_a_worker_imports_nothing_of_graphql():
    code = "import sys, bulkql.server.processes.worker; print(*sys.modules)"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "bulkql.server.settings", "BULKQL_APPS": ""}

    printed = subprocess.check_output([sys.executable, "-c", code], text=True, env=environment)

    assert not {name for name in OF_THE_WEB if name in printed.split()}
