"""A compressed file -> its bytes, as they are read; no more of them than its own size can explain."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from typing import IO, cast

import zstandard

from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import UnreadableFile
from bulkql.workers.readers.options import Compression

#: Bytes of a file that may expand as far as the limit allows for so many, however few it has.
LEAST_BYTES = 64 * 1024
#: Bytes of memory that zstd may look back: what its own command allows without being asked.
WINDOW_BYTES = 128 * 1024 * 1024
#: Bytes that are expanded at a time: four of them may be a block of 128 kB.
ZSTD_BYTES = 1024
#: zstd files may begin with a frame that is skipped, as those of pzstd do.
MAGIC = {
    Compression.GZIP: re.compile(rb"\x1f\x8b"),
    Compression.ZSTD: re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
}
WORDS = {Compression.GZIP: "gzip", Compression.ZSTD: "zstd"}
DAMAGES = (EOFError, OSError, zlib.error, zstandard.ZstdError)


def decompressed(file: IO[bytes], compression: Compression | None) -> IO[bytes]:
    """The file from its beginning, as it was before it was compressed; raises UnreadableFile."""
    file.seek(0)
    if compression is None:
        return file
    if not MAGIC[compression].match(file.read(4)):
        raise UnreadableFile(f"The file's name says {WORDS[compression]}, and the file is not compressed that way.")
    size = file.seek(0, io.SEEK_END) or file.tell()
    file.seek(0)
    return cast("IO[bytes]", Expanded(file, size, compression))


class Zstd:
    """The frames of a zstd file as one text. The library's own reader says nothing where a file is cut off."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES)
        self._frame = self._decompressor.decompressobj()
        self._is_whole = True
        self._held = b""

    def read(self, size: int) -> bytes:
        while len(self._held) < size and (piece := self._file.read(ZSTD_BYTES)):
            self._held += self._expanded(piece)
        if len(self._held) < size and not self._is_whole:
            raise EOFError("it ends within a frame")
        piece, self._held = self._held[:size], self._held[size:]
        return piece

    def _expanded(self, piece: bytes) -> bytes:
        found = []
        while piece:
            found.append(self._frame.decompress(piece))
            self._is_whole, piece = self._frame.eof, self._frame.unused_data
            if self._is_whole:
                self._frame = self._decompressor.decompressobj()
        return b"".join(found)


def why_not_expanded(error: Exception) -> str:
    """What is wrong with a compressed file, or too much for those who read it."""
    for sign, words in REFUSALS.items():
        if sign in str(error):
            return words
    return f"is damaged or cut off: {error}"


#: What zstd says -> what that means.
REFUSALS = {
    "Dictionary mismatch": "was compressed with a dictionary; compress it without one",
    "too much memory": f"looks back more than {WINDOW_BYTES:,} bytes (zstd --long); compress it without that",
}


class Expanded:
    """A compressed file as it is read; raises UnreadableFile for a damaged one, and past its limit."""

    def __init__(self, file: IO[bytes], size: int, compression: Compression) -> None:
        self._words = WORDS[compression]
        self._most = limits().compression_expansion * max(size, LEAST_BYTES)
        self._read = 0
        if compression == Compression.GZIP:
            self._source: IO[bytes] = cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="rb"))
        else:
            self._source = cast("IO[bytes]", Zstd(file))

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes; fewer only at the end."""
        try:
            piece = self._source.read(size)
        except DAMAGES as error:
            raise UnreadableFile(f"The {self._words} file {why_not_expanded(error)}.") from error
        self._read += len(piece)
        if self._read > self._most:
            raise UnreadableFile(
                f"The {self._words} file expands to more than {self._most:,} bytes, {limits().compression_expansion:,} "
                f"for each of its own ({setting_name('compression_expansion')}); send it uncompressed."
            )
        return piece

    def tell(self) -> int:
        """Bytes that were read."""
        return self._read
