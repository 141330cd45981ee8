"""What PostgreSQL's COPY TO sends -> blocks of records, or a frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from selectors import EVENT_READ, DefaultSelector
from typing import Any

import polars as pl
from django.db import connections
from psycopg import ClientCursor, Copy
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus

BLOCK_BYTES = 1024 * 1024


def copied_out(alias: str, statement: str, params: Sequence[Any]) -> Iterator[tuple[bytes, int]]:
    """The records of a COPY TO STDOUT, many at a time, and how many; raises DatabaseError."""
    connection = connections[alias]
    connection.ensure_connection()
    # With DEBUG, Django's cursor takes no parameters here.
    whole = ClientCursor(connection.connection).mogrify(statement, params)
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(whole) as stream:
        yield from drained(stream)


def frame_of(alias: str, query: str, params: Sequence[Any], schema: dict[str, Any]) -> pl.DataFrame:
    """What a query gives, column by column; raises DatabaseError.

    Numbers and texts; booleans have to be texts. An empty text and a null stay two things.
    """
    blocks = copied_out(alias, f"COPY ({query}) TO STDOUT (FORMAT csv)", params)
    records = b"".join(block for block, _ in blocks)
    return pl.read_csv(records, has_header=False, raise_if_empty=False, schema=schema)


def drained(stream: Copy) -> Iterator[tuple[bytes, int]]:
    """The same of a stream. psycopg's own loop sets out to wait for each record, which takes longer."""
    libpq = stream.connection.pgconn
    # Records are let go at once: to hold the thousands of a block takes longer than to read them.
    held, count = bytearray(), 0
    with DefaultSelector() as readable:
        readable.register(libpq.socket, EVENT_READ)
        while True:
            length, record = libpq.get_copy_data(1)
            if length > 0:
                held += record
                count += 1
            elif length == 0:
                readable.select()
                libpq.consume_input()
            if count and (length < 0 or len(held) >= BLOCK_BYTES):
                yield bytes(held), count
                held, count = bytearray(), 0
            if length < 0:
                break
    # All of them before any is raised: with one left the connection is in the middle of a COPY, and is thrown away.
    for result in [*iter(libpq.get_result, None)]:
        if result.status != ExecStatus.COMMAND_OK:
            raise error_from_result(result)
