"""A list's queryset -> its rows, within a time, and not for a client that has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import Lock
from typing import Any

import psycopg
from django.db import (
    DatabaseError,
    DataError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connections,
    models,
    transaction,
)
from psycopg.errors import QueryCanceled

from bulkql.schema.lists.tolerance import tolerated
from bulkql.workers.backends import backend
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import BulkError, LimitExceeded

#: Seconds in which the database has to take the wish to stop.
CANCEL_SECONDS = 2


class Statement:
    """What the database is asked for a list. It would go on for as long as it takes, whether anybody waits or not."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._is_canceled = False

    @contextmanager
    def running(self, alias: str) -> Iterator[None]:
        """While this lasts, the connection is this list's own, and what runs on it can be canceled."""
        with self._lock:
            if self._is_canceled:
                raise OperationalError("The client has gone.")
            self._connection = connections[alias].connection
        try:
            yield
        finally:
            # Whoever is canceling is done first: the next statement on this connection is somebody else's.
            with self._lock:
                self._connection = None

    def cancel(self) -> None:
        """Have the database stop; in a thread, for it takes a connection of its own."""
        with self._lock:
            self._is_canceled = True
            if self._connection is not None:
                with suppress(psycopg.Error):
                    self._connection.cancel_safe(timeout=CANCEL_SECONDS)


_statement: ContextVar[Statement | None] = ContextVar("statement", default=None)


async def canceled_with_client(result: Awaitable[Any]) -> Any:
    """What `result` gives; the database is told to stop when nobody waits for it any more."""
    statement = Statement()
    _statement.set(statement)
    try:
        return await result
    except asyncio.CancelledError:
        # Not awaited: who cancels does not wait for the database.
        asyncio.get_running_loop().run_in_executor(None, statement.cancel)
        raise


def fetch(rows: models.QuerySet[Any], name: str) -> None:
    """Read a list's rows into the queryset, whatever a value of theirs is.

    Raises LimitExceeded where that takes too long.
    """
    try:
        read(rows, name)
    except (DatabaseError, InterfaceError, BulkError) as error:
        # psycopg has no value of Python for one of PostgreSQL's; what the database itself refuses has a state.
        if not isinstance(error, DataError) or getattr(error.__cause__, "sqlstate", None) is not None:
            raise
        with tolerated(rows):
            read(rows, name)
    except Exception:  # a field's own code, over a value that somebody else wrote
        with tolerated(rows):
            read(rows, name)


def read(rows: models.QuerySet[Any], name: str) -> None:
    """The same, as long as all values can be read."""
    abilities = backend(rows.db)
    if not abilities.supports_transaction_settings:
        len(rows)
        return
    try:
        # SET LOCAL: a setting of the session would be the next client's too, behind a pooler.
        with transaction.atomic(using=rows.db), connections[rows.db].cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{limits().list_seconds}s'")
            statement = _statement.get() or Statement()
            with statement.running(rows.db):
                len(rows)
        if not connections[rows.db].in_atomic_block:
            # Making an answer of many rows takes longer than finding them.
            close_old_connections()
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        raise LimitExceeded(
            f"Finding the rows of {name} takes longer than the limit of {limits().list_seconds:,} seconds "
            f"({setting_name('list_seconds')}); filter by a column that has an index, or by fewer conditions."
        ) from error
