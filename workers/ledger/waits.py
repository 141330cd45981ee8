"""Transactions that wait for somebody else's locks -> who holds them, asked while they wait."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

from django.db import DatabaseError, InterfaceError, connections

from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import Locked

logger = logging.getLogger("bulkql")

#: Seconds that a transaction may wait before anybody asks, and between two questions.
LOOK_SECONDS = 1
#: Those who are named where many stand in the way.
NAMED = 3

#: SQLSTATEs: the lock_timeout, and the statement_timeout, which many short waits can reach as well.
LOCK_NOT_AVAILABLE, QUERY_CANCELED = "55P03", "57014"

#: Parameter: the process ids of those who may wait. Who waits, and for whom; never anybody's query.
BLOCKERS = """
SELECT waiting.pid, holder.pid, activity.application_name, activity.state,
    EXTRACT(EPOCH FROM now() - activity.xact_start)::bigint
FROM unnest(%s::int[]) AS waiting (pid)
CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS holder (pid)
LEFT JOIN pg_stat_activity activity ON activity.pid = holder.pid
ORDER BY activity.xact_start
"""


class Watch:
    """What a transaction waits for. Around it, so that a wait that was too long is told as what it is: Locked."""

    def __init__(self, limit: str = "lock_seconds", tell: Callable[[str], None] | None = None) -> None:
        #: Seconds that one lock is waited for, and the setting that says so.
        self.seconds, self.setting = getattr(limits(), limit), setting_name(limit)
        self._tell = tell
        self.alias = self.table = ""
        #: The process of the database that works for it; None while there is none.
        self.pid: int | None = None
        self.began_at = 0.0
        #: Who stood in the way last; empty where nobody did.
        self.reason = ""

    def __enter__(self) -> Watch:
        self.began_at = time.monotonic()
        _watcher.add(self)
        return self

    def __exit__(self, _: type | None, error: BaseException | None, __: TracebackType | None) -> None:
        _watcher.remove(self)
        self.pid = None
        state = getattr(getattr(error, "__cause__", None), "sqlstate", None)
        if state == LOCK_NOT_AVAILABLE or (state == QUERY_CANCELED and self.reason):
            raise Locked(self.reason or locked_by(self.table, []), self.seconds, self.setting) from error

    def begin(self, alias: str, pid: int, table: str) -> None:
        """From now on a process of the database works for it, and writes to a table."""
        self.alias, self.table, self.pid = alias, table, pid

    def found(self, holders: list[str]) -> None:
        """Who stands in the way now."""
        self.reason = locked_by(self.table, holders)
        if self._tell is not None:
            self._tell(self.reason)


def locked_by(table: str, holders: list[str]) -> str:
    """Rows of ledger_financialaccount are locked by psql (process 4711, idle in transaction, for 42 s)"""
    more = [f"{len(holders) - NAMED} more"] if len(holders) > NAMED else []
    return f"Rows of {table} are locked by {' and '.join([*holders[:NAMED], *more]) or 'another session'}"


def holder_text(pid: int, application: str | None, state: str | None, seconds: int | None) -> str:
    """psql (process 4711, idle in transaction, for 42 s)"""
    known = [f"process {pid}" if pid else "a prepared transaction", state, seconds is not None and f"for {seconds} s"]
    return f"{application or 'somebody'} ({', '.join(str(one) for one in known if one)})"


class Watcher:
    """One thread for all transactions of a process; it sleeps where there are none."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watches: list[Watch] = []
        self._thread: threading.Thread | None = None

    def add(self, watch: Watch) -> None:
        with self._changed:
            self._watches.append(watch)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="bulkql-waits", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def remove(self, watch: Watch) -> None:
        with self._changed:
            self._watches.remove(watch)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._watches)
            time.sleep(LOOK_SECONDS)
            try:
                self._look(time.monotonic() - LOOK_SECONDS)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("waits: the database cannot be reached (%s)", type(error).__name__)
            finally:
                connections.close_all()

    def _look(self, before: float) -> None:
        late = {one.pid: one for one in list(self._watches) if one.pid is not None and one.began_at < before}
        for alias in {one.alias for one in late.values()}:
            pids = [pid for pid, one in late.items() if one.alias == alias]
            with connections[alias].cursor() as cursor:
                cursor.execute(BLOCKERS, [pids])
                rows = cursor.fetchall()
            for pid in pids:
                holders = list(dict.fromkeys(holder_text(*row[1:]) for row in rows if row[0] == pid))
                # It may have gone on meanwhile, as another transaction.
                if holders and late[pid].pid == pid:
                    late[pid].found(holders)


_watcher = Watcher()
