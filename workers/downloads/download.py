"""What is offered for download: written while it is read, or kept as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bulkql.workers.downloads.failed_rows import Pieces
from bulkql.workers.readers.options import FileFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A file that is there: its bytes, their digest, and any part of them by its first byte and the one behind it."""

    size: int
    digest: str
    part: Callable[[int, int], Pieces]


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file, as those see it who fetch it."""

    name: str
    format: FileFormat
    rows: int
    encoding: str = "utf-8"
    pieces: Callable[[], Pieces]
    #: None for one that is written while it is read.
    kept: Kept | None = None
    #: Where the format does not tell it: the file is compressed.
    media_type: str | None = None
