"""The database's load, looked at now and then -> how long chunks rest, and why. Off unless a mark is set."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from django.db import DatabaseError, connections

from bulkql.workers.backends import backend
from bulkql.workers.conf import limits, setting_name

logger = logging.getLogger("bulkql")

#: Seconds between two looks of a process, and those in which one that dispatches nothing forgets what it saw.
LOOK_SECONDS, MEMORY_SECONDS = 3.0, 60.0
#: Seconds of the first rest, and of the longest: it doubles while a mark is passed, and halves when none is any more.
FIRST_REST, LONGEST_REST = 0.5, 8.0

#: How far the slowest standby is behind, in seconds; sessions that wait for locks; sessions at work. Not our chunks:
#: they would brake themselves. Roles without pg_monitor see their own sessions, and no standby.
LOAD = """
SELECT
    (SELECT COALESCE(MAX(EXTRACT(EPOCH FROM replay_lag)), 0)::float8 FROM pg_stat_replication),
    COUNT(*) FILTER (WHERE wait_event_type = 'Lock'),
    COUNT(*) FILTER (WHERE state = 'active' AND pid <> pg_backend_pid())
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND application_name NOT LIKE 'bulkql %'
"""

#: What is said of each of these numbers, by the limit that is its mark; a mark of 0 is none.
MARKS = {
    "brake_lag_seconds": "replication is {:.1f} s behind",
    "brake_lock_waits": "{:,.0f} sessions wait for locks",
    "brake_active_backends": "{:,.0f} sessions are at work",
}


@dataclass(frozen=True, slots=True)
class Pressure:
    """Seconds that an operation rests after each chunk, and the reason; none where nothing presses."""

    rest_seconds: float = 0.0
    reason: str = ""
    #: By time.monotonic().
    seen_at: float = float("-inf")


class Brake:
    """What one process has seen, by database."""

    def __init__(self) -> None:
        self._looking = threading.Lock()
        self._seen: dict[str, Pressure] = {}

    def pressure(self, alias: str) -> Pressure:
        """The pressure on a database; asked again where it was looked at some seconds ago."""
        if not any(getattr(limits(), mark) for mark in MARKS):
            return Pressure()
        seen = self._seen.get(alias, Pressure())
        # One thread looks; the others take what it saw last.
        if time.monotonic() - seen.seen_at >= LOOK_SECONDS and self._looking.acquire(blocking=False):
            try:
                seen = self._seen[alias] = after(seen, reason_in(load_of(alias)))
            finally:
                self._looking.release()
        return seen


def after(seen: Pressure, reason: str) -> Pressure:
    """What becomes of the pressure by one look."""
    now = time.monotonic()
    rest = seen.rest_seconds if now - seen.seen_at < MEMORY_SECONDS else 0.0
    if reason:
        return Pressure(min(max(2 * rest, FIRST_REST), LONGEST_REST), reason, now)
    rest = rest / 2 if rest > FIRST_REST else 0.0
    return Pressure(rest, seen.reason if rest else "", now)


def load_of(alias: str) -> tuple[float, ...]:
    """The numbers of LOAD; none for a database that does not tell them, or not now."""
    if not backend(alias).tells_its_load:
        return ()
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute(LOAD)
            found: tuple[float, ...] = cursor.fetchone()
            return found
    except DatabaseError as error:
        logger.warning("brake: the load of the database could not be read (%s)", type(error).__name__)
        return ()


def reason_in(load: tuple[float, ...]) -> str:
    """The first mark that is passed, in words."""
    for (mark, words), value in zip(MARKS.items(), load, strict=False):
        most = getattr(limits(), mark)
        if most and value > most:
            return f"{words.format(value)} ({setting_name(mark)} is {most:,})"
    return ""


brake = Brake()
