"""tus 1.0 on the urls of uploads: HEAD tells the offset, PATCH goes on from it, DELETE gives it up, POST creates one.

https://tus.io/protocols/resumable-upload, with the extensions creation, creation-defer-length, checksum, expiration and
termination.
"""

from __future__ import annotations

import base64
import binascii
from http import HTTPStatus
from typing import IO, Any, cast

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import http_date

from bulkql.schema.mutations import TUS_VERSION
from bulkql.server.auth import STATUSES, failure
from bulkql.workers.conf import limits
from bulkql.workers.errors import BadInput, BulkError, Expired, WrongChecksum, WrongOffset
from bulkql.workers.models import Upload
from bulkql.workers.uploads import resumed, uploads

VERSION = TUS_VERSION
BYTES = "application/offset+octet-stream"
EXTENSIONS = "creation,creation-defer-length,checksum,expiration,termination"
#: In the scope of a PATCH whose bytes were stored as they came (server/uploads/streaming.py): the offset behind them,
#: or the error.
RECEIVED = "bulkql.received"
#: The protocol's own status for a checksum that differs.
CHECKSUM_MISMATCH = 460


def abilities() -> HttpResponse:
    """What OPTIONS answers."""
    response = HttpResponse(status=HTTPStatus.NO_CONTENT)
    response["Tus-Version"] = VERSION
    response["Tus-Extension"] = EXTENSIONS
    response["Tus-Max-Size"] = str(limits().upload_bytes)
    response["Tus-Checksum-Algorithm"] = ",".join(resumed.CHECKSUMS)
    return versioned(response)


def versioned(response: HttpResponse) -> HttpResponse:
    response["Tus-Resumable"] = VERSION
    return response


def method_of(request: HttpRequest) -> str:
    """A client that cannot send PATCH or DELETE says it in a header."""
    override = request.headers.get("X-HTTP-Method-Override") if request.method == "POST" else None
    return (override or request.method or "").upper()


def answer(user: Any, method: str, upload_id: Any, request: HttpRequest) -> HttpResponse:
    """HEAD, PATCH and DELETE of an upload, POST for a new one; raises BulkError."""
    if request.headers.get("Tus-Resumable") != VERSION:
        response = failure(f"This is tus {VERSION}: send Tus-Resumable: {VERSION}.", "BAD_INPUT", 412)
        response["Tus-Version"] = VERSION
        return response
    if method == "POST":
        return created(user, request)
    upload = uploads.own_upload(user, upload_id)
    if method == "HEAD":
        return told(upload, HTTPStatus.OK, resumed.offset_of(upload))
    if method == "DELETE":
        resumed.terminate(upload)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    return told(upload, HTTPStatus.NO_CONTENT, received(upload, request))


def received(upload: Upload, request: HttpRequest) -> int:
    """The offset behind a PATCH's bytes."""
    done = getattr(request, "scope", {}).get(RECEIVED)
    if isinstance(done, BulkError):
        raise done
    if done is not None:
        return int(done)
    if request.content_type != BYTES:
        raise BadInput(f"The Content-Type of a PATCH must be {BYTES}.")
    prepare(upload, request.headers.get("Upload-Length"))
    offset = number(request.headers.get("Upload-Offset"), "Upload-Offset")
    # A request reads like a file.
    content = cast("IO[bytes]", request)
    return resumed.append_all(upload.pk, offset, content, request.headers.get("Upload-Checksum"))


def prepare(upload: Upload, length: str | None) -> None:
    """The size of an upload that was created without one."""
    if length is not None:
        resumed.announce_size(upload, number(length, "Upload-Length"))


def number(text: str | None, name: str) -> int:
    """A header that is a number of bytes; raises BadInput."""
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise BadInput(f"{name} must be a whole number of bytes, not {(text or 'left out')[:40]}.")
    return int(text)


def created(user: Any, request: HttpRequest) -> HttpResponse:
    """A new upload, as createUpload makes one."""
    length = request.headers.get("Upload-Length")
    if length is None and request.headers.get("Upload-Defer-Length") != "1":
        raise BadInput("Say how large the upload is, with Upload-Length, or send Upload-Defer-Length: 1.")
    size = None if length is None else number(length, "Upload-Length")
    if size is not None:
        resumed.check_size(size)
    name = file_name(request.headers.get("Upload-Metadata", ""))
    upload = uploads.announce(user, name, size)
    response = told(upload, HTTPStatus.CREATED, 0)
    response["Location"] = request.build_absolute_uri(reverse("bulkql:upload", args=[upload.id]))
    return response


def file_name(metadata: str) -> str:
    """The filename, or name, of Upload-Metadata: `filename BASE64,filetype BASE64`."""
    pairs = dict(pair.strip().partition(" ")[::2] for pair in metadata.split(","))
    encoded = pairs.get("filename") or pairs.get("name")
    if not encoded:
        raise BadInput("Upload-Metadata needs a filename; its ending determines the format.")
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise BadInput("The filename of Upload-Metadata is not base64 of UTF-8.") from None


def told(upload: Upload, status: int, offset: int) -> HttpResponse:
    """Where an upload stands."""
    response = HttpResponse(status=status)
    response["Upload-Offset"] = str(offset)
    response["Upload-Expires"] = http_date(uploads.expires_at(upload).timestamp())
    response["Cache-Control"] = "no-store"
    if upload.size is None:
        response["Upload-Defer-Length"] = "1"
    else:
        response["Upload-Length"] = str(upload.size)
    return response


def refused(error: BulkError) -> HttpResponse:
    """An error with the status that the protocol has for it."""
    statuses = {WrongOffset: HTTPStatus.CONFLICT, WrongChecksum: CHECKSUM_MISMATCH, Expired: HTTPStatus.GONE}
    status = statuses.get(type(error)) or STATUSES.get(error.code, HTTPStatus.BAD_REQUEST)
    return failure(str(error), error.code, status)
