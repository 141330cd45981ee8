"""Files in the database, so that every web and worker process can read them, whatever host it is on."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator

import psycopg
from django.core.files.base import File
from django.core.files.storage import Storage
from django.db import DEFAULT_DB_ALIAS, connection, transaction
from django.utils.deconstruct import deconstructible

from bulkql.workers.backends import backend
from bulkql.workers.models import StoredFile, StoredPart

PART_BYTES = 1024 * 1024


@deconstructible
class DatabaseStorage(Storage):
    """A Django storage that keeps files in parts of a megabyte. Files are written once, whole or not at all."""

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        if mode != "rb":
            raise ValueError(f"Stored files are read only; {mode} is not possible.")
        try:
            stored = StoredFile.objects.get(name=name)
        except StoredFile.DoesNotExist:
            raise FileNotFoundError(name) from None
        return File(io.BufferedReader(Parts(stored), PART_BYTES), name)

    def _save(self, name: str, content: File[bytes]) -> str:
        with transaction.atomic():
            stored = StoredFile.objects.create(name=name)
            parts = enumerate(parts_of(content))
            store = copied_parts if backend(DEFAULT_DB_ALIAS).supports_copy else inserted_parts
            stored.size = store(stored, parts)
            stored.save(update_fields=["size"])
        return name

    def delete(self, name: str) -> None:
        with transaction.atomic():
            StoredPart.objects.filter(file__name=name).delete_unheard()
            StoredFile.objects.filter(name=name).delete()

    def exists(self, name: str) -> bool:
        return StoredFile.objects.filter(name=name).exists()

    def size(self, name: str) -> int:
        return StoredFile.objects.get(name=name).size


def extend(stored: StoredFile, data: bytes) -> None:
    """Append bytes to a file, in the caller's transaction: its last part is filled, and others follow."""
    number, filled = divmod(stored.size, PART_BYTES)
    stored.size += len(data)
    if filled:
        data = bytes(part_bytes(stored, number)) + data
        StoredPart.objects.filter(file=stored, number=number).delete_unheard()
    pieces = (data[start : start + PART_BYTES] for start in range(0, len(data), PART_BYTES))
    parts = enumerate(pieces, number)
    if backend(DEFAULT_DB_ALIAS).supports_copy:
        copied_parts(stored, parts, with_digests=True)
    else:
        inserted_parts(stored, parts, with_digests=True)
    stored.save(update_fields=["size"])


def digest_of_parts(stored: StoredFile) -> str:
    """What tells the bytes of a file that was extended: the hash of its parts' hashes."""
    whole = hashlib.sha256()
    for digest in stored.parts.order_by("number").values_list("digest", flat=True):
        whole.update(bytes.fromhex(digest))
    return whole.hexdigest()


def inserted_parts(stored: StoredFile, parts: Iterable[tuple[int, bytes]], *, with_digests: bool = False) -> int:
    """Store a file's parts, one by one; gives their bytes."""
    size = 0
    for number, data in parts:
        StoredPart.objects.create(
            file=stored, number=number, data=data, digest=part_digest(data) if with_digests else ""
        )
        size += len(data)
    return size


def copied_parts(stored: StoredFile, parts: Iterable[tuple[int, bytes]], *, with_digests: bool = False) -> int:
    """The same through PostgreSQL's COPY: as they are, where Django writes a number of two digits for each byte."""
    size = 0
    statement = f"COPY {StoredPart._meta.db_table} (file_id, number, data, digest) FROM STDIN (FORMAT BINARY)"
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as stream:
        stream.set_types(["int8", "int4", "bytea", "text"])
        for number, data in parts:
            stream.write_row((stored.pk, number, data, part_digest(data) if with_digests else ""))
            size += len(data)
    return size


def part_digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def part_bytes(stored: StoredFile, number: int) -> bytes | memoryview:
    """A part's bytes; none behind the last."""
    found = stored.parts.filter(number=number).values_list("data")
    if not backend(DEFAULT_DB_ALIAS).supports_copy:
        row = found.first()
    else:
        # Binary, for the same reason.
        connection.ensure_connection()
        with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
            row = cursor.execute(*found.query.sql_with_params(), binary=True).fetchone()
    return b"" if row is None else row[0]


def parts_of(content: File[bytes]) -> Iterator[bytes]:
    """The content in parts of one size, but for the last."""
    rest = b""
    for piece in content.chunks(PART_BYTES):
        rest += piece
        while len(rest) >= PART_BYTES:
            yield rest[:PART_BYTES]
            rest = rest[PART_BYTES:]
    if rest:
        yield rest


class Parts(io.RawIOBase):
    """The parts of a stored file as one stream, one of them in memory at a time."""

    def __init__(self, stored: StoredFile) -> None:
        self._stored = stored
        self._place = 0
        self._number = -1
        self._data = memoryview(b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._stored.size}
        self._place = starts[whence] + offset
        return self._place

    # RawIOBase takes any writable buffer; BufferedReader gives it this one.
    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        number, start = divmod(self._place, PART_BYTES)
        if number != self._number:
            self._data, self._number = memoryview(part_bytes(self._stored, number)), number
        taken = self._data[start : start + len(buffer)]
        buffer[: len(taken)] = taken
        self._place += len(taken)
        return len(taken)
