"""HTTP bodies that are too large, or nobody's -> refused before they are stored.

Django spools a request's body to disk before any of its middleware runs: without this, whoever reaches the port could
fill the disk.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from django.conf import settings

from bulkql.schema.context import SIGN_IN
from bulkql.workers.conf import limits
from bulkql.workers.errors import BulkError, LimitExceeded, Unauthenticated
from bulkql.workers.intake.requests import exceeds

#: What surrounds the file in a multipart body.
MULTIPART_EXTRA_BYTES = 1024 * 1024


class Bodies:
    """An ASGI application around Django's: looks at headers first, and counts bytes as they come."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode("latin1"): value.decode("latin1") for name, value in scope["headers"]}
        counted = 0

        async def receive_counted() -> Any:
            nonlocal counted
            message = await receive()
            counted += len(message.get("body", b""))
            check_size(scope["path"], headers, counted)
            return message

        try:
            check_sender(scope["path"], headers)
            check_size(scope["path"], headers, int(headers.get("content-length", 0)))
            await self._application(scope, receive_counted, send)
        except BulkError as error:
            await refuse(send, error)


def check_sender(path: str, headers: dict[str, str]) -> None:
    """An upload comes with a token or a session; whose they are, and whether they are good, the view asks."""
    has_session = f"{settings.SESSION_COOKIE_NAME}=" in headers.get("cookie", "")
    if path.startswith("/uploads/") and "authorization" not in headers and not has_session:
        raise Unauthenticated(SIGN_IN)


def check_size(path: str, headers: dict[str, str], size: int) -> None:
    """A GraphQL request has its limits; uploads may have any size. Raises LimitExceeded."""
    if path.startswith("/uploads/"):
        return
    if headers.get("content-type", "").startswith("multipart/form-data"):
        if size > limits().multipart_bytes + MULTIPART_EXTRA_BYTES:
            exceeds("multipart_bytes", "bytes of a file in the request", size, "use createUpload")
    else:
        exceeds("request_bytes", "bytes of JSON", size, "send the rows as a file")


async def refuse(send: Any, error: BulkError) -> None:
    """The answer; the server closes the connection over the rest of the body."""
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if isinstance(error, LimitExceeded) else HTTPStatus.UNAUTHORIZED
    body = {"errors": [{"message": str(error), "extensions": {"code": error.code}}]}
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
