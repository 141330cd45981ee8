"""/uploads/ID: a file's bytes, of any size, in flat memory: all at once by PUT, or in any number of steps by tus."""

from __future__ import annotations

from functools import wraps
from http import HTTPStatus
from typing import IO, Any, cast
from uuid import UUID

from channels.db import database_sync_to_async
from django.core.files.base import File
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from bulkql.schema.context import SIGN_IN
from bulkql.server.auth import failure, user_of_request
from bulkql.server.door.refusals import View, not_served, serves
from bulkql.server.uploads import tus
from bulkql.workers.errors import BulkError
from bulkql.workers.resources.rights import check_may_upload
from bulkql.workers.uploads import uploads

#: What an upload takes; POST says by a header which of them is meant.
METHODS = ("PUT", "HEAD", "PATCH", "DELETE", "OPTIONS")


def in_tus(view: View) -> View:
    """A view each of whose answers is one of tus."""

    @wraps(view)
    async def versioned(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return tus.versioned(await view(request, *args, **kwargs))

    return versioned


@in_tus
@serves(*METHODS, "POST")
async def receive(request: HttpRequest, upload_id: UUID) -> HttpResponse:
    """PUT stores the body in the upload that createUpload announced, all of it or nothing; the others are tus."""
    method = tus.method_of(str(request.method), request.headers)
    if method == "OPTIONS":
        return tus.abilities()
    if method not in METHODS:
        return not_served(request, METHODS)
    return await served(request, method, upload_id)


@in_tus
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
        response: HttpResponse = await database_sync_to_async(serve, thread_sensitive=False)(
            user, method, upload_id, request
        )
    except BulkError as error:
        response = tus.refused(error)
    return response


def serve(user: Any, method: str, upload_id: UUID | None, request: HttpRequest) -> HttpResponse:
    """Raises BulkError."""
    check_may_upload(user)
    if method != "PUT" or upload_id is None:
        return tus.answer(user, method, upload_id, request)
    # A request reads like a file; Django has spooled it to disk.
    upload = uploads.fill(uploads.own_upload(user, upload_id), File(cast("IO[bytes]", request)))
    return JsonResponse({"id": str(upload.id), "size": upload.size})
