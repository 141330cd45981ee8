"""Storage: a file that is written, read and removed again."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator

from django.core.files.base import ContentFile

from bulkql.server.doctor.findings import Finding, doubtful, ill, well
from bulkql.workers.conf import limits
from bulkql.workers.uploads.uploads import storage

CONTENT = b"bulkql doctor\n"
CHANGE = "Every web and worker process must reach the storage that BULKQL_STORAGE, or STORAGES, names."
ROOM = "Free some space, or set TMPDIR: incoming files are kept there at first."


def look_at_storage() -> Iterator[Finding]:
    """What is stored is read again, byte for byte."""
    found = storage()
    name = found.save(f"uploads/doctor-{uuid.uuid4().hex}", ContentFile(CONTENT))
    try:
        with found.open(name) as file:
            is_same = file.read() == CONTENT
    finally:
        found.delete(name)
    kind = type(found).__name__
    if is_same:
        yield well("storage", f"{kind}: a file was stored, read and removed")
    else:
        yield ill("storage", f"{kind} returned other bytes than were stored", CHANGE)


def look_at_disk() -> Iterator[Finding]:
    """Uploads that come with a request wait on this machine's disk."""
    directory = tempfile.gettempdir()
    free = shutil.disk_usage(directory).free
    seen = f"{free / 2**30:.1f} GiB free in {directory}"
    if free < limits().multipart_bytes * 2:
        yield doubtful("disk", seen, ROOM)
    else:
        yield well("disk", seen)
