"""What workers write -> committed without waiting for the disk, one transaction at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from psycopg import ClientCursor

from bulkql.workers.backends import backend, is_durable

#: Holds for one transaction, which may be a single statement. For a session it would pass with its connection through
#: a pooler to the next client, whose commits must be durable.
AT_LEISURE = "SET LOCAL synchronous_commit TO off; "
WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
#: libpq's PQTRANS_IDLE: the next statement begins a transaction.
IDLE = 0


def commit_at_leisure(connection: Any, **_: Any) -> None:
    """Leases, dispatches and the reader's chunks need not reach the disk before work goes on.

    What a crash of the database takes of them is taken from its end, and made again: the upload is there, and the
    rescue dispatches. Rows and their ledger entries commit durably (workers/operations/chunks.py), and so do the ends
    of reading and of operations (workers/backends.py: durable).
    """
    # Statements that PostgreSQL prepares stand alone.
    is_prepared = connection.settings_dict.get("OPTIONS", {}).get("server_side_binding")
    # A connection of a pool is told of each time it is taken.
    is_new = begin_at_leisure not in connection.execute_wrappers
    if is_new and not is_prepared and backend(connection.alias).supports_transaction_settings:
        connection.execute_wrappers.append(begin_at_leisure)


def begin_at_leisure(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Django's execute wrapper: the first statement of a transaction says how it commits, in the same trip."""
    connection = context["connection"]
    if is_durable() or many or not isinstance(sql, str) or connection.connection.info.transaction_status != IDLE:
        return execute(sql, params, many, context)
    if connection.get_autocommit() and not WRITES.match(sql):
        return execute(sql, params, many, context)
    if not isinstance(context["cursor"].cursor, ClientCursor):
        # Statements that PostgreSQL binds stand alone (workers/backends.py: sending_bytes).
        if not connection.get_autocommit():
            execute(AT_LEISURE, None, False, context)
        return execute(sql, params, many, context)
    result = execute(AT_LEISURE + sql, params, many, context)
    # The setting has a result of its own.
    context["cursor"].nextset()
    return result
