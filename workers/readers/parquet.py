"""Parquet -> raw frames."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import polars as pl
from django.db import models

from bulkql.workers.columns.cells import NULL, escaped_column
from bulkql.workers.columns.column import Column
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import UnreadableFile
from bulkql.workers.readers import parquet_process
from bulkql.workers.readers.options import EmptyCells, FileOptions, fields_of
from bulkql.workers.readers.parquet_process import MESSAGE
from bulkql.workers.resources.plan import Plan

#: Bytes of a frame. Each is decoded when the one before has been taken.
FRAME_BYTES = 8 * 1024 * 1024
#: Bytes of a file that may decode to as much as the limit allows for so many, however few it has.
LEAST_BYTES = 64 * 1024


def read(file: IO[bytes], plan: Plan, options: FileOptions) -> Iterator[pl.DataFrame]:
    """Raw frames of the file's rows. Parquet is read from its end, so it is spooled to disk first."""
    with spooled(file) as path, Decoder(path) as decoder:
        header = decoder.header()
        fields = fields_of(plan, header, options)
        names = {name: field for name, field in zip(header, fields, strict=True) if field}
        for frame in decoder.frames(list(names)):
            yield frame.select(
                typed_cells(pl.col(name), frame.schema[name], plan.all_columns[field], options)
                for name, field in names.items()
            )


@contextmanager
def spooled(file: IO[bytes]) -> Iterator[Path]:
    """The file on disk, for as long as it is read."""
    with tempfile.NamedTemporaryFile(suffix=".parquet") as local:
        shutil.copyfileobj(file, local, 1024 * 1024)
        local.flush()
        yield Path(local.name)


class ParquetBeginning:
    """A file whose columns stand at its end, which may be gigabytes away: only those who must know them go there."""

    def __init__(self, file: IO[bytes], options: FileOptions) -> None:
        self._file = file

    def names(self) -> list[str]:
        """The names of the file's columns; raises UnreadableFile."""
        self._file.seek(0)
        with spooled(self._file) as path, Decoder(path) as decoder:
            return decoder.header()

    def header(self, plan: Plan) -> None:
        """The file's reader will see it."""

    def check(self, plan: Plan) -> None:
        """Every Parquet file begins with the same four bytes; raises UnreadableFile."""
        self._file.seek(0)
        if self._file.read(4) != b"PAR1":
            raise UnreadableFile("This is not a Parquet file.")


class Decoder:
    """The process that decodes a file (parquet_process.py), and what it says; it ends with this object."""

    def __init__(self, path: Path) -> None:
        self._most = limits().parquet_expansion * max(path.stat().st_size, LEAST_BYTES)
        # Python itself, with a path that we made.
        self._process = subprocess.Popen(  # noqa: S603
            [
                *(sys.executable, "-I", parquet_process.__file__, str(path)),
                *map(str, (limits().parquet_memory_bytes, FRAME_BYTES, limits().record_bytes)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A library's own words, as it dies of its limit.
            stderr=subprocess.DEVNULL,
            # The system's allocator fails where there is no more; others abort, or hold what was given back.
            env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"},
        )

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def header(self) -> list[str]:
        """The names of the file's columns; raises UnreadableFile."""
        kind, data = self._message()
        if kind == b"E" and data[:1] == b"D":
            raise UnreadableFile(f"This is not a Parquet file: {data[1:].decode()}.")
        if kind != b"H":
            raise self._refusal(data)
        names: list[str] = json.loads(data)
        return names

    def frames(self, names: list[str]) -> Iterator[pl.DataFrame]:
        """The rows of some columns; raises UnreadableFile."""
        assert self._process.stdin is not None
        decoded = 0
        with suppress(BrokenPipeError):  # it has died, and will say nothing
            self._process.stdin.write(json.dumps(names).encode() + b"\n")
            self._process.stdin.flush()
        while True:
            kind, data = self._message()
            if kind == b"Z":
                return
            if kind != b"F":
                raise self._refusal(data)
            decoded += len(data)
            if decoded > self._most:
                raise UnreadableFile(
                    f"The Parquet file decodes to more than {self._most:,} bytes, {limits().parquet_expansion:,} for "
                    f"each of its own ({setting_name('parquet_expansion')}); send it as CSV."
                )
            yield pl.read_ipc_stream(io.BytesIO(data))

    def _message(self) -> tuple[bytes, bytes]:
        """The next message; an error without words where the process died."""
        assert self._process.stdout is not None
        head = self._process.stdout.read(MESSAGE.size)
        if len(head) < MESSAGE.size:
            return b"E", b"M"
        kind, size = MESSAGE.unpack(head)
        data = self._process.stdout.read(size)
        return (kind, data) if len(data) == size else (b"E", b"M")

    def _refusal(self, data: bytes) -> UnreadableFile:
        """Why the process stopped."""
        reason, words = data[:1], data[1:].decode()
        if reason == b"R":
            most = limits().record_bytes
            return UnreadableFile(f"{words}; {most:,} are the most ({setting_name('record_bytes')}).")
        if reason == b"D":
            return UnreadableFile(f"The Parquet file is damaged: {words}.")
        most = limits().parquet_memory_bytes
        return UnreadableFile(
            f"The Parquet file takes more than {most:,} bytes of memory to decode "
            f"({setting_name('parquet_memory_bytes')}); write it with smaller pages and shorter lists, or as CSV."
        )


def typed_cells(values: pl.Expr, dtype: pl.DataType, column: Column, options: FileOptions) -> pl.Expr:
    """A typed column as cells."""
    text = as_text(values, dtype, column)
    if isinstance(dtype, pl.String | pl.Binary | pl.Categorical | pl.Enum):
        text = escaped_column(text)
    if options.null_values:
        text = pl.when(text.is_in(options.null_values)).then(pl.lit(NULL)).otherwise(text)
    if options.empty_cells == EmptyCells.NULL:
        text = text.fill_null(NULL)
    return text.alias(column.name)


def as_text(values: pl.Expr, dtype: pl.DataType, column: Column) -> pl.Expr:
    """Values as CSV would give them."""
    if isinstance(dtype, pl.Datetime):
        # pandas writes nanoseconds, which databases do not have.
        values = values.dt.cast_time_unit("us")
        if dtype.time_zone is None:
            return values.dt.strftime("%Y-%m-%dT%H:%M:%S%.f")
        return values.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")
    if isinstance(dtype, pl.Time):
        return values.dt.strftime("%H:%M:%S%.f")
    if isinstance(dtype, pl.Duration):
        return values.dt.to_string("iso")
    if isinstance(dtype, pl.Binary) and isinstance(column.value_field, models.BinaryField):
        return values.bin.encode("base64")
    if dtype.is_nested():
        return values.map_batches(as_json, return_dtype=pl.String)
    return values.cast(pl.String)


def as_json(values: pl.Series) -> pl.Series:
    """Lists and structs as JSON."""
    texts = [None if value is None else json.dumps(value, default=str) for value in values.to_list()]
    return pl.Series(texts, dtype=pl.String)
