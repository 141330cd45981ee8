"""The body of a PATCH -> committed parts, while it comes: what a connection that is cut has brought is kept.

Django would spool all of it first, and forget it where the client goes away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from django.db import InterfaceError, OperationalError

from bulkql.schema.failures import outage
from bulkql.server.auth import bearer
from bulkql.server.uploads import tus
from bulkql.workers.conf import limits
from bulkql.workers.errors import BulkError, Unavailable
from bulkql.workers.uploads import resumed, uploads


def is_streamed(scope: Any, headers: Mapping[str, str]) -> bool:
    """Whether a body is stored as it comes.

    One with a checksum waits for its end. One without a token is Django's to look at first: a page may have sent it.
    """
    return (
        tus.method_of(scope["method"], headers) == "PATCH"
        and bearer(headers.get("authorization")) is not None
        and "upload-checksum" not in headers
        and headers.get("tus-resumable") == tus.VERSION
        and headers.get("content-type") == tus.BYTES
    )


async def streamed(user: Any, upload_id: UUID, headers: Mapping[str, str], receive: Any) -> int | BulkError | None:
    """The offset behind a body, once it is committed; the error; or None where its client has gone."""
    try:
        offset = await database_sync_to_async(begin, thread_sensitive=False)(user, upload_id, headers)
        return await store(upload_id, offset, receive)
    except BulkError as error:
        return error
    except (OperationalError, InterfaceError) as error:
        return Unavailable(f"{outage(error)} What was committed is stored: ask for the offset.")


def begin(user: Any, upload_id: UUID, headers: Mapping[str, str]) -> int:
    """The offset from which a body goes on; raises BulkError."""
    upload = uploads.own_upload(user, upload_id)
    tus.prepare(upload, headers.get("upload-length"))
    offset = tus.number(headers.get("upload-offset"), "Upload-Offset")
    # Nothing of a body is read that would be refused.
    return resumed.append(upload_id, offset, b"")


async def store(upload_id: UUID, offset: int, receive: Any) -> int | None:
    """Commit what comes, a few megabytes at a time."""
    append = database_sync_to_async(resumed.append, thread_sensitive=False)
    waiting = bytearray()
    while True:
        is_cut, is_stalled, message = False, False, {}
        try:
            async with asyncio.timeout(limits().stall_seconds):
                message = await receive()
        except TimeoutError:
            is_stalled = True
        waiting += message.get("body", b"")
        is_cut = message.get("type") == "http.disconnect"
        is_whole = not is_cut and not is_stalled and not message.get("more_body", False)
        if waiting and (len(waiting) >= resumed.COMMIT_BYTES or is_cut or is_stalled or is_whole):
            offset = await append(upload_id, offset, bytes(waiting))
            waiting.clear()
        if is_stalled:
            raise Unavailable("No more of the body arrived for too long; what arrived is stored: ask for the offset.")
        if is_cut:
            return None
        if is_whole:
            return offset
