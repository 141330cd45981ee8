"""A file's bytes -> a durable upload that every process can read."""

from __future__ import annotations

import hashlib
import io
from datetime import datetime, timedelta
from functools import partial
from typing import IO, TYPE_CHECKING, cast
from uuid import UUID

from django.core.files.base import File
from django.core.files.storage import Storage, storages
from django.db import connection, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from bulkql.workers import quotas
from bulkql.workers.conf import limits
from bulkql.workers.errors import BadInput, IncompleteUpload, NotFound, counted
from bulkql.workers.models import Input, StoredFile, Upload
from bulkql.workers.uploads.storage import PART_BYTES, DatabaseStorage, Parts

if TYPE_CHECKING:
    from django.contrib.auth.models import User


#: More bytes than are looked at to tell what a file of text is.
BEGINNING_BYTES = 8 * 1024 * 1024


def storage() -> Storage:
    """Where uploads are kept: the alias `bulkql` of Django's STORAGES; without it, the database."""
    return storages["bulkql"] if "bulkql" in storages.backends else DatabaseStorage()


def announce(user: User, name: str, size: int | None) -> Upload:
    """A place for a file that comes later."""
    if not name.strip() or "\0" in name:
        raise BadInput("An upload needs a name; its ending determines the format.")
    if size is not None and size <= 0:
        raise BadInput(f"An upload of {size} bytes has no rows.")
    quotas.check_new_upload(user, size)
    return Upload.objects.create(name=name[:255], size=size, created_by=user)


def expires_at(upload: Upload) -> datetime:
    """When an upload that was not filled can no longer be."""
    at: datetime = upload.created_at + timedelta(seconds=limits().upload_seconds)
    return at


def check_is_awaited(upload: Upload) -> None:
    """Raises BadInput for an upload that has its file, or whose time is over."""
    if upload.uploaded_at is not None:
        raise BadInput("This upload already has its file; create another one.")
    if timezone.now() > expires_at(upload):
        raise BadInput("This upload has expired; create another one.")


def fill(upload: Upload, content: File[bytes]) -> Upload:
    """Store an announced upload's bytes. All of them or none; twice is refused."""
    check_is_awaited(upload)
    # One commit, where the bytes go into the database too.
    with transaction.atomic():
        lock_upload(upload)
        if Input.objects.filter(upload=upload).exists():
            raise BadInput("An operation waits for the rest of this upload; send that by tus.")
        # What came of it by tus before: this is all of it.
        DatabaseStorage().delete(name_of(upload))
        hashed = HashedFile(content)
        path = storage().save(name_of(upload), hashed)
        stored = storage().size(path)
        if upload.size is None and upload.created_by is not None:
            quotas.check_bytes(quotas.upload_quotas(upload.created_by)[0], stored)
        if stored == 0 or upload.size not in (None, stored):
            storage().delete(path)
            if upload.size is None:
                raise BadInput("The upload has no bytes; send at least one.")
            announced = counted(upload.size, "byte")
            raise BadInput(f"The upload was announced with {announced}, but {stored:,} came; send it again.")
        upload.path, upload.size, upload.uploaded_at = path, stored, timezone.now()
        upload.digest = hashed.digest_of(stored)
        upload.save(update_fields=["path", "size", "uploaded_at", "digest"])
    return upload


def name_of(upload: Upload) -> str:
    """The name under which an upload's bytes are stored."""
    return f"uploads/{upload.id}"


def discard(upload: Upload) -> None:
    """Delete an upload and its bytes, once that is committed. The row first: an operation that asks for it keeps it."""
    with transaction.atomic():
        name, path = name_of(upload), upload.path
        upload.delete()
        if path:
            transaction.on_commit(partial(storage().delete, path))
        if not path or path != name:
            transaction.on_commit(partial(DatabaseStorage().delete, name))


class HashedFile(File):  # type: ignore[type-arg]  # generic in the stubs alone
    """A file whose bytes are hashed as they are read into a storage, in parts, as those are that come by tus."""

    def __init__(self, content: File[bytes]) -> None:
        # Of an upload that was spooled the path is not told: a storage would move it, and read nothing.
        super().__init__(cast("IO[bytes]", content), name=content.name)
        self._whole, self._part = hashlib.sha256(), hashlib.sha256()
        self._bytes = 0

    def read(self, size: int = -1) -> bytes:
        piece = cast("IO[bytes]", self.file).read(size)
        rest = memoryview(piece)
        while rest:
            room = PART_BYTES - self._bytes % PART_BYTES
            self._part.update(rest[:room])
            self._bytes += len(rest[:room])
            if self._bytes % PART_BYTES == 0:
                self._end_part()
            rest = rest[room:]
        return piece

    def _end_part(self) -> None:
        self._whole.update(self._part.digest())
        self._part = hashlib.sha256()

    def digest_of(self, size: int) -> str:
        """The hash of a file of so many bytes; none where the storage read some twice, or not at all."""
        if self._bytes != size:
            return ""
        if size % PART_BYTES:
            self._end_part()
        return keyed_digest(self._whole.hexdigest())


def keyed_digest(digest: str) -> str:
    """A digest with the secret: of a file that is known but for a password, one alone would soon tell that too."""
    return salted_hmac("bulkql: upload", digest, algorithm="sha256").hexdigest()


def lock_upload(upload: Upload) -> None:
    """Lock an upload for whoever fills it, to the end of the transaction; raises BadInput where others do, or did."""
    waits = not connection.features.has_select_for_update_skip_locked
    mine = Upload.objects.select_for_update(skip_locked=not waits).filter(pk=upload.pk).first()
    if mine is None:
        raise BadInput("This upload is being sent by another request; create another one.")
    if mine.uploaded_at is not None:
        raise BadInput("This upload already has its file; create another one.")


def own_upload(user: User, upload_id: UUID | str) -> Upload:
    """The user's own upload; raises NotFound."""
    try:
        return Upload.objects.get(id=UUID(str(upload_id)), created_by=user)
    except (Upload.DoesNotExist, ValueError):
        raise NotFound(f"There is no upload {str(upload_id)[:100]} of yours.") from None


def open_upload(upload: Upload) -> File[bytes]:
    """The upload's bytes, from their beginning. To read past what is stored of a coming one raises IncompleteUpload."""
    if upload.uploaded_at is not None:
        return storage().open(upload.path)
    return File(io.BufferedReader(ComingParts(StoredFile.objects.get(name=name_of(upload))), PART_BYTES))


class ComingParts(Parts):
    """What is stored of a file of which more is coming: it has no end yet."""

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as that of Parts
        taken = super().readinto(buffer)
        if not taken:
            raise IncompleteUpload(
                "Too few bytes of this upload have arrived to determine its format; send the rest first."
            )
        return taken


def has_beginning(upload: Upload) -> bool:
    """Whether so much of an upload is stored that one can tell what it is."""
    if upload.uploaded_at is not None:
        return True
    return StoredFile.objects.filter(name=name_of(upload), size__gte=BEGINNING_BYTES).exists()


def check_has_beginning(upload: Upload) -> None:
    """The same; raises IncompleteUpload."""
    if not has_beginning(upload):
        raise IncompleteUpload(
            f"Upload {upload.id} is not complete; send the rest of its bytes to the URL from createUpload."
        )
