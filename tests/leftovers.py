"""Sessions of the tests' database that are left at the end -> ended, and told: they keep it from being dropped."""

from __future__ import annotations

import time
from typing import Any

from django.db import connection

#: Seconds in which a session that was closed may take its leave.
LEAVING_SECONDS = 5
SESSIONS = """
SELECT pid, format('%%s, %%s: %%s', application_name, state, left(query, 200)) FROM pg_stat_activity
WHERE datname = %s AND backend_type = 'client backend'
"""


def end_sessions() -> list[str]:
    """End the sessions that stay; gives what they did last."""
    if connection.vendor != "postgresql":
        return []
    name = connection.settings_dict["NAME"]
    connection.close()
    connection.close_pool()  # whose idle connections are no leftovers
    # Private to Django, which drops the database by such a cursor: one of another database.
    with connection._nodb_cursor() as cursor:
        deadline = time.monotonic() + LEAVING_SECONDS
        while (found := sessions(cursor, name)) and time.monotonic() < deadline:
            time.sleep(0.1)  # a session that ends tells nobody
        for pid in found:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        return list(found.values())


def sessions(cursor: Any, name: str) -> dict[int, str]:
    cursor.execute(SESSIONS, [name])
    return dict(cursor.fetchall())
