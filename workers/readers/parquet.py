"""Parquet -> raw frames."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import polars as pl
from django.db import models

from bulkql.workers.columns.cells import MARK, ExactFloat, cells, escaped_column, unreadable
from bulkql.workers.columns.column import Column
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import UnreadableFile
from bulkql.workers.readers.decoding import parquet as parquet_process
from bulkql.workers.readers.decoding.decoder import MEMORY, SLOW, Decoder, spooled
from bulkql.workers.readers.decoding.process import DAMAGED
from bulkql.workers.readers.options import FileOptions, fields_of, with_nulls
from bulkql.workers.resources.plan import Plan

#: Bytes of a frame. Each is decoded when the one before has been taken.
FRAME_BYTES = 8 * 1024 * 1024
#: Bytes of a file that may decode to as much as the limit allows for so many, however few it has.
LEAST_BYTES = 64 * 1024
SUFFIX = ".parquet"
#: Days from 1970 that polars has a calendar for, some 260,000 years; and what a day is in each unit.
DAYS = 95_000_000
UUID_BYTES = 16
UNITS = {"days": 1, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
#: What polars raises for a moment that Python's calendar has not.
UNKNOWN_TO_PYTHON = (pl.exceptions.PanicException, ValueError, OverflowError)


def read(file: IO[bytes], plan: Plan, options: FileOptions) -> Iterator[pl.DataFrame]:
    """Raw frames of the file's rows. Parquet is read from its end, so it is spooled to disk first."""
    with spooled(file, SUFFIX) as path, decoder(path) as decoding:
        header = decoding.header()
        fields = fields_of(plan, header, options)
        names = {name: field for name, field in zip(header, fields, strict=True) if field}
        for frame in frames(decoding, list(names), path.stat().st_size):
            yield frame.select(
                typed_cells(pl.col(name), frame.schema[name], plan.all_columns[field], options)
                for name, field in names.items()
            )


class ParquetBeginning:
    """A file whose columns stand at its end, which may be gigabytes away: only those who must know them go there."""

    def __init__(self, file: IO[bytes], options: FileOptions) -> None:
        self._file = file

    def names(self) -> list[str]:
        """The names of the file's columns; raises UnreadableFile."""
        with spooled(self._file, SUFFIX) as path, decoder(path) as decoding:
            names: list[str] = decoding.header()
            return names

    def header(self, plan: Plan) -> None:
        """The file's reader will see it."""

    def check(self, plan: Plan, *, may_be_empty: bool = False) -> None:
        """Every Parquet file begins with the same four bytes; raises UnreadableFile."""
        self._file.seek(0)
        if self._file.read(4) != b"PAR1":
            raise UnreadableFile("This is not a Parquet file.")


def decoder(path: Path) -> Decoder:
    """The process that decodes a file (decoding/parquet.py)."""
    arguments = {"path": str(path), "frame_bytes": FRAME_BYTES, "record_bytes": limits().record_bytes}
    return Decoder(parquet_process.__file__, limits().parquet_memory_bytes, arguments, parquet_refusal)


def frames(decoding: Decoder, names: list[str], file_bytes: int) -> Iterator[pl.DataFrame]:
    """The rows of some columns; raises UnreadableFile."""
    most = limits().parquet_expansion * max(file_bytes, LEAST_BYTES)
    decoded = 0
    for data in decoding.streams(names):
        decoded += len(data)
        if decoded > most:
            raise UnreadableFile(
                f"The Parquet file decodes to more than {most:,} bytes, {limits().parquet_expansion:,} for "
                f"each of its own ({setting_name('parquet_expansion')}); send it as CSV."
            )
        try:
            frame = pl.read_ipc_stream(io.BytesIO(data))
        except pl.exceptions.PanicException as error:  # no Exception, and polars' way to say what it does not take
            raise parquet_refusal(
                DAMAGED, f"it has values that cannot be read ({type(error).__name__})", True
            ) from None
        yield frame


