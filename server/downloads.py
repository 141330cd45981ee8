"""GET /files/ID/SIGNATURE/NAME: a file of a finished operation, written while it is sent, in flat memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_http_methods

from bulkql.schema.context import SIGN_IN
from bulkql.schema.limits.shares import DOWNLOADS
from bulkql.schema.permissions import hidden_contents, operation_for
from bulkql.server.auth import failure, user_of_request
from bulkql.server.traffic.connections import hold
from bulkql.workers.downloads import signatures
from bulkql.workers.downloads.failed_rows import Pieces
from bulkql.workers.downloads.files import Download, downloads
from bulkql.workers.errors import Expired, Forbidden, NotFound, TooManyAtOnce
from bulkql.workers.readers.options import FileFormat

if TYPE_CHECKING:
    from django.contrib.auth.models import User

CONTENT_TYPES = {
    FileFormat.CSV: "text/csv",
    FileFormat.NDJSON: "application/x-ndjson",
    FileFormat.PARQUET: "application/vnd.apache.parquet",
    FileFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@require_http_methods(["GET"])
async def send(request: HttpRequest, operation_id: UUID, signature: str, name: str) -> HttpResponseBase:
    """A file to those who may see its operation, while the link is good."""
    user = await user_of_request(request)
    if not user.is_authenticated:
        return failure(SIGN_IN, "UNAUTHENTICATED", HTTPStatus.UNAUTHORIZED)
    try:
        await hold(request, DOWNLOADS.taken(user.pk))
        download = await sync_to_async(find)(user, operation_id, signature, name)
    except Forbidden as error:
        return failure(str(error), error.code, HTTPStatus.FORBIDDEN)
    except TooManyAtOnce as error:
        return failure(str(error), error.code, HTTPStatus.TOO_MANY_REQUESTS)
    except NotFound as error:
        status = HTTPStatus.GONE if isinstance(error, Expired) else HTTPStatus.NOT_FOUND
        return failure(str(error), error.code, status)
    return StreamingHttpResponse(in_thread(download.pieces()), headers=headers_of(download))


def find(user: User, operation_id: UUID, signature: str, name: str) -> Download:
    """The file of a good link; raises NotFound, Expired, Forbidden."""
    operation = operation_for(user, str(operation_id))
    for resource, permission in hidden_contents(user, operation).items():
        raise Forbidden(f"Reading {resource} needs the permission {permission}.")
    signatures.check(operation.pk, name, signature)
    found = next((download for download in downloads(operation.pk) if download.name == name), None)
    if found is None:
        raise NotFound(f"Operation {operation.pk} has no file {name}.")
    return found


def headers_of(download: Download) -> dict[str, str]:
    """What the file is, and that it is to be saved, by this client alone."""
    charset = f"; charset={download.encoding}" if download.format == FileFormat.CSV else ""
    return {
        "Content-Type": f"{CONTENT_TYPES[download.format]}{charset}",
        "Content-Disposition": content_disposition_header(True, download.name) or "attachment",
        "Cache-Control": "private, no-store",
    }


async def in_thread(pieces: Pieces) -> AsyncGenerator[bytes, None]:
    """The same pieces, each made in the request's own thread, so that the event loop never waits for the database."""
    try:
        while (piece := await sync_to_async(next_of)(pieces)) is not None:
            yield piece
    finally:
        # A client that goes away leaves no temporary file behind.
        await sync_to_async(pieces.close)()


def next_of(pieces: Pieces) -> bytes | None:
    """StopIteration does not pass from a thread into a coroutine."""
    try:
        return next(pieces, None)
    finally:
        # The client takes its time to read; others need the connection.
        close_old_connections()
