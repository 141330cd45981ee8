"""GET /files/ID/SIGNATURE/NAME: a file of a finished operation, or a template, written while it is sent.

Those of an export are kept, so that any part of them can be asked for: a download that broke off goes on where it was.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header

from bulkql.schema.context import SIGN_IN
from bulkql.schema.limits.shares import DOWNLOADS
from bulkql.schema.permissions import check_contents, readable_operation
from bulkql.schema.templates.columns import named_template, template_of
from bulkql.server.auth import failure, user_of_request
from bulkql.server.door.refusals import serves
from bulkql.server.traffic.connections import hold
from bulkql.server.traffic.ranges import ByteRange, Unsatisfiable, is_known, is_meant, range_of
from bulkql.workers.downloads import signatures
from bulkql.workers.downloads.download import Download, Kept
from bulkql.workers.downloads.failed_rows import Pieces
from bulkql.workers.downloads.files import downloads
from bulkql.workers.errors import Expired, Forbidden, NotFound, TooManyAtOnce
from bulkql.workers.readers.options import FileFormat
from bulkql.workers.resources.registry import registered

if TYPE_CHECKING:
    from django.contrib.auth.models import User

CONTENT_TYPES = {
    FileFormat.CSV: "text/csv",
    FileFormat.NDJSON: "application/x-ndjson",
    FileFormat.PARQUET: "application/vnd.apache.parquet",
    FileFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@serves("GET", "HEAD")
async def send(request: HttpRequest, operation_id: UUID, signature: str, name: str) -> HttpResponseBase:
    """A file to those who may see its operation, while the link is good."""
    return await answer(request, lambda user: find(user, operation_id, signature, name))


@serves("GET", "HEAD")
async def send_template(request: HttpRequest, signature: str, name: str) -> HttpResponseBase:
    """A workbook to fill in, to those who may write its resource's rows, while the link is good."""
    return await answer(request, lambda user: find_template(user, signature, name))


async def answer(request: HttpRequest, find_for: Callable[[User], Download]) -> HttpResponseBase:
    """What is found for the user of a request; or why it is not."""
    user = await user_of_request(request)
    if not user.is_authenticated:
        return failure(SIGN_IN, "UNAUTHENTICATED", HTTPStatus.UNAUTHORIZED)
    try:
        await hold(request, DOWNLOADS.taken(user.pk))
        download = await sync_to_async(find_for)(user)
    except Forbidden as error:
        return failure(str(error), error.code, HTTPStatus.FORBIDDEN)
    except TooManyAtOnce as error:
        return failure(str(error), error.code, HTTPStatus.TOO_MANY_REQUESTS)
    except NotFound as error:
        status = HTTPStatus.GONE if isinstance(error, Expired) else HTTPStatus.NOT_FOUND
        return failure(str(error), error.code, status)
    if download.kept is not None:
        return kept_file(request, download, download.kept)
    headers = headers_of(download)
    if request.method == "HEAD":
        # Nobody knows its length before it is written; Django would tell that of an empty body.
        return StreamingHttpResponse(nothing(), headers=headers)
    return StreamingHttpResponse(in_thread(download.pieces()), headers=headers)


def kept_file(request: HttpRequest, download: Download, kept: Kept) -> HttpResponseBase:
    """All of a file that is there, or the part that is asked for."""
    etag = f'"{kept.digest}"'
    headers = {**headers_of(download), "Accept-Ranges": "bytes", "ETag": etag}
    if not is_meant(request.headers, etag):
        return failure("The file is not the one of If-Match.", "BAD_INPUT", HTTPStatus.PRECONDITION_FAILED)
    if is_known(request.headers, etag):
        return HttpResponse(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    if request.method == "HEAD":  # a range is asked for by GET alone
        return HttpResponse(headers={**headers, "Content-Length": str(kept.size)})
    try:
        asked = range_of(request.headers, kept.size, etag)
    except Unsatisfiable:
        refused = failure(f"The file has {kept.size:,} bytes.", "BAD_INPUT", HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        refused["Content-Range"] = f"bytes */{kept.size}"
        return refused
    part = asked or ByteRange(0, kept.size)
    headers["Content-Length"] = str(part.end - part.start)
    if asked is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{kept.size}"
    status = HTTPStatus.OK if asked is None else HTTPStatus.PARTIAL_CONTENT
    return StreamingHttpResponse(in_thread(kept.part(part.start, part.end)), headers=headers, status=status)


def find(user: User, operation_id: UUID, signature: str, name: str) -> Download:
    """The file of a good link; raises NotFound, Expired, Forbidden."""
    operation = readable_operation(user, str(operation_id))
    check_contents(user, operation)
    signatures.check_signature(operation.pk, name, signature)
    found = next((download for download in downloads(operation.pk) if download.name == name), None)
    if found is None:
        raise NotFound(f"Operation {operation.pk} has no file {name}.")
    return found


def find_template(user: User, signature: str, name: str) -> Download:
    """The template of a good link, as the user's rights are now; raises NotFound, Expired, Forbidden."""
    try:
        signatures.check_signature(signatures.TEMPLATES, name, signature)
    except Expired:
        raise Expired("This link has expired; ask for the resourceTemplate again.") from None
    except NotFound:
        raise NotFound("There is no such template; ask for a resourceTemplate.") from None
    return template_of(*named_template(name, registered()), user)


def headers_of(download: Download) -> dict[str, str]:
    """What the file is, and that it is to be saved, by this client alone."""
    charset = f"; charset={download.encoding}" if download.format == FileFormat.CSV else ""
    return {
        "Content-Type": download.media_type or f"{CONTENT_TYPES[download.format]}{charset}",
        "Content-Disposition": content_disposition_header(True, download.name) or "attachment",
        "Cache-Control": "private, no-store",
    }


async def nothing() -> AsyncGenerator[bytes, None]:
    """The body of an answer to HEAD."""
    return
    yield b""


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