def parquet_refusal(letter: str, words: str, has_header: bool) -> UnreadableFile:
    """Why a Parquet file was not decoded to its end."""
    if letter == SLOW:
        return UnreadableFile(f"The Parquet file {words}; is it damaged? Write it again, or as CSV.")
    if letter == parquet_process.TooLarge.letter:
        most = limits().record_bytes
        return UnreadableFile(f"{words}; {most:,} are the most ({setting_name('record_bytes')}).")
    if letter == parquet_process.UnknownType.letter:
        return UnreadableFile(words)
    if letter != MEMORY:
        is_what = "The Parquet file is damaged" if has_header else "The file cannot be read as Parquet"
        return UnreadableFile(f"{is_what}: {words.rstrip('.')}. Write it again, or as CSV.")
    most = limits().parquet_memory_bytes
    return UnreadableFile(
        f"The Parquet file takes more than {most:,} bytes of memory to decode "
        f"({setting_name('parquet_memory_bytes')}); write it with smaller pages and shorter lists, or as CSV."
    )


def typed_cells(values: pl.Expr, dtype: pl.DataType, column: Column, options: FileOptions) -> pl.Expr:
    """A typed column as cells."""
    if isinstance(dtype, pl.Date | pl.Datetime | pl.Time):
        return with_nulls(moments(values, dtype, column), options).alias(column.name)
    text = as_text(values, dtype, column)
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        text = escaped_column(text)
    return with_nulls(text, options).alias(column.name)


def moments(values: pl.Expr, dtype: pl.Date | pl.Datetime | pl.Time, column: Column) -> pl.Expr:
    """Dates and times as text; a number that is none, which a file may hold all the same, is an error of its row."""
    if isinstance(dtype, pl.Time):
        unit, first, last = "a time of no day, %s ns after midnight", 0, UNITS["ns"] - 1
    else:
        time_unit = dtype.time_unit if isinstance(dtype, pl.Datetime) else "days"
        last = min(DAYS * UNITS[time_unit], 2**63 - 1)
        unit, first = f"a moment beyond every calendar, %s {time_unit} from 1970-01-01", -last
    number = values.to_physical().cast(pl.Int64)
    is_known = number.is_between(first, last)
    before, after = unreadable(unit).split("%s")
    beyond = pl.concat_str(pl.lit(before), number.cast(pl.String), pl.lit(after))
    # Asked for one of the others, polars panics.
    return pl.when(is_known).then(as_text(pl.when(is_known).then(values), dtype, column)).otherwise(beyond)


def as_text(values: pl.Expr, dtype: pl.DataType, column: Column) -> pl.Expr:
    """Values as CSV would give them."""
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is None or column.dtype == pl.Date:  # a date is midnight where it was written
            return values.dt.strftime("%Y-%m-%dT%H:%M:%S%.f")
        return values.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")
    if isinstance(dtype, pl.Time):
        return values.dt.strftime("%H:%M:%S%.f")
    if isinstance(dtype, pl.Duration):
        return values.dt.to_string("iso")
    if isinstance(dtype, pl.Binary) and isinstance(column.value_field, models.BinaryField):
        return values.bin.encode("base64")
    if isinstance(dtype, pl.Binary) and isinstance(column.value_field, models.UUIDField):
        return values.map_batches(uuids_in, return_dtype=pl.String)
    if isinstance(dtype, pl.Binary):
        return values.map_batches(texts_in, return_dtype=pl.String)
    if dtype.is_nested():
        return values.map_batches(nested_as_json, return_dtype=pl.String)
    if dtype == pl.Date and (date_format := column.date_format) is not None and date_format.is_like_iso:
        return values.dt.strftime(date_format.directives)
    if dtype.is_numeric() and ExactFloat in column.accepts:
        return pl.format("{}{}", pl.lit(MARK), values.cast(pl.String))  # no text, and its point is one
    if dtype.is_float() and column.is_text:
        return codes(values, dtype)
    return values.cast(pl.String)


