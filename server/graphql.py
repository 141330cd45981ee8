"""GraphQL over HTTP and over the websocket."""

from __future__ import annotations

import json
import logging
from contextlib import AsyncExitStack
from datetime import timedelta
from http import HTTPStatus
from typing import Any, cast

import strawberry
from asgiref.sync import sync_to_async
from cross_web import AsyncDjangoHTTPRequestAdapter, FormData, HTTPException
from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.utils.module_loading import import_string
from django.views.decorators.csrf import csrf_exempt
from strawberry.django.views import AsyncGraphQLView
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from bulkql.schema.checks.weight import LIGHT_BYTES, in_thread
from bulkql.schema.context import SIGN_IN, Context
from bulkql.schema.failures import OURS, coded, no_operation
from bulkql.schema.limits.shares import LINE
from bulkql.schema.schema import schema
from bulkql.server.auth import bearer, failure, user_of_request
from bulkql.server.authority.credentials import Credential, Token, credential_of
from bulkql.server.authority.sockets import open_sockets
from bulkql.server.door.answers import finished
from bulkql.server.door.csrf import forged
from bulkql.server.door.frames import OneAtATime
from bulkql.server.door.refusals import not_served
from bulkql.server.door.requests import each_once, request_data, with_files
from bulkql.server.door.sockets import Handler, Socket
from bulkql.server.door.values import decode, encode
from bulkql.server.traffic.connections import hold
from bulkql.server.traffic.room import body_bytes, room
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import (
    BadInput,
    BulkError,
    LimitExceeded,
    PersistedQueryNotSupported,
    TooManyAtOnce,
    Unauthenticated,
    place_of,
)

logger = logging.getLogger("bulkql")

METHODS = ("GET", "POST")
READING = (OperationType.QUERY,)
EXECUTED = (OperationType.QUERY, OperationType.MUTATION)
#: What Django raises over a body or a query string that it does not take.
MALFORMED = (SuspiciousOperation, MultiPartParserError, UnreadablePostError, UnicodeDecodeError)
#: The websocket's code for who may not use it, from the protocol graphql-transport-ws.
FORBIDDEN = 4403


def served_schema() -> strawberry.Schema:
    """What the setting BULKQL_SCHEMA names, such as "mysite.schema.schema"; without it, the registered resources'."""
    name = getattr(settings, "BULKQL_SCHEMA", None)
    return cast(strawberry.Schema, import_string(name)) if name else schema()


class FilesInThread(AsyncDjangoHTTPRequestAdapter):
    """Parses a multipart body in a thread: half a second for 300 MB, which the event loop does not have."""

    async def get_form_data(self) -> FormData:
        await sync_to_async(lambda: self.request.FILES, thread_sensitive=False)()
        return await super().get_form_data()


