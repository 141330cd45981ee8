"""An upload and its options -> raw frames."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from typing import IO

import polars as pl

from workers.errors import BadInput
from workers.formats import csv, ndjson, parquet
from workers.formats.options import FileFormat, FileOptions
from workers.resources import BulkResource

READERS: dict[FileFormat, Callable[[IO[bytes], BulkResource, FileOptions], Iterator[pl.DataFrame]]] = {
    FileFormat.CSV: csv.read,
    FileFormat.NDJSON: ndjson.read,
    FileFormat.PARQUET: parquet.read,
}


def read(file: IO[bytes], resource: BulkResource, options: FileOptions) -> Iterator[pl.DataFrame]:
    """Raw frames of a file, in its order; raises UnreadableFile."""
    return READERS[options.format](file, resource, options)


def check(file: IO[bytes], resource: BulkResource, options: FileOptions) -> None:
    """Look at the file's beginning: is it what it claims to be, and whose columns are these? Raises BadInput."""
    check_encoding(options.encoding)
    if len(options.delimiter.encode()) != 1 or options.delimiter in '"\r\n\0':
        raise BadInput(f"A delimiter is one ASCII character, and no quote or line break; not {options.delimiter!r}.")
    wrong = sorted(set(options.columns.values()) - resource.columns.keys())
    if wrong:
        raise BadInput(f"`columns` maps to {', '.join(wrong)}; {resource.name} has {', '.join(resource.columns)}.")
    if options.format == FileFormat.PARQUET:
        # Its columns stand at its end, which may be gigabytes away: the reader will see them.
        parquet.check_beginning(file)
    elif next(read(file, resource, options), None) is None:
        raise BadInput("The file has no rows.")


def check_encoding(name: str) -> None:
    """Whether Python can decode texts of this encoding, piece by piece; raises BadInput."""
    try:
        " ".encode(name).decode(name)
        codecs.getincrementaldecoder(name)
    except (LookupError, ValueError):
        raise BadInput(f"There is no encoding {name}; utf-8, utf-16 and cp1252 are some.") from None
