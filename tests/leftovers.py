"""Sessions of the tests' database that are left at the end -> ended, and told: they keep it from being dropped."""

from __future__ import annotations

import time
from typing import Any

from django.db import connection

#: Seconds in which a session that was closed may take its leave.
LEAVING_SECONDS = 5
OTHERS = """
SELECT pid, format('%s, %s: %s', application_name, state, left(query, 200)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def end_sessions() -> list[str]:
    """End the sessions that stay; gives what they did last."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        deadline = time.monotonic() + LEAVING_SECONDS
        while (found := others(cursor)) and time.monotonic() < deadline:
            time.sleep(0.1)  # a session that ends tells nobody
        for pid in found:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        return list(found.values())


def others(cursor: Any) -> dict[int, str]:
    cursor.execute(OTHERS)
    return dict(cursor.fetchall())
