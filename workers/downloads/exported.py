"""An export -> its files, which are in the storage and may be read from anywhere on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from uuid import UUID

from bulkql.workers.backends import whole_sum
from bulkql.workers.downloads.download import Download, Kept
from bulkql.workers.downloads.failed_rows import Pieces
from bulkql.workers.models import Export
from bulkql.workers.readers.options import COMPRESSIONS, FileFormat
from bulkql.workers.uploads.uploads import storage

#: Bytes that are read at a time; a part of the database's own storage.
READ_BYTES = 1024 * 1024
ENDINGS_OF_COMPRESSIONS: dict[str, str] = {compression: ending for ending, compression in COMPRESSIONS.items()}
MEDIA_TYPES = {".gz": "application/gzip", ".zst": "application/zstd"}


def exported_files(operation_id: UUID) -> Iterator[Download]:
    """The files of an export that is over; none of one that came to no good end, or was a dry run."""
    whole = Export.objects.filter(input__operation=operation_id, size__isnull=False).select_related("input")
    for one in whole.annotate(rows=whole_sum("input__chunks__exported")).order_by("input__position"):
        assert one.size is not None
        yield Download(
            name=name_of_file(one),
            format=FileFormat(one.format),
            rows=one.rows,
            pieces=partial(part_of_file, one.path, 0, one.size),
            kept=Kept(size=one.size, digest=one.digest, part=partial(part_of_file, one.path)),
            media_type=MEDIA_TYPES.get(ending_of(one)),
        )


def name_of_file(export: Export) -> str:
    """financialTransactions.csv.gz"""
    return f"{export.input.resource}.{export.format.lower()}{ending_of(export)}"


def ending_of(export: Export) -> str:
    """What a file's compression adds to its name."""
    is_within = FileFormat(export.format).is_compressed_within
    return "" if is_within else ENDINGS_OF_COMPRESSIONS.get(export.compression, "")


def part_of_file(path: str, start: int, end: int) -> Pieces:
    """The bytes from one place to before another."""
    with closing(storage().open(path)) as file:
        file.seek(start)
        while start < end and (piece := file.read(min(READ_BYTES, end - start))):
            start += len(piece)
            yield piece