@method_decorator(csrf_exempt, name="dispatch")  # server/door/csrf.py checks, once it is known who asks
class GraphQLView(AsyncGraphQLView[Context, None]):
    """POST /graphql: JSON, or multipart with a file; GET /graphql?query=... for queries."""

    request_adapter_class = FilesInThread
    decode_json = staticmethod(decode)

    def __init__(self) -> None:
        # Built at the first request: Django's checks import the URLs, and must come to tell of wrong registrations.
        super().__init__(
            schema=served_schema(), graphql_ide=None, multipart_uploads_enabled=True, allow_queries_via_get=True
        )
        #: Nothing of the request was executed. Django makes a view for each request.
        self._is_refused = False
        #: What the request holds until it has been executed.
        self._held = AsyncExitStack()

    def encode_json(self, data: object) -> bytes:
        return encode(data)

    # Django awaits what an async view's dispatch returns; its stubs know the sync one only.
    async def dispatch(  # type: ignore[override]
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Who asks comes before what is asked: a body is parsed for those who are known."""
        try:
            response = await self._answer(request)
        except HTTPException as error:
            response = failure(error.reason, "BAD_INPUT", error.status_code)
        except TooManyAtOnce as error:
            response = failure(str(error), error.code, HTTPStatus.TOO_MANY_REQUESTS)
        except LimitExceeded as error:
            response = failure(str(error), error.code, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except RequestDataTooBig:
            response = failure(too_large(), LimitExceeded.code, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except PersistedQueryNotSupported as error:
            # A well-formed request, and an answer that its client waits for: some read it with this status only.
            response = failure(str(error), error.code, HTTPStatus.OK)
        except BulkError as error:
            response = failure(str(error), error.code, HTTPStatus.BAD_REQUEST)
        except MALFORMED as error:
            response = failure(f"The request cannot be read: {type(error).__name__}.", "BAD_INPUT", 400)
        except (OperationalError, InterfaceError):
            response = failure("The database cannot be reached; try again.", "UNAVAILABLE", 503)
        except Exception as error:  # whatever it is, a client of GraphQL reads JSON, and the log reads no rows
            logger.error("%s, path /graphql", place_of(error))
            response = failure(OURS, "INTERNAL", HTTPStatus.INTERNAL_SERVER_ERROR)
        return finished(request, response, self._is_refused)

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        if request.method not in METHODS:
            return not_served(request, METHODS)
        user = await user_of_request(request)
        if not user.is_authenticated:
            return failure(SIGN_IN, "UNAUTHENTICATED", HTTPStatus.UNAUTHORIZED)
        await hold(request, LINE.turn(user.pk))
        if (forgery := await forged(request)) is not None:
            return forgery
        context = Context(request=request, user=user, base_url=f"{request.scheme}://{request.get_host()}")
        # Not until the answer is read: others wait for room, and a client that does not read would keep it.
        async with self._held:
            return cast(HttpResponse, await self.run(request=request, context=context))

    def should_render_graphql_ide(self, request: Any) -> bool:
        return False

    async def parse_http_body(self, request: Any) -> GraphQLRequestData:
        django: HttpRequest = request.request
        if django.method == "GET":
            names = ("variables", "extensions")
            given: dict[str, Any] = each_once(django.GET)
            return request_data(given | {name: await decoded(given[name]) for name in names if given.get(name)})
        if django.content_type == "application/json":
            await self._held.enter_async_context(room().taken(body_bytes(django)))
            return request_data(await decoded(body_of(django)))
        if django.content_type != "multipart/form-data":
            text = "The Content-Type is application/json, or multipart/form-data for a file."
            raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text)
        await request.get_form_data()
        form, files = each_once(django.POST), each_once(django.FILES)
        # Its file is on disk. Under WSGI, where nobody counts bodies, nobody waits: the room is that of one event loop.
        size = min(body_bytes(django), len(form.get("operations", "")))
        await self._held.enter_async_context(room().taken(size))
        parts = [await decoded(form.get(name, "null")) for name in ("operations", "map")]
        return request_data(with_files(parts[0], parts[1], files))

    async def execute_single(
        self,
        request: Any,
        request_adapter: Any,
        sub_response: Any,
        context: Context,
        root_value: None,
        request_data: Any,
    ) -> ExecutionResult:
        context.has_files = request.content_type == "multipart/form-data"
        try:
            return await self.schema.execute(
                request_data.query,
                variable_values=request_data.variables,
                context_value=context,
                operation_name=request_data.operation_name,
                allowed_operation_types=READING if request.method == "GET" else EXECUTED,
                operation_extensions=request_data.extensions,
            )
        except CannotGetOperationTypeError as error:
            raise BadInput(no_operation(error)) from None
        except InvalidOperationTypeError as error:
            if error.operation_type is OperationType.SUBSCRIPTION:
                text = "Subscriptions come over the websocket on this path (graphql-transport-ws), not over HTTP."
                raise BadInput(text) from None
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, "Mutations are sent with POST.") from None

    async def process_result(
        self, request: HttpRequest, result: ExecutionResult, **options: Any
    ) -> GraphQLHTTPResponse:
        if result.errors:
            result.errors = [coded(error) for error in result.errors]
        response = await super().process_result(request, result, **options)
        # An error without a path was found before anything was executed.
        if result.data is None and result.errors and not any(error.path for error in result.errors):
            self._is_refused = True
            del response["data"]
        return response


def body_of(request: HttpRequest) -> bytes:
    """All of a body, which the request does not keep, as `request.body` does; raises RequestDataTooBig as that does.

    A request is part of a cycle of objects, and it may take long until garbage is collected.
    """
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if most is not None and int(request.META.get("CONTENT_LENGTH") or 0) > most:
        raise RequestDataTooBig
    return request.read()


async def decoded(text: str | bytes) -> object:
    """The JSON of a request; a long text is read in a thread. Raises HTTPException."""
    try:
        return await in_thread(decode, text) if len(text) > LIGHT_BYTES else decode(text)
    except json.JSONDecodeError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"This is not JSON: {error.msg}.") from None


def too_large() -> str:
    """What Django does not read into memory, in words."""
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return (
        f"The request has more than {most:,} bytes beside its file (DATA_UPLOAD_MAX_MEMORY_SIZE, which is "
        f"{setting_name('request_bytes')} in bulkql's own settings); send the rows as a file."
    )


class GraphQLConsumer(OneAtATime):
    """The websocket on /graphql: graphql-transport-ws, signed in by its connection_init or by the session."""

    decode_json = staticmethod(decode)
    websocket_adapter_class = Socket
    graphql_transport_ws_handler_class = Handler

    def encode_json(self, data: object) -> str:
        return encode(data).decode()

    def __init__(self, **options: Any) -> None:
        wait = timedelta(seconds=limits().handshake_seconds)
        super().__init__(
            subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
            connection_init_wait_timeout=wait,
            # A user's subscriptions are counted over all sockets (schema/limits/shares.py).
            max_subscriptions_per_connection=None,
            **options,
        )
        #: Nothing is sent any more, and no frame is handled.
        self.is_closed = False
        #: What it signed in with, once it has.
        self._credential: Credential | None = None

    async def get_context(self, request: Any, response: Any) -> Context:
        return Context(
            request=self,
            consumer=self,
            base_url=base_url(self.scope),
        )

    async def on_ws_connect(self, context: Context) -> Any:
        self._credential = await self._shown(context)
        try:
            await context.renew()
        except Unauthenticated:
            raise ConnectionRejectionError from None
        open_sockets.join(self._credential, self)
        return await super().on_ws_connect(context)

    async def ask(self) -> Any:
        return await self._credential.user() if self._credential is not None else None

    async def _shown(self, context: Context) -> Credential:
        """The token that came with connection_init, whatever the session says; without one the session's cookie."""
        authorization = context.connection_params.get("authorization") or context.connection_params.get("Authorization")
        return Token(bearer(authorization) or "") if authorization is not None else await credential_of(self.scope)

    async def revoke(self) -> None:
        """Stop all of the socket's operations and close it."""
        await self.close(code=FORBIDDEN, reason="Forbidden")

    async def close(self, code: Any = None, reason: Any = None) -> None:
        """Close the socket, once: what its client has sent meanwhile would be reason to close it again."""
        if self.is_closed:
            return
        self.is_closed = True
        self.frames.end()
        await super().close(code=code, reason=reason)
        # The handler ends with a socket that its client has left, and its operations with it. Left alone it would go on
        # until a client that hangs answers to the closing.
        self.message_queue.put_nowait({"message": None, "disconnected": True})

    async def send(self, *arguments: Any, **options: Any) -> None:
        # An operation that was just being answered when its socket was closed has nobody left to tell.
        if not self.is_closed:
            await super().send(*arguments, **options)

    async def disconnect(self, code: int) -> None:
        try:
            await super().disconnect(code)
        finally:
            # Not before its handler has ended, which may be about to join.
            if self._credential is not None:
                open_sockets.leave(self._credential, self)


def base_url(scope: Any) -> str:
    """Where a websocket's client reaches the service over HTTP."""
    host = next((value.decode() for name, value in scope["headers"] if name == b"host"), "localhost")
    return f"{'https' if scope.get('scheme') == 'wss' else 'http'}://{host}"
