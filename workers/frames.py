"""Frames <-> bytes, the columns that bulkql adds to them, and row errors as frames and as JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable

import polars as pl

from bulkql.workers.errors import Code, RowError

#: A row's own errors found while it was read (unknown field, ragged line), as `errors_to_json` writes them.
INTAKE_ERRORS = "__errors"
#: The line of its file on which a row begins, from 1.
LINE = "__line"
#: What an NDJSON row gives that the resource does not have, where that is left out: a JSON object.
OTHERS = "__others"
#: The cells of a file's column that the resource does not have, where that is left out: `ignored` names it.
IGNORED = "__ignored:"
#: The index of the later row that has the same key.
SUPERSEDED_BY = "__superseded_by"
#: The fields of that key, separated by commas.
SUPERSEDED_KEY = "__superseded_key"
#: The indexes of rows that take a unique value which this one gives up, and of those from which it takes one.
GIVES_TO = "__gives_to"
TAKES_FROM = "__takes_from"
#: A primary key that was reserved for the row when it was stored.
RESERVED_PK = "__pk"
#: The row's place in its chunk, from 0. Called so, and not "row", because a model may have a field of that name.
ROW = "__row"
#: Numbers of rows have one type everywhere: polars refuses to join columns of two.
ROW_NUMBER = pl.Int64

#: What a row error says.
WORDS = {"path": pl.String, "code": pl.String, "message": pl.String, "data": pl.String}
#: Row errors of a chunk while it is worked on.
ERRORS = {ROW: ROW_NUMBER, **WORDS}
NO_ERRORS = pl.DataFrame(schema=ERRORS)
#: Row errors in the ledger, where rows are counted from the beginning of their input.
RECORDED_ERRORS = {"index": ROW_NUMBER, "line": ROW_NUMBER, **WORDS}
NO_RECORDED_ERRORS = pl.DataFrame(schema=RECORDED_ERRORS)


def given(name: str) -> str:
    """The column that says whether a row gives a field at all."""
    return f"given:{name}"


def ignored(place: int, name: str) -> str:
    """The column of a raw frame for a file's column that is left out; several may have one name."""
    return f"{IGNORED}{place}:{name}"


def ignored_name(column: str) -> str:
    """What the file calls such a column."""
    return column.removeprefix(IGNORED).partition(":")[2]


def row_numbers() -> pl.Expr:
    """`__row` of a frame that holds all rows of a chunk."""
    return pl.int_range(pl.len(), dtype=ROW_NUMBER).alias(ROW)


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
    """An empty frame of row errors: `__row`, path, code, message, data."""
    # A request of fifty rows wants fifteen, and to make each anew was felt.
    return NO_ERRORS.clone()


def errors_at(rows: Iterable[int] | pl.Series, error: RowError) -> pl.DataFrame:
    """The same error for each of these rows: `__row`, path, code, message, data."""
    numbers = pl.Series(ROW, rows, dtype=ROW_NUMBER)
    if numbers.is_empty():
        return no_errors()
    return errors_in(numbers.to_frame(), error.path, error.code, pl.lit(error.message), pl.lit(error.data))


def errors_in(
    rows: pl.DataFrame, path: str | pl.Expr | None, code: Code, message: pl.Expr, data: pl.Expr
) -> pl.DataFrame:
    """An error for each row of a frame with `__row`: `__row`, path, code, message, data, told by its columns."""
    if rows.is_empty():
        return no_errors()
    paths = path if isinstance(path, pl.Expr) else pl.lit(path)
    words = {"path": paths, "code": pl.lit(code), "message": message, "data": data}
    return rows.select(ROW, **{name: words[name].cast(dtype) for name, dtype in WORDS.items()})


def errors_of(found: Iterable[tuple[int | str, RowError]], by: str = ROW) -> pl.DataFrame:
    """Each error with its row: `__row`, path, code, message, data. `by` names another first column, of texts."""
    schema = {by: ROW_NUMBER if by == ROW else pl.String, **WORDS}
    rows = [(key, error.path, error.code, error.message, error.data) for key, error in found]
    return pl.DataFrame(rows, schema=schema, orient="row")


def errors_to_json(errors: Iterable[RowError]) -> str:
    """A row's errors as they wait in a chunk: [[path, code, message, data], ...]."""
    return json.dumps([[error.path, error.code, error.message, error.data] for error in errors])


def errors_from_json(text: str) -> list[RowError]:
    """What errors_to_json made."""
    return [RowError(path, Code(code), message, data) for path, code, message, data in json.loads(text)]
