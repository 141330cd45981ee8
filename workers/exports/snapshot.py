"""A database as it was at one moment -> for as long as a block reads in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction

from bulkql.workers.backends import backend

#: In one spelling, whatever the project's connections are set to; and a large table takes longer than a statement may.
READING = (
    "SET LOCAL TIME ZONE 'UTC'; SET LOCAL datestyle TO 'ISO, YMD'; SET LOCAL intervalstyle TO 'postgres';"
    " SET LOCAL extra_float_digits TO 1; SET LOCAL statement_timeout TO 0"
)


@contextmanager
def snapshot_of(alias: str) -> Iterator[None]:
    """A transaction that reads, and sees one moment; within the caller's own, what that one sees."""
    connection = connections[alias]
    is_mine = not connection.in_atomic_block
    with transaction.atomic(using=alias):
        if backend(alias).supports_transaction_settings:
            with connection.cursor() as cursor:
                if is_mine:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                cursor.execute(READING)
        yield
        # The caller's transaction gets its settings back; there is nothing else to lose.
        transaction.set_rollback(True, using=alias)
