"""GraphQL over HTTP and over the websocket."""

from __future__ import annotations

import json
from typing import Any, cast

import msgspec
import strawberry
from asgiref.sync import sync_to_async
from cross_web import AsyncDjangoHTTPRequestAdapter, FormData
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string
from strawberry.channels import GraphQLWSConsumer
from strawberry.django.views import AsyncGraphQLView
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http import GraphQLHTTPResponse
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult

from bulkql.schema.context import Context
from bulkql.schema.failures import coded
from bulkql.schema.limits.shares import LINE
from bulkql.schema.schema import schema
from bulkql.server.auth import bearer, failure, user_of_request, user_of_token
from bulkql.server.traffic.connections import TOO_MANY, hold
from bulkql.workers.columns.cells import ExactFloat
from bulkql.workers.errors import LimitExceeded

decoder = msgspec.json.Decoder(float_hook=ExactFloat)
#: Python reads no whole numbers of more digits: reading them takes a time that grows with their square.
DIGITS = 4_000


def decode(data: str | bytes) -> object:
    """JSON, fast; what msgspec does not take (NaN, lone surrogates) Python's own reader does, for the rows to fail."""
    try:
        return decoder.decode(data)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(data, parse_int=whole_number)
    except (ValueError, RecursionError) as error:
        raise json.JSONDecodeError(str(error), "", 0) from None


def whole_number(digits: str) -> int | float:
    """A number of any length: the row that gives one of thousands of digits is told so, and its neighbours are not."""
    return int(digits) if len(digits) <= DIGITS else ExactFloat(digits)


def encode(data: object) -> bytes:
    """JSON, fast; what is quoted of a client's may hold half a surrogate pair, which only Python's own writer takes."""
    try:
        return msgspec.json.encode(data)
    except UnicodeEncodeError:
        return json.dumps(data).encode()


def served_schema() -> strawberry.Schema:
    """What the setting BULKQL_SCHEMA names, such as "mysite.schema.schema"; without it, the registered resources'."""
    name = getattr(settings, "BULKQL_SCHEMA", None)
    return cast(strawberry.Schema, import_string(name)) if name else schema()


class FilesInThread(AsyncDjangoHTTPRequestAdapter):
    """Parses a multipart body in a thread: half a second for 300 MB, which the event loop does not have."""

    async def get_form_data(self) -> FormData:
        await sync_to_async(lambda: self.request.FILES, thread_sensitive=False)()
        return await super().get_form_data()


class GraphQLView(AsyncGraphQLView[Context, None]):
    """POST /graphql: JSON, or multipart with a file."""

    request_adapter_class = FilesInThread
    decode_json = staticmethod(decode)

    def __init__(self) -> None:
        # Built at the first request: Django's checks import the URLs, and must come to tell of wrong registrations.
        super().__init__(
            schema=served_schema(), graphql_ide=None, multipart_uploads_enabled=True, allow_queries_via_get=False
        )

    def encode_json(self, data: object) -> bytes:
        return encode(data)

    async def get_context(self, request: HttpRequest, response: HttpResponse) -> Context:
        return Context(
            request=request,
            response=response,
            user=await user_of_request(request),
            base_url=f"{request.scheme}://{request.get_host()}",
        )

    async def process_result(
        self, request: HttpRequest, result: ExecutionResult, **options: Any
    ) -> GraphQLHTTPResponse:
        if result.errors:
            result.errors = [coded(error) for error in result.errors]
        return await super().process_result(request, result, **options)

    # Django awaits what an async view's dispatch returns; its stubs know the sync one only.
    async def dispatch(  # type: ignore[override]
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        user = await user_of_request(request)
        try:
            await hold(request, LINE.turn(user.pk))
        except LimitExceeded as error:
            return failure(str(error), error.code, TOO_MANY)
        response = await super().dispatch(request, *args, **kwargs)
        is_failure = response.status_code >= 400 and response["Content-Type"].startswith("text/plain")
        if is_failure and isinstance(response, HttpResponse):
            # Strawberry answers a malformed request in plain text; GraphQL clients read JSON.
            return failure(response.content.decode(), "BAD_INPUT", response.status_code)
        return response


class GraphQLConsumer(GraphQLWSConsumer[Context, None]):
    """The websocket on /graphql: graphql-transport-ws, signed in by its connection_init or by the session."""

    decode_json = staticmethod(decode)

    def encode_json(self, data: object) -> str:
        return encode(data).decode()

    def __init__(self, **options: Any) -> None:
        super().__init__(subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL], **options)

    async def get_context(self, request: Any, response: Any) -> Context:
        return Context(
            request=self,
            consumer=self,
            user=self.scope["user"],
            base_url=base_url(self.scope),
        )

    async def on_ws_connect(self, context: Context) -> Any:
        authorization = context.connection_params.get("authorization") or context.connection_params.get("Authorization")
        if authorization is not None:
            token = bearer(authorization)
            context.user = await sync_to_async(user_of_token)(token) if token is not None else None
        if context.user is None or not context.user.is_authenticated:
            raise ConnectionRejectionError
        return await super().on_ws_connect(context)


def base_url(scope: Any) -> str:
    """Where a websocket's client reaches the service over HTTP."""
    host = next((value.decode() for name, value in scope["headers"] if name == b"host"), "localhost")
    return f"{'https' if scope.get('scheme') == 'wss' else 'http'}://{host}"
