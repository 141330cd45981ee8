"""Files in the database, so that every web and worker process can read them, whatever host it is on."""

from __future__ import annotations

import io
from collections.abc import Iterator

from django.core.files.base import File
from django.core.files.storage import Storage
from django.db import transaction
from django.utils.deconstruct import deconstructible

from workers.models import StoredFile, StoredPart

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
            for number, data in enumerate(parts_of(content)):
                StoredPart.objects.create(file=stored, number=number, data=data)
                stored.size += len(data)
            stored.save(update_fields=["size"])
        return name

    def delete(self, name: str) -> None:
        StoredFile.objects.filter(name=name).delete()

    def exists(self, name: str) -> bool:
        return StoredFile.objects.filter(name=name).exists()

    def size(self, name: str) -> int:
        return StoredFile.objects.get(name=name).size


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
    """The parts of a stored file as one stream."""

    def __init__(self, stored: StoredFile) -> None:
        self._stored = stored
        self._number = 0
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    # RawIOBase takes any writable buffer; BufferedReader gives it this one.
    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._rest:
            part = self._stored.parts.filter(number=self._number).values_list("data", flat=True).first()
            self._number += 1
            self._rest = memoryview(part if part is not None else b"")
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)
