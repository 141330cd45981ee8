"""Bytes of an upload as they come, in any number of requests -> parts that are committed; the last ones fill it.

They are collected in the database, whatever the storage: only there an offset and its bytes commit together.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import IO
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from bulkql.workers import quotas
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import BadInput, Expired, LimitExceeded, NotFound, WrongChecksum, WrongOffset, counted
from bulkql.workers.models import Input, StoredFile, Upload
from bulkql.workers.uploads.storage import DatabaseStorage, digest_of_parts, extend
from bulkql.workers.uploads.uploads import discard, expires_at, keyed_digest, name_of, storage

#: Bytes that are committed at once: what a connection that is cut costs at most, beside what was on its way.
COMMIT_BYTES = 4 * 1024 * 1024
CHECKSUMS = ("sha1", "sha256", "md5")


def offset_of(upload: Upload) -> int:
    """The bytes of an upload that are stored; raises Expired where no more are taken."""
    if upload.uploaded_at is not None:
        return upload.size or 0
    if timezone.now() > expires_at(upload):
        raise Expired("This upload has expired; create another one.")
    return StoredFile.objects.filter(name=name_of(upload)).values_list("size", flat=True).first() or 0


def announce_size(upload: Upload, size: int) -> None:
    """How large an upload is going to be that was created without saying so.

    Raises LimitExceeded, BadInput also where more bytes are stored, and Expired.
    """
    check_announced(upload, size)
    check_size(size)
    if upload.size is None and upload.created_by is not None:
        quotas.check_bytes(quotas.upload_quotas(upload.created_by)[0], size)
        with transaction.atomic():
            # No bytes are stored between the look at them and the promise, and no other promise is made.
            known = Upload.objects.select_for_update().filter(pk=upload.pk).first()
            check_announced(known or upload, size)
            if (stored := offset_of(upload)) > size:
                raise BadInput(
                    f"{stored:,} bytes of this upload are stored, and Upload-Length is {size:,}; give the size of the "
                    f"whole file, or begin another upload."
                )
            upload.size = size
            upload.save(update_fields=["size"])


def check_announced(upload: Upload, size: int) -> None:
    """Raises BadInput for another size than was announced."""
    if upload.size not in (None, size):
        raise BadInput(f"The upload was announced with {counted(upload.size, 'byte')}; it cannot have {size:,}.")


def check_size(size: int) -> None:
    """Raises LimitExceeded for more bytes than an upload may have."""
    most = limits().upload_bytes
    if size > most:
        raise LimitExceeded(
            f"{size:,} bytes of an upload exceed the limit of {most:,} ({setting_name('upload_bytes')}); "
            "split the file."
        )


def append(upload_id: UUID, offset: int, data: bytes) -> int:
    """Commit bytes that begin at an offset; gives the offset behind them.

    Raises WrongOffset, Expired, LimitExceeded for more than was announced, NotFound where it was removed meanwhile.
    """
    with transaction.atomic():
        upload = Upload.objects.select_for_update().filter(pk=upload_id).first()
        if upload is None:
            raise NotFound(f"There is no upload {upload_id} any more.")
        stored_to = offset_of(upload)
        if stored_to != offset:
            raise WrongOffset(f"{stored_to:,} bytes of this upload are stored; go on from there, not from {offset:,}.")
        end = offset + len(data)
        check_size(end)
        if upload.size is not None and end > upload.size:
            raise LimitExceeded(
                f"The upload was announced with {counted(upload.size, 'byte')}, and more are coming; announce all of "
                "them."
            )
        if data:
            if upload.size is None and upload.created_by is not None:
                quotas.check_bytes(quotas.upload_quotas(upload.created_by)[0], end)
            extend(StoredFile.objects.get_or_create(name=name_of(upload))[0], data)
        if end == upload.size and upload.uploaded_at is None:
            complete(upload)
    return end


def append_all(upload_id: UUID, offset: int, content: IO[bytes], checksum: str | None = None) -> int:
    """The same with all bytes of a stream; with a checksum (`sha1 BASE64`) all or none.

    Raises WrongChecksum, and BadInput for a checksum that is none.
    """
    if checksum is None:
        for piece in blocks_of(content):
            offset = append(upload_id, offset, piece)
        return append(upload_id, offset, b"")
    name, _, expected = checksum.partition(" ")
    if name not in CHECKSUMS:
        raise BadInput(f"Upload-Checksum has the algorithm {name[:20]!r}; it is one of {', '.join(CHECKSUMS)}.")
    found = hashlib.new(name, usedforsecurity=False)
    digest = decoded(expected.strip())
    if len(digest) != found.digest_size:
        raise BadInput(
            f"Upload-Checksum is {expected[:100]!r} after {name}; the base64 of {found.digest_size} bytes is expected."
        )
    with transaction.atomic():
        for piece in blocks_of(content):
            found.update(piece)
            offset = append(upload_id, offset, piece)
        if found.digest() != digest:
            raise WrongChecksum("The received bytes do not match the checksum; send them again.")
    return offset


def decoded(text: str) -> bytes:
    """The bytes of base64; none of what is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # a letter that is not ASCII, or binascii.Error
        return b""


def blocks_of(content: IO[bytes]) -> Iterator[bytes]:
    while piece := content.read(COMMIT_BYTES):
        yield piece


def complete(upload: Upload) -> None:
    """All bytes are there: they are moved to the storage, where that is another, and the upload can be used."""
    name, collected = name_of(upload), DatabaseStorage()
    upload.digest = keyed_digest(digest_of_parts(StoredFile.objects.get(name=name)))
    upload.path, upload.uploaded_at = name, timezone.now()
    if not isinstance(storage(), DatabaseStorage):
        with collected.open(name) as file:
            upload.path = storage().save(name, file)
        collected.delete(name)
    upload.save(update_fields=["path", "uploaded_at", "digest"])


def terminate(upload: Upload) -> None:
    """Remove an upload and its bytes; raises BadInput where an operation reads it."""
    asking = Input.objects.filter(upload=upload)
    if upload.uploaded_at is None and asking.filter(operation__finished_at=None).exists():
        raise BadInput("An operation waits for the rest of this upload; cancel it first.")
    if asking.exists():
        raise BadInput("An operation uses this upload; it is deleted some days after the operation is over.")
    discard(upload)
