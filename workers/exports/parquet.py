"""Frames of texts -> Parquet with the types of the columns, a row group at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl
from django.db import models

from bulkql.workers.columns.column import Column
from bulkql.workers.columns.times import UTC_MICROSECONDS
from bulkql.workers.errors import BadInput
from bulkql.workers.exports.fields import ExportField
from bulkql.workers.intake.requests import FileCompression

if TYPE_CHECKING:
    from bulkql.workers.exports.jobs import Job

#: Rows and bytes of a row group, whichever are reached first.
GROUP_ROWS, GROUP_BYTES = 100_000, 32 * 1024 * 1024
CODECS = {FileCompression.NONE: "none", FileCompression.GZIP: "gzip", FileCompression.ZSTD: "zstd"}


class Sink:
    """Where a writer writes, and others take what is there."""

    closed = False

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def write(self, data: Any) -> int:
        self._held.append(bytes(data))
        return len(self._held[-1])

    def flush(self) -> None:
        """There is nothing behind it."""

    def close(self) -> None:
        """What it holds may still be taken."""

    def take(self) -> bytes:
        taken, self._held = b"".join(self._held), []
        return taken


def parquet_pieces(job: Job) -> Iterator[bytes]:
    """The file; raises BadInput for a value that Parquet has no type for."""
    # Only the processes that write Parquet pay for it.
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = Sink()
    writer = None
    for frame in groups(job.frames()):
        table = with_types(frame, job.fields).to_arrow(compat_level=pl.CompatLevel.oldest())
        if writer is None:
            writer = pq.ParquetWriter(pa.PythonFile(sink, mode="w"), table.schema, compression=CODECS[job.compression])
        writer.write_table(table)
        yield sink.take()
    if writer is None:
        names = [str(place) for place in range(len(job.fields))]
        empty = with_types(pl.DataFrame(schema=dict.fromkeys(names, pl.String)), job.fields)
        writer = pq.ParquetWriter(
            pa.PythonFile(sink, mode="w"), empty.to_arrow(compat_level=pl.CompatLevel.oldest()).schema
        )
    writer.close()
    yield sink.take()


def groups(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Frames as row groups."""
    held: list[pl.DataFrame] = []
    rows = size = 0
    for frame in frames:
        held.append(frame)
        rows, size = rows + frame.height, size + int(frame.estimated_size())
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            yield pl.concat(held)
            held, rows, size = [], 0, 0
    if held:
        yield pl.concat(held)


def with_types(frame: pl.DataFrame, fields: list[ExportField]) -> pl.DataFrame:
    """Texts as what they are, under the names of the file."""
    try:
        return frame.select(typed_column(str(place), one).alias(one.name) for place, one in enumerate(fields))
    except pl.exceptions.PolarsError as error:
        raise BadInput(
            "A value cannot be stored in Parquet's types: an infinite date, for example, or NaN. "
            "Export as CSV, or leave its field out."
        ) from error


def typed_column(name: str, field: ExportField) -> pl.Expr:
    text, column = pl.col(name), field.column
    if field.member is not None:
        return text.str.json_decode(pl.List(pl.Int64 if column.dtype == pl.Int64() else pl.String))
    if isinstance(column.value_field, models.BinaryField):
        return text.str.decode("base64")
    if column.choice_names or not column.is_plain:
        return text
    return as_typed(text, column)


def as_typed(text: pl.Expr, column: Column) -> pl.Expr:
    """A plain column, in the type that frames have for it; decimals in their own."""
    field, dtype = column.value_field, column.dtype
    if isinstance(field, models.DecimalField) and field.decimal_places is not None:
        return text.cast(pl.Decimal(38, field.decimal_places))
    if dtype == pl.Boolean():
        return text.replace_strict({"true": True, "false": False}, return_dtype=pl.Boolean)
    if dtype == UTC_MICROSECONDS:
        return text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", time_zone="UTC")
    if dtype == pl.Date():
        return text.str.to_date("%Y-%m-%d")
    if dtype == pl.Time():
        return text.str.to_time("%H:%M:%S%.f")
    return text if dtype == pl.String() else text.cast(dtype)
