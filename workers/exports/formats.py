"""Frames of texts -> the bytes of a file, a piece at a time."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable, Iterator

import polars as pl
import zstandard

from bulkql.workers.exports.fields import ExportField
from bulkql.workers.exports.jobs import Job
from bulkql.workers.exports.parquet import parquet_pieces
from bulkql.workers.exports.sheets import sheet_pieces
from bulkql.workers.intake.requests import FileCompression
from bulkql.workers.readers.formulas import neutralised
from bulkql.workers.readers.options import FileFormat
from bulkql.workers.readers.returned import GUARDED, mark_of_blanks

PIECE = 1024 * 1024
#: Fast ones: what is not stored smaller than that is stored sooner.
GZIP_LEVEL, ZSTD_LEVEL = 4, 3
#: zlib's way to say that it is to write gzip's header.
GZIP_WINDOW = 31


def pieces_of_file(job: Job) -> Iterator[bytes]:
    """The bytes of a job's file, compressed as asked; counts its rows. In a snapshot."""
    job.count()
    pieces = WRITERS_OF_FORMATS[job.format](job)
    return pieces if job.format.is_compressed_within else PACKERS[job.compression](pieces)


def csv_pieces(job: Job) -> Iterator[bytes]:
    """CSV with a header; where formulas are neutralised, or a row is blank, one more column says so (returned.py)."""
    names = [one.name for one in job.fields]
    if job.copied is not None:
        is_guarded = job.has_formulas or job.has_blanks
        yield csv_header([*names, GUARDED] if is_guarded else names)
        for block, count in job.copied.blocks(is_guarded=is_guarded):
            job.exported += count
            yield block
        return
    # Only when all rows have been read is it known whether the header has that column.
    with tempfile.TemporaryFile(prefix="bulkql-export-") as body:
        is_guarded = False
        for frame in job.frames():
            safe = frame.select(neutralised(pl.all()))
            blanks = frame.select(mark_of_blanks()).to_series()
            is_guarded = is_guarded or not safe.equals(frame) or blanks.null_count() < len(blanks)
            safe.with_columns(blanks).write_csv(body, include_header=False)
        body.seek(0)
        yield csv_header([*names, GUARDED] if is_guarded else names)
        if is_guarded or not job.exported:
            while piece := body.read(PIECE):
                yield piece
            return
        named = {"has_header": False, "new_columns": list(map(str, range(len(names) + 1))), "infer_schema": False}
        for batch in pl.scan_csv(body, **named).collect_batches(chunk_size=10_000):  # type: ignore[arg-type]
            # A text of blanks, alone on its line, would be none.
            alone = len(names) == 1
            yield (
                batch[:, :-1]
                .write_csv(include_header=False, quote_style="non_numeric" if alone else "necessary")
                .encode()
            )


def csv_header(names: list[str]) -> bytes:
    return (
        pl.DataFrame([names], orient="row", schema=[str(place) for place in range(len(names))])
        .write_csv(include_header=False)
        .encode()
    )


def ndjson_pieces(job: Job) -> Iterator[bytes]:
    """An object a line. A null that may stand for what is out of sight is left out: sent back, it would clear that."""
    columns = [(str(place), one) for place, one in enumerate(job.fields)]
    for frame in job.frames():
        parts = []
        for place, (name, field) in enumerate(columns):
            key = pl.Series([field.name]).to_frame("x").select(as_json_text(pl.col("x"))).item()
            value = pl.col(name) if is_bare(field) else as_json_text(pl.col(name))
            if place not in job.hiding:
                value = value.fill_null("null")
            parts.append(pl.concat_str(pl.lit(f"{key}:"), value))
        line = pl.concat_str(pl.lit("{"), pl.concat_str(parts, separator=",", ignore_nulls=True), pl.lit("}\n"))
        yield frame.select(line.str.join("")).item().encode()


def is_bare(field: ExportField) -> bool:
    """Whether the texts of a column are JSON already: numbers, true and false, lists, and JSON itself."""
    column = field.column
    if field.member is not None or column.as_json:
        return True
    is_value = column.dtype.is_integer() or column.dtype.is_float() or column.dtype == pl.Boolean()
    return is_value and column.is_plain and not column.choice_names


def as_json_text(text: pl.Expr) -> pl.Expr:
    """Texts as JSON writes them, null as null."""
    wrapped = pl.struct(text.alias("x")).struct.json_encode()
    return pl.when(text.is_not_null()).then(wrapped.str.slice(len('{"x":')).str.head(-1))


def unpacked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    return pieces


def gzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(GZIP_LEVEL, wbits=GZIP_WINDOW)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def zstandard_packed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    packer = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj()
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


PACKERS: dict[FileCompression, Callable[[Iterator[bytes]], Iterator[bytes]]] = {
    FileCompression.NONE: unpacked,
    FileCompression.GZIP: gzipped,
    FileCompression.ZSTD: zstandard_packed,
}
WRITERS_OF_FORMATS: dict[FileFormat, Callable[[Job], Iterator[bytes]]] = {
    FileFormat.CSV: csv_pieces,
    FileFormat.NDJSON: ndjson_pieces,
    FileFormat.PARQUET: parquet_pieces,
    FileFormat.XLSX: sheet_pieces,
}
