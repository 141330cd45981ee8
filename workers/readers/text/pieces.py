"""Pieces of UTF-8 -> the same, each with whether it is the last; lines that end with CR alone end with LF."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bulkql.workers.errors import UnreadableFile

#: A carriage return that ends no line of Windows's.
BARE_CR = re.compile(rb"\r(?!\n|\Z)")


class Pieces:
    """A text's pieces, of which the first may be looked at before it is taken.

    A file whose first piece has carriage returns and no line feed is one of old Macintoshes, and of some spreadsheets.
    Its carriage returns come out as line feeds, also those within cells: whoever reads it turns these around again.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._next = next(pieces, b"")
        while b"\n" not in self._next and not BARE_CR.search(self._next) and (more := next(pieces, b"")):
            self._next += more
        self.is_cr = b"\n" not in self._next and b"\r" in self._next
        self._next = self._with_line_feeds(self._next)
        self.is_last = False

    def take(self) -> bytes:
        """The next piece; `is_last` is told from then on."""
        piece, self._next = self._next, self._with_line_feeds(next(self._pieces, b""))
        self.is_last = not self._next
        return piece

    def _with_line_feeds(self, piece: bytes) -> bytes:
        if not self.is_cr:
            return piece
        if b"\n" in piece:
            raise UnreadableFile(
                "The file's first lines end with a carriage return (CR) alone, and later ones with a line feed; "
                "save it with one kind of line ends."
            )
        return piece.replace(b"\r", b"\n")
