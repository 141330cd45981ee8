"""Frames <-> bytes, and the columns that bulkql adds to them."""

from __future__ import annotations

import io

import polars as pl

#: A row's own errors found while it was read (unknown field, ragged line): JSON [[code, path, message, data], ...].
INTAKE_ERRORS = "__errors"
#: The index of the later row that has the same key.
SUPERSEDED_BY = "__superseded_by"
#: The fields of that key, separated by commas.
SUPERSEDED_KEY = "__superseded_key"
#: A primary key that was reserved for the row when it was stored.
RESERVED_PK = "__pk"
#: The row's place in its chunk.
ROW = "__row"

ERRORS = {
    "index": pl.Int64,
    "path": pl.String,
    "code": pl.String,
    "message": pl.String,
    "data": pl.String,
}


def given(name: str) -> str:
    """The column that says whether a row gives a field at all."""
    return f"given:{name}"


def pack(frame: pl.DataFrame) -> bytes:
    """A frame as compressed Arrow IPC: a stream, for few rows in a file would take twenty times as long."""
    buffer = io.BytesIO()
    # Columns whose parts end in different places make polars panic once they are filtered (2.1).
    frame.rechunk().write_ipc_stream(buffer, compression="lz4")
    return buffer.getvalue()


def unpack(data: bytes | memoryview) -> pl.DataFrame:
    """What pack made."""
    return pl.read_ipc_stream(io.BytesIO(data))


def no_errors() -> pl.DataFrame:
    return pl.DataFrame(schema=ERRORS)
