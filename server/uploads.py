"""PUT /uploads/ID: a file's bytes, of any size, in flat memory."""

from __future__ import annotations

from http import HTTPStatus
from typing import IO, Any, cast
from uuid import UUID

from channels.db import database_sync_to_async
from django.core.files.base import File
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_http_methods

from bulkql.schema.context import SIGN_IN
from bulkql.server.auth import STATUSES, failure, user_of_request
from bulkql.workers.errors import BulkError
from bulkql.workers.intake.requests import check_may_upload
from bulkql.workers.uploads import uploads


@require_http_methods(["PUT"])
async def receive(request: HttpRequest, upload_id: UUID) -> HttpResponse:
    """Store the body in the upload that createUpload announced: all of it, or nothing."""
    user = await user_of_request(request)
    if not user.is_authenticated:
        return failure(SIGN_IN, "UNAUTHENTICATED", HTTPStatus.UNAUTHORIZED)
    try:
        # In a thread of many requests, which has to give its connection back.
        upload = await database_sync_to_async(store, thread_sensitive=False)(user, upload_id, request)
    except BulkError as error:
        return failure(str(error), error.code, STATUSES.get(error.code, HTTPStatus.BAD_REQUEST))
    return JsonResponse({"id": str(upload.id), "size": upload.size})


def store(user: Any, upload_id: UUID, request: HttpRequest) -> Any:
    """The body, which Django has spooled to disk, into the storage."""
    check_may_upload(user)
    # A request reads like a file.
    return uploads.fill(uploads.own_upload(user, upload_id), File(cast("IO[bytes]", request)))
