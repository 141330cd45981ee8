"""An upload and its options -> raw frames."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from typing import IO

import polars as pl

from bulkql.workers.errors import BadInput
from bulkql.workers.readers import csv, ndjson, parquet
from bulkql.workers.readers.options import FileFormat, FileOptions, fields_of
from bulkql.workers.resources.plan import Plan

READERS: dict[FileFormat, Callable[[IO[bytes], Plan, FileOptions], Iterator[pl.DataFrame]]] = {
    FileFormat.CSV: csv.read,
    FileFormat.NDJSON: ndjson.read,
    FileFormat.PARQUET: parquet.read,
}

NAMES: dict[FileFormat, Callable[[IO[bytes], FileOptions], list[str]]] = {
    FileFormat.CSV: csv.names,
    FileFormat.NDJSON: ndjson.names,
    FileFormat.PARQUET: parquet.names,
}


def read(file: IO[bytes], plan: Plan, options: FileOptions) -> Iterator[pl.DataFrame]:
    """Raw frames of a file, in its order; raises UnreadableFile."""
    return READERS[options.format](file, plan, options)


def names(file: IO[bytes], options: FileOptions) -> set[str]:
    """What the file calls its columns, and what the options call them; raises BadInput."""
    check_options(options)
    file.seek(0)
    found = NAMES[options.format](file, options)
    return {*found, *(to for name, to in options.columns.items() if name in found)}


def check(file: IO[bytes], plan: Plan, options: FileOptions) -> None:
    """Look at the file's beginning: is it what it claims to be, and whose columns are these? Raises BadInput."""
    check_options(options)
    file.seek(0)
    wrong = sorted(set(options.columns.values()) - plan.all_columns.keys())
    if wrong:
        raise BadInput(
            f"`columns` maps to {', '.join(wrong)}; {plan.resource.name} has {', '.join((*plan.columns, *plan.lists))}."
        )
    if options.format == FileFormat.PARQUET:
        # Its columns stand at its end, which may be gigabytes away: the reader will see them.
        parquet.check_beginning(file)
    elif next(read(file, plan, options), None) is None:
        raise BadInput("The file has no rows.")


def check_options(options: FileOptions) -> None:
    """Whether a file can be read so at all; raises BadInput."""
    check_encoding(options.encoding)
    if len(options.delimiter.encode()) != 1 or options.delimiter in '"\r\n\0':
        raise BadInput(f"A delimiter is one ASCII character, and no quote or line break; not {options.delimiter!r}.")


def header(file: IO[bytes], plan: Plan, options: FileOptions) -> list[tuple[str, str | None]] | None:
    """What a checked file calls its columns, each with its field; None where only the file's reader will see them."""
    if options.format == FileFormat.PARQUET:
        return None
    file.seek(0)
    names = ndjson.header(file, plan) if options.format == FileFormat.NDJSON else csv.names(file, options)
    return list(zip(names, fields_of(plan, names, options) if names else [], strict=True))


def check_encoding(name: str) -> None:
    """Whether Python can decode texts of this encoding, piece by piece; raises BadInput."""
    try:
        " ".encode(name).decode(name)
        codecs.getincrementaldecoder(name)
    except (LookupError, ValueError):
        raise BadInput(f"There is no encoding {name}; utf-8, utf-16 and cp1252 are some.") from None
