"""/uploads/ID: a file's bytes, of any size, in flat memory: all at once by PUT, or in any number of steps by tus."""

from __future__ import annotations

from http import HTTPStatus
from typing import IO, Any, cast
from uuid import UUID

from channels.db import database_sync_to_async
from django.core.files.base import File
from django.http import HttpRequest, HttpResponse, JsonResponse

from bulkql.schema.context import SIGN_IN
from bulkql.server.auth import failure, user_of_request
from bulkql.server.door.refusals import not_served, serves
from bulkql.server.uploads import tus
from bulkql.workers.errors import BulkError
from bulkql.workers.resources.rights import check_may_upload
from bulkql.workers.uploads import uploads

#: What an upload takes; POST says by a header which of them is meant.
METHODS = ("PUT", "HEAD", "PATCH", "DELETE", "OPTIONS")


@serves(*METHODS, "POST")
async def receive(request: HttpRequest, upload_id: UUID) -> HttpResponse:
    """PUT stores the body in the upload that createUpload announced, all of it or nothing; the others are tus."""
    method = tus.method_of(request)
    if method == "OPTIONS":
        return tus.abilities()
    if method not in METHODS:
        return not_served(request, METHODS)
    return await served(request, method, upload_id)


@serves("POST", "OPTIONS")
async def create(request: HttpRequest) -> HttpResponse:
    """A new upload, for a client that speaks tus alone; others use createUpload."""
    return tus.abilities() if request.method == "OPTIONS" else await served(request, "POST", None)


async def served(request: HttpRequest, method: str, upload_id: UUID | None) -> HttpResponse:
    """The answer to somebody who is known."""
    user = await user_of_request(request)
    if not user.is_authenticated:
        return failure(SIGN_IN, "UNAUTHENTICATED", HTTPStatus.UNAUTHORIZED)
    try:
        # In a thread of many requests, which has to give its connection back.
        response = await database_sync_to_async(serve, thread_sensitive=False)(user, method, upload_id, request)
    except BulkError as error:
        response = tus.refused(error)
    return response if method == "PUT" else tus.versioned(response)


def serve(user: Any, method: str, upload_id: UUID | None, request: HttpRequest) -> HttpResponse:
    """Raises BulkError."""
    check_may_upload(user)
    if method != "PUT" or upload_id is None:
        return tus.answer(user, method, upload_id, request)
    # A request reads like a file; Django has spooled it to disk.
    upload = uploads.fill(uploads.own_upload(user, upload_id), File(cast("IO[bytes]", request)))
    return JsonResponse({"id": str(upload.id), "size": upload.size})
