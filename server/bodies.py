"""HTTP requests -> Django, once it is known who sends them and that their bodies are not too large.

Django spools a request's body to disk before any of its middleware runs: without this, whoever reaches the port could
fill the disk. A request that is refused reaches Django without its body, so that its answer has all headers.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from asgiref.sync import ThreadSensitiveContext
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, parse_cookie
from django.http.response import HttpResponseBase

from bulkql.schema.context import SIGN_IN
from bulkql.server.auth import FOUND, bearer, refusal
from bulkql.server.authority.credentials import Session, Token
from bulkql.server.door.answers import finished
from bulkql.server.door.paths import match_of
from bulkql.server.middleware import REFUSED
from bulkql.server.traffic.room import BODY_BYTES
from bulkql.server.uploads.streaming import is_streamed, streamed
from bulkql.server.uploads.tus import RECEIVED, method_of, versioned
from bulkql.workers.conf import limits
from bulkql.workers.errors import BulkError, EncodedBody, LimitExceeded, Unauthenticated, Unavailable, counted
from bulkql.workers.intake.checks import exceeds
from bulkql.workers.quotas import Quota, check_bytes, upload_quotas
from bulkql.workers.resources.rights import check_may_upload
from bulkql.workers.uploads import uploads

#: What surrounds the file in a multipart body.
MULTIPART_EXTRA_BYTES = 1024 * 1024
#: The URLs of ours that take bodies; the rest of the service has forms.
OURS = ("graphql", "upload", "uploads")


class Bodies:
    """An ASGI application around Django's: looks at headers first, and counts bytes as they come."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        # A thread of its own, as Django gives each request: on a shared one, look-ups would wait for each other.
        async with ThreadSensitiveContext():
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        counted = 0

        async def receive_counted() -> Any:
            nonlocal counted
            message = await receive()
            counted += len(message.get("body", b""))
            body.check(counted)
            return message

        body = Body(scope)
        try:
            try:
                await body.prepare()
            except (OperationalError, InterfaceError):
                raise Unavailable("The database cannot be reached, or has no connection free; try again.") from None
            body.check(body.announced)
            if (upload_id := body.streamed_upload(scope)) is None:
                found = {**scope, FOUND: body.user, BODY_BYTES: lambda: counted}
                await self._application(found, receive_counted, send)
                return
            received = await streamed(body.user, upload_id, body.headers, receive_counted)
            if received is not None:
                found = {**scope, FOUND: body.user, RECEIVED: received}
                await self._application(found, without_body(receive), send)
        except BulkError as error:
            await self._application({**scope, REFUSED: partial(body.refusal, error)}, without_body(receive), send)


