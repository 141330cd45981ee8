"""Parquet -> raw frames."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO

import polars as pl
from django.db import models

from bulkql.workers.columns.cells import NULL, escaped_column
from bulkql.workers.columns.column import Column
from bulkql.workers.errors import UnreadableFile
from bulkql.workers.readers.options import EmptyCells, FileOptions, fields_of
from bulkql.workers.resources.plan import Plan

BATCH_ROWS = 50_000


def read(file: IO[bytes], plan: Plan, options: FileOptions) -> Iterator[pl.DataFrame]:
    """Raw frames of the file's rows. Parquet is read from its end, so it is spooled to disk first."""
    with tempfile.NamedTemporaryFile(suffix=".parquet") as local:
        shutil.copyfileobj(file, local, 1024 * 1024)
        local.flush()
        try:
            lazy = pl.scan_parquet(local.name)
            header = lazy.collect_schema().names()
        except pl.exceptions.PolarsError as error:
            raise UnreadableFile(f"This is not a Parquet file: {str(error).splitlines()[0]}.") from error
        fields = fields_of(plan, header, options)
        columns = [
            typed_cells(pl.col(name), dtype, plan.all_columns[field], options)
            for (name, dtype), field in zip(lazy.collect_schema().items(), fields, strict=True)
            if field
        ]
        try:
            yield from lazy.select(columns).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)
        except pl.exceptions.PolarsError as error:
            raise UnreadableFile(f"The Parquet file is damaged: {str(error).splitlines()[0]}.") from error


class ParquetBeginning:
    """A file whose columns stand at its end, which may be gigabytes away: only those who must know them go there."""

    def __init__(self, file: IO[bytes], options: FileOptions) -> None:
        self._file = file

    def names(self) -> list[str]:
        """The names of the file's columns; raises UnreadableFile."""
        self._file.seek(0)
        with tempfile.TemporaryFile() as local:
            shutil.copyfileobj(self._file, local, 1024 * 1024)
            local.seek(0)
            try:
                return list(pl.read_parquet_schema(local))
            except pl.exceptions.PolarsError as error:
                raise UnreadableFile(f"This is not a Parquet file: {str(error).splitlines()[0]}.") from error

    def header(self, plan: Plan) -> None:
        """The file's reader will see it."""

    def check(self, plan: Plan) -> None:
        """Every Parquet file begins with the same four bytes; raises UnreadableFile."""
        self._file.seek(0)
        if self._file.read(4) != b"PAR1":
            raise UnreadableFile("This is not a Parquet file.")


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
