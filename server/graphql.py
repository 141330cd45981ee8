"""GraphQL over HTTP and over the websocket."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, cast

import msgspec
import strawberry
from asgiref.sync import sync_to_async
from cross_web import AsyncDjangoHTTPRequestAdapter, AsyncHTTPRequestAdapter, FormData, HTTPException
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string
from strawberry.channels import GraphQLWSConsumer
from strawberry.django.views import AsyncGraphQLView
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult

from bulkql.schema.context import SIGN_IN, Context
from bulkql.schema.failures import coded
from bulkql.schema.schema import schema
from bulkql.server.auth import bearer, failure, user_of_request, user_of_token
from bulkql.workers.columns.cells import ExactFloat

decoder = msgspec.json.Decoder(float_hook=ExactFloat)


def decode(data: str | bytes) -> object:
    """JSON, fast; what msgspec does not take (NaN, lone surrogates) Python's own reader does, for the rows to fail."""
    try:
        return decoder.decode(data)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise json.JSONDecodeError(str(error), "", 0) from None


def served_schema() -> strawberry.Schema:
    """What the setting BULKQL_SCHEMA names, such as "mysite.schema.schema"; without it, the registered resources'."""
    name = getattr(settings, "BULKQL_SCHEMA", None)
    return cast(strawberry.Schema, import_string(name)) if name else schema()


class BodyInThread(AsyncDjangoHTTPRequestAdapter):
    """Reads long bodies in a thread: half a second for 300 MB of multipart, which the event loop does not have."""

    async def get_body(self) -> bytes:
        read = sync_to_async(lambda: self.request.body, thread_sensitive=False)
        return await read() if is_long(self.request) else self.request.body

    async def get_form_data(self) -> FormData:
        await sync_to_async(lambda: self.request.FILES, thread_sensitive=False)()
        return await super().get_form_data()


class GraphQLView(AsyncGraphQLView[Context, None]):
    """GET and POST /graphql, as GraphQL over HTTP says (https://graphql.github.io/graphql-over-http/): JSON, or
    multipart with a file.
    """

    request_adapter_class = BodyInThread
    decode_json = staticmethod(decode)

    def __init__(self) -> None:
        # Built at the first request: Django's checks import the URLs, and must come to tell of wrong registrations.
        super().__init__(schema=served_schema(), graphql_ide=None, multipart_uploads_enabled=True)

    # Django awaits what an async view's dispatch returns; its stubs know the sync one only.
    async def dispatch(  # type: ignore[override]
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        self._user = await user_of_request(request)
        if not self._user.is_authenticated:
            # Before anything is parsed: what strangers send costs nothing.
            response: HttpResponseBase = failure(SIGN_IN, "UNAUTHENTICATED", HTTPStatus.UNAUTHORIZED)
        elif request.method not in METHODS:
            response = failure(f"GraphQL takes {' and '.join(METHODS)}.", "BAD_INPUT", HTTPStatus.METHOD_NOT_ALLOWED)
            response["Allow"] = ", ".join(METHODS)
        else:
            response = await super().dispatch(request, *args, **kwargs)
        is_failure = response.status_code >= 400 and response["Content-Type"].startswith("text/plain")
        if is_failure and isinstance(response, HttpResponse):
            # Strawberry answers a malformed request in plain text; GraphQL clients read JSON.
            response = failure(response.content.decode(), "BAD_INPUT", response.status_code)
        response["Content-Type"] = media_type(request)
        return response

    async def get_context(self, request: HttpRequest, response: HttpResponse) -> Context:
        return Context(
            request=request,
            response=response,
            user=self._user,
            base_url=f"{request.scheme}://{request.get_host()}",
        )

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> Any:
        """The request's parts, each of its kind; raises HTTPException."""
        if "application/json" in (request.content_type or "") and request.method == "POST":
            body = await request.get_body()
            # A long text is read in a thread: others wait for what runs on the event loop.
            read = sync_to_async(self.parse_json, thread_sensitive=False)
            data = await read(body) if len(body) > LONG_BYTES else self.parse_json(body)
            return request_data(data)
        try:
            return await super().parse_http_body(request)
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise HTTPException(400, MULTIPART) from error

    async def execute_single(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().execute_single(*args, **kwargs)
        except HTTPException as error:
            request = kwargs["request"]
            if request.method == "GET" and "not allowed" in error.reason:
                error.status_code = HTTPStatus.METHOD_NOT_ALLOWED
            raise

    async def process_result(
        self, request: HttpRequest, result: ExecutionResult, **options: Any
    ) -> GraphQLHTTPResponse:
        if result.errors:
            result.errors = [coded(error) for error in result.errors]
        answer = await super().process_result(request, result, **options)
        if is_request_error(result):
            del answer["data"]
        return answer

    def create_response(self, response_data: Any, sub_response: Any) -> HttpResponseBase:
        response = super().create_response(response_data, sub_response)
        if "data" not in response_data and media_type(self.request).startswith(GRAPHQL_JSON):
            response.status_code = HTTPStatus.BAD_REQUEST
        return response

    def encode_json(self, data: object) -> bytes:
        return msgspec.json.encode(data)


#: Its statuses say whether anything was executed; with application/json, whatever could be read has 200.
GRAPHQL_JSON = "application/graphql-response+json"
METHODS = ("GET", "POST")
#: Bytes of JSON that may be read on the event loop.
LONG_BYTES = 100_000
MULTIPART = "The parts operations and map do not fit: see https://github.com/jaydenseric/graphql-multipart-request-spec"


def is_long(request: HttpRequest) -> bool:
    length = request.headers.get("Content-Length", "")
    return not length.isdecimal() or int(length) > LONG_BYTES


def media_type(request: HttpRequest) -> str:
    """What the client wants to read."""
    kind = GRAPHQL_JSON if GRAPHQL_JSON in request.headers.get("Accept", "") else "application/json"
    return f"{kind}; charset=utf-8"


def is_request_error(result: ExecutionResult) -> bool:
    """Whether nothing was executed: what fails in execution has a path."""
    return result.data is None and all(error.path is None for error in result.errors or ())


def request_data(data: Any) -> GraphQLRequestData:
    """The parts of a JSON request; raises HTTPException for one of another kind."""
    if not isinstance(data, dict):
        raise HTTPException(400, "A request is a JSON object with query, variables and operationName.")
    for name, kind in (("query", str), ("variables", dict), ("operationName", str), ("extensions", dict)):
        if not isinstance(data.get(name), kind | None):
            raise HTTPException(400, f"{name} is {KINDS[type(data[name])]}; it has to be {KINDS[kind]}.")
    return GraphQLRequestData(
        query=data.get("query"),
        variables=data.get("variables"),
        operation_name=data.get("operationName"),
        extensions=data.get("extensions"),
    )


KINDS: dict[type, str] = {
    str: "a text",
    dict: "an object",
    list: "a list",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    ExactFloat: "a number",
}


class GraphQLConsumer(GraphQLWSConsumer[Context, None]):
    """The websocket on /graphql: graphql-transport-ws, signed in by its connection_init or by the session."""

    decode_json = staticmethod(decode)

    def encode_json(self, data: object) -> str:
        return msgspec.json.encode(data).decode()

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
