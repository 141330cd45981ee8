"""Parquet -> raw frames."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO

import polars as pl

from workers.cells import NULL
from workers.errors import UnreadableFile
from workers.formats.options import EmptyCells, FileOptions, fields_of
from workers.resources import BulkResource

BATCH_ROWS = 50_000


def read(file: IO[bytes], resource: BulkResource, options: FileOptions) -> Iterator[pl.DataFrame]:
    """Raw frames of the file's rows. Parquet is read from its end, so it is spooled to disk first."""
    with tempfile.NamedTemporaryFile(suffix=".parquet") as local:
        shutil.copyfileobj(file, local, 1024 * 1024)
        local.flush()
        try:
            lazy = pl.scan_parquet(local.name)
            header = lazy.collect_schema().names()
        except pl.exceptions.PolarsError as error:
            raise UnreadableFile(f"This is not a Parquet file: {str(error).splitlines()[0]}.") from error
        fields = fields_of(resource, header, options)
        columns = [
            cells(name, field, dtype, options)
            for (name, dtype), field in zip(lazy.collect_schema().items(), fields, strict=True)
            if field
        ]
        try:
            for batch in lazy.select(columns).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
                yield batch
        except pl.exceptions.PolarsError as error:
            raise UnreadableFile(f"The Parquet file is damaged: {str(error).splitlines()[0]}.") from error


def check_beginning(file: IO[bytes]) -> None:
    """Every Parquet file begins with the same four bytes."""
    if file.read(4) != b"PAR1":
        raise UnreadableFile("This is not a Parquet file.")


def cells(name: str, field: str, dtype: pl.DataType, options: FileOptions) -> pl.Expr:
    """A typed column as cells."""
    text = as_text(pl.col(name), dtype)
    if options.null_values:
        text = pl.when(text.is_in(options.null_values)).then(pl.lit(NULL)).otherwise(text)
    if options.empty_cells == EmptyCells.NULL:
        text = text.fill_null(NULL)
    return text.alias(field)


def as_text(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Values as CSV would give them."""
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is None:
            return column.dt.strftime("%Y-%m-%dT%H:%M:%S%.f")
        return column.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")
    if dtype.is_nested():
        return column.map_elements(
            lambda value: json.dumps(value.to_list() if isinstance(value, pl.Series) else value, default=str),
            return_dtype=pl.String,
        )
    return column.cast(pl.String)
