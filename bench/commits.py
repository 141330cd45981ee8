"""The database -> when each chunk of an operation was committed, to the millisecond."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import psycopg

CHANNEL = "bench_commits"
#: PostgreSQL delivers a notification when the transaction that sent it is committed, and not before.
BEGIN = f"""
CREATE OR REPLACE FUNCTION bench_tell_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('{CHANNEL}', NEW.operation_id || ' ' || NEW.row_count || ' ' || NEW.id);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER bench_tell_commit AFTER UPDATE ON bulkql_chunk FOR EACH ROW
    WHEN (OLD.recorded_at IS NULL AND NEW.recorded_at IS NOT NULL) EXECUTE FUNCTION bench_tell_commit();
"""
END = "DROP FUNCTION bench_tell_commit CASCADE"


@dataclass(frozen=True, slots=True)
class Commits:
    """What was heard: operation, rows of the chunk, and when, by perf_counter."""

    heard: list[tuple[str, int, float]] = field(default_factory=list)

    def of(self, operation_id: str) -> list[tuple[float, int]]:
        """When, and how many rows were committed by then."""
        total, found = 0, []
        for operation, rows, at in self.heard:
            if operation == operation_id:
                total += rows
                found.append((at, total))
        return found


@contextmanager
def heard(url: str) -> Iterator[Commits]:
    """The chunks that are committed within the block."""
    commits = Commits()
    with psycopg.connect(url, autocommit=True) as listener, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(BEGIN)
        listener.execute(f"LISTEN {CHANNEL}")
        thread = threading.Thread(target=listen, args=(listener, commits))
        thread.start()
        try:
            yield commits
        finally:
            connection.execute(f"NOTIFY {CHANNEL}, ''")
            thread.join()
            connection.execute(END)


def listen(listener: psycopg.Connection[tuple[object, ...]], commits: Commits) -> None:
    """Until an empty notification."""
    for notification in listener.notifies():
        at = perf_counter()
        if not notification.payload:
            return
        operation, rows, _ = notification.payload.split()
        commits.heard.append((operation, int(rows), at))