class Body:
    """What may come with one request."""

    def __init__(self, scope: Any) -> None:
        self.headers = {name.decode("latin1"): value.decode("latin1") for name, value in scope["headers"]}
        self._match = match_of(scope)
        #: A PUT brings all of an upload, whose place must be free; by tus it goes on where it was.
        self._is_whole = method_of(scope["method"], self.headers) == "PUT"
        self._has_body = scope["method"] not in ("GET", "HEAD", "OPTIONS")
        length = self.headers.get("content-length", "")
        self.announced = int(length) if length.isdecimal() else 0
        #: Whom the headers show; None where nobody was asked for.
        self.user: Any = None
        self._upload_bytes: int | None = None
        #: What the user has stored, where nobody announced how much is coming.
        self._stored: Quota | None = None

    async def prepare(self) -> None:
        """Find the sender, and the upload that is to be filled; raises Unauthenticated, NotFound, EncodedBody."""
        name = self._match.url_name if self._match is not None else None
        if name not in OURS or not self._has_body or not signs_in_first():
            return
        self.user = await user_of_headers(self.headers)
        if self.user is None or not self.user.is_authenticated:
            raise Unauthenticated(SIGN_IN)
        check_encoding(self.headers.get("content-encoding", ""))
        if name == "upload":
            assert self._match is not None
            self._upload_bytes, self._stored = await database_sync_to_async(upload_room)(
                self.user, self._match.kwargs["upload_id"], self._is_whole
            )

    def streamed_upload(self, scope: Any) -> UUID | None:
        """The upload whose bytes are stored as they come; None where Django reads the body."""
        is_known = self.user is not None and self._match is not None and self._match.url_name == "upload"
        if not is_known or not is_streamed(scope, self.headers):
            return None
        assert self._match is not None
        upload_id: UUID = self._match.kwargs["upload_id"]
        return upload_id

    def refusal(self, error: BulkError, request: HttpRequest) -> HttpResponseBase:
        """The answer instead of the view's, in the form of its protocol."""
        name = self._match.url_name if self._match is not None else None
        if name == "graphql":
            return finished(request, refusal(error), is_refused=True)
        return versioned(refusal(error)) if name in ("upload", "uploads") else refusal(error)

    def check(self, size: int) -> None:
        """Raises LimitExceeded for so many bytes."""
        name = self._match.url_name if self._match is not None else None
        if name == "upload":
            check_upload(size, self._upload_bytes)
            if self._stored is not None:
                check_bytes(self._stored, size)
        elif name == "uploads":
            if signs_in_first():
                way_out = "create it without them, and send them to the Location of the answer"
                exceeds("form_bytes", "bytes along with a new upload", size, way_out)
        elif name != "graphql":
            if signs_in_first():  # a project's own pages have limits of their own
                exceeds("form_bytes", "bytes of a form", size, "this page takes no files")
        elif self.headers.get("content-type", "").startswith("multipart/form-data"):
            if size > limits().multipart_bytes + MULTIPART_EXTRA_BYTES:
                exceeds("multipart_bytes", "bytes of a file in the request", size, "use createUpload")
        else:
            exceeds("request_bytes", "bytes of JSON", size, "send the rows as a file")


def signs_in_first() -> bool:
    """Whether headers tell all there is of who asks: a project's own middleware may know its users by other ways."""
    return bool(getattr(settings, "BULKQL_SIGN_IN_FIRST", False))


async def user_of_headers(headers: dict[str, str]) -> Any:
    """The user of a token or a session, by a request's headers (in lower case); None or an anonymous one for nobody."""
    token = bearer(headers["authorization"]) if "authorization" in headers else None
    if token is not None:
        return await Token(token).user()
    return await Session(parse_cookie(headers.get("cookie", "")).get(settings.SESSION_COOKIE_NAME)).user()


def upload_room(user: Any, upload_id: UUID, is_whole: bool) -> tuple[int | None, Quota | None]:
    """The size that createUpload was told, or else what the user has stored already.

    Raises Forbidden, NotFound, and BadInput where the upload cannot be filled.
    """
    check_may_upload(user)
    upload = uploads.own_upload(user, upload_id)
    if is_whole:
        uploads.check_is_awaited(upload)
    return (upload.size, None) if upload.size is not None else (None, upload_quotas(user)[0])


def check_encoding(encoding: str) -> None:
    """Bytes are stored and read as they come; raises EncodedBody: https://www.rfc-editor.org/rfc/rfc9110#section-8.4."""
    if encoding.strip().lower() not in ("", "identity"):
        text = f"The body has Content-Encoding {encoding[:100]!r}, which is not undone here; send it without."
        raise EncodedBody(f"{text} Files may be compressed themselves: name them .csv.gz or .csv.zst.")


def check_upload(size: int, announced: int | None) -> None:
    """No more than what was announced, and no more than any upload may have; raises LimitExceeded."""
    exceeds("upload_bytes", "bytes of an upload", size, "split the file")
    if announced is not None and size > announced:
        raise LimitExceeded(
            f"createUpload was told of {counted(announced, 'byte')}, and more are coming; announce all of them."
        )


def without_body(receive: Any) -> Any:
    """What is left of a request that was refused: an empty body, and the news that the client has gone."""
    is_told = False

    async def receive_nothing() -> Any:
        nonlocal is_told
        if not is_told:
            is_told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        message = await receive()
        while message["type"] != "http.disconnect":
            message = await receive()
        return message

    return receive_nothing