def codes(values: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Floats of a text's column: 123.0 is the code 123, as pandas writes whole numbers beside nulls.

    Past the numbers that a float tells apart they are marked, and errors of their rows: nobody knows their last digits.
    """
    text = values.cast(pl.String)
    is_exact = values.is_finite() & (values.abs() <= 2 ** (24 if dtype == pl.Float32 else 53))
    whole = values.cast(pl.Int64, strict=False).cast(pl.String)
    number = pl.when(values.is_finite()).then(text).otherwise(pl.format('"{}"', text))
    return (
        pl.when(values.is_null())
        .then(None)
        .when(is_exact & (values == values.round()))
        .then(whole)
        .when(is_exact)
        .then(text)
        .otherwise(pl.format("{}{}", pl.lit(MARK), number))
    )


def uuids_in(values: pl.Series) -> pl.Series:
    """The sixteen bytes of a UUID, as Arrow and pandas write it, as its text; other bytes are texts, as elsewhere."""
    found = [None if value is None or len(value) != UUID_BYTES else str(UUID(bytes=value)) for value in values]
    others = texts_in(pl.select(pl.when(values.bin.size() != UUID_BYTES).then(values)).to_series())
    return pl.select(pl.coalesce(pl.Series(found, dtype=pl.String), others)).to_series()


def texts_in(values: pl.Series) -> pl.Series:
    """Bytes as the texts that they are in UTF-8; those that are none are marked, and errors of their rows."""
    try:
        return pl.select(escaped_column(pl.lit(values.cast(pl.String)))).to_series()
    except pl.exceptions.ComputeError:
        texts = [... if value is None else value.decode(errors="surrogateescape") for value in values]
        return cells(texts, frozenset({str}))


def nested_as_json(values: pl.Series) -> pl.Series:
    """Lists and structs as JSON."""
    try:
        found = values.to_list()
    except UNKNOWN_TO_PYTHON:
        return pl.Series([nested_text_at(values, place) for place in range(len(values))], dtype=pl.String)
    if (counted := in_nanoseconds(values.dtype)) == values.dtype:
        return pl.Series([nested_text(value) for value in found], dtype=pl.String)
    numbers = values.cast(counted).to_list()
    # Of the others Python would cut digits off.
    finer = unreadable("a moment or a duration that is finer than a microsecond")
    texts = [
        nested_text(one) if is_exact(count, values.dtype) else finer for one, count in zip(found, numbers, strict=True)
    ]
    return pl.Series(texts, dtype=pl.String)


def in_nanoseconds(dtype: Any) -> Any:
    """A nested type that has numbers where it has moments that are counted in nanoseconds."""
    if isinstance(dtype, pl.Struct):
        return pl.Struct({field.name: in_nanoseconds(field.dtype) for field in dtype.fields})
    if isinstance(dtype, pl.List):
        return pl.List(in_nanoseconds(dtype.inner))
    if isinstance(dtype, pl.Array):
        return pl.Array(in_nanoseconds(dtype.inner), dtype.size)
    return pl.Int64() if counts_nanoseconds(dtype) else dtype


def counts_nanoseconds(dtype: Any) -> bool:
    return bool(dtype == pl.Time) or getattr(dtype, "time_unit", None) == "ns"


def is_exact(value: Any, dtype: Any) -> bool:
    """Whether Python has all that a value says, whose moments are numbers here."""
    if value is None:
        return True
    if isinstance(dtype, pl.Struct):
        return all(is_exact(value[field.name], field.dtype) for field in dtype.fields)
    if isinstance(dtype, pl.List | pl.Array):
        return all(is_exact(one, dtype.inner) for one in value)
    return not counts_nanoseconds(dtype) or value % 1_000 == 0


def nested_text_at(values: pl.Series, place: int) -> str | None:
    """One of the values; a moment in it that Python has not is an error of its row."""
    try:
        return nested_text(values[place : place + 1].to_list()[0])
    except UNKNOWN_TO_PYTHON as error:
        return unreadable(f"what cannot be read ({error})")


def nested_text(value: Any) -> str | None:
    """A list or a struct as JSON; null is null."""
    if value is None:
        return None
    try:
        return json_of_nested(value)
    except UnicodeDecodeError:
        return unreadable("bytes that are not UTF-8")


def json_of_nested(value: Any) -> str:
    try:
        return json.dumps(value, default=plain_text)
    except TypeError:  # a map may have keys that are no texts
        return json.dumps(with_text_keys(value), default=plain_text)


def plain_text(value: Any) -> str:
    """What JSON has no kind for, as text."""
    return value.decode() if isinstance(value, bytes) else str(value)


def with_text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {plain_text(key): with_text_keys(one) for key, one in value.items()}
    return [with_text_keys(one) for one in value] if isinstance(value, list) else value
