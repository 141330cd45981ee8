"""tus 1.0 on the urls of uploads: HEAD tells the offset, PATCH goes on from it, DELETE gives it up, POST creates one.

https://tus.io/protocols/resumable-upload, with the extensions creation, creation-defer-length, checksum, expiration and
termination.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from http import HTTPStatus
from typing import IO, Any, cast

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import http_date

from bulkql.schema.mutations import TUS_VERSION
from bulkql.server.auth import STATUSES, failure
from bulkql.server.middleware import SAFE_METHODS
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
    return response


def versioned(response: HttpResponseBase) -> HttpResponseBase:
    """What every answer has, errors too: some of them are kept by caches where nothing is said."""
    response["Tus-Resumable"] = VERSION
    response["Cache-Control"] = "no-store"
    return response


def method_of(method: str, headers: Mapping[str, str]) -> str:
    """A client that cannot send PATCH or DELETE says it in a header; the names of `headers` are in lower case.

    Not with a method that Django takes for harmless: it would check no CSRF token.
    """
    override = None if method in SAFE_METHODS else headers.get("x-http-method-override")
    return (override or method).upper()


def answer(user: Any, method: str, upload_id: Any, request: HttpRequest) -> HttpResponse:
    """HEAD, PATCH and DELETE of an upload, POST for a new one; raises BulkError."""
    if request.headers.get("Tus-Resumable") != VERSION:
        response = failure(f"This is tus {VERSION}: send Tus-Resumable: {VERSION}.", "BAD_INPUT", 412)
        response["Tus-Version"] = VERSION
        return response
    if method == "POST":
        return created(user, request)
    if method == "PATCH" and request.content_type != BYTES:
        text = f"The Content-Type of a PATCH must be {BYTES}, not {(request.content_type or 'left out')[:100]}."
        return failure(text, "BAD_INPUT", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
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
    if "Upload-Concat" in request.headers:
        raise BadInput(
            "Upload-Concat is not possible here; send the file as one upload (in tus-js-client, parallelUploads: 1)."
        )
    length, deferred = request.headers.get("Upload-Length"), request.headers.get("Upload-Defer-Length")
    if deferred not in (None, "1") or (length is None) == (deferred is None):
        raise BadInput("Say how large the upload is, with Upload-Length, or send Upload-Defer-Length: 1; one of them.")
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
    except ValueError:
        raise BadInput("The filename of Upload-Metadata is not base64 of UTF-8.") from None


def told(upload: Upload, status: int, offset: int) -> HttpResponse:
    """Where an upload stands."""
    response = HttpResponse(status=status)
    response["Upload-Offset"] = str(offset)
    response["Upload-Expires"] = http_date(uploads.expires_at(upload).timestamp())
    # The name is all that is kept of it.
    response["Upload-Metadata"] = f"filename {base64.b64encode(upload.name.encode()).decode()}"
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
