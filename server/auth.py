"""Bearer tokens -> users. Tokens are django-sesame's: signed, and void once the user's password changes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import sesame.utils
from asgiref.sync import sync_to_async
from channels.auth import get_user
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth.middleware import auser as session_user
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, JsonResponse, parse_cookie
from django.utils.functional import SimpleLazyObject
from django.views.csrf import csrf_failure as default_csrf_failure

from bulkql.schema.context import SIGN_IN
from bulkql.server.middleware import OnTheLoop
from bulkql.workers.errors import BulkError

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: A token for the API does not sign a browser in, and a sign-in link is no token.
API_SCOPE = "api"
SIGN_IN_SCOPE = "sign-in"
SIGN_IN_SECONDS = 24 * 60 * 60


def token_for(user: Any) -> str:
    """A bearer token."""
    return str(sesame.utils.get_token(user, scope=API_SCOPE))


def sign_in_query(user: Any) -> str:
    """The query string that signs a browser in at /sign-in."""
    return str(sesame.utils.get_query_string(user, scope=SIGN_IN_SCOPE))


def user_of_token(token: str) -> Any:
    """The active user of a bearer token, or None; always None in a project that has not installed BearerMiddleware."""
    if f"{__name__}.BearerMiddleware" not in settings.MIDDLEWARE:
        return None
    return sesame.utils.get_user(token, scope=API_SCOPE, max_age=getattr(settings, "BULKQL_TOKEN_SECONDS", None))


def bearer(authorization: object) -> str | None:
    """The token of an Authorization header, or None if it is not of this scheme."""
    scheme, _, token = str(authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def user_of_request(request: HttpRequest) -> Any:
    """The user whom the project's middleware found.

    Many set `request.user` alone. Django's `request.auser` would then tell of the session's user, who is another.
    """
    auser = getattr(request, "auser", None)
    if auser is not None and getattr(auser, "func", None) is not session_user:
        return await auser()
    return await sync_to_async(loaded_user)(request)


def loaded_user(request: HttpRequest) -> Any:
    """`request.user`, once the database has been asked for it."""
    user = getattr(request, "user", None) or AnonymousUser()
    user.is_authenticated  # noqa: B018  (a lazy object does its work here, in a thread)
    return user


async def user_of_headers(headers: Mapping[str, str]) -> Any:
    """The user of a token or a session, by a request's headers (in lower case); None or an anonymous one for nobody."""
    token = bearer(headers["authorization"]) if "authorization" in headers else None
    if token is not None:
        return await database_sync_to_async(user_of_token)(token)
    return await user_of_session(parse_cookie(headers.get("cookie", "")))


async def user_of_session(cookies: Mapping[str, str]) -> Any:
    """The user of the session that cookies name; it is read and never written."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    return await get_user({"session": store(cookies.get(settings.SESSION_COOKIE_NAME))})


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A request without a token whose session, if it has one, may have been ridden on."""
    match = request.resolver_match
    if match is None or match.app_names[-1:] != ["bulkql"] or match.url_name not in ("graphql", "upload"):
        return default_csrf_failure(request, reason=reason)
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return failure(SIGN_IN, "UNAUTHENTICATED", HTTPStatus.UNAUTHORIZED)
    text = f"{reason} With a session, send the cookie {settings.CSRF_COOKIE_NAME} as the header X-CSRFToken too."
    return failure(text, "FORBIDDEN", HTTPStatus.FORBIDDEN)


def failure(message: str, code: str, status: int) -> JsonResponse:
    """A request-level error in GraphQL's shape: nothing was executed, so there is no data."""
    return JsonResponse({"errors": [{"message": message, "extensions": {"code": code}}]}, status=status)


#: The statuses of errors that are found before anything is executed.
STATUSES = {
    "UNAUTHENTICATED": HTTPStatus.UNAUTHORIZED,
    "FORBIDDEN": HTTPStatus.FORBIDDEN,
    "NOT_FOUND": HTTPStatus.NOT_FOUND,
    "LIMIT_EXCEEDED": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
}


def refusal(error: BulkError) -> JsonResponse:
    """The answer to a request whose body nobody reads; the server closes the connection over it."""
    response = failure(str(error), error.code, STATUSES.get(error.code, HTTPStatus.BAD_REQUEST))
    response["Connection"] = "close"
    return response


class Sessions:
    """An ASGI middleware: the user of a websocket's session, which is read and never written.

    Channels' own looks at every frame that is sent for changes to save; most of what a subscriber costs is frames.
    """

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if "user" in scope:  # a project's own middleware knows better
            await self._application(scope, receive, send)
            return
        await self._application({**scope, "user": await user_of_session(scope["cookies"])}, receive, send)


#: In the scope of a request: the user whom its headers showed, and why it was refused (server/bodies.py).
FOUND, REFUSED = "bulkql.found", "bulkql.refused"


class BearerMiddleware(OnTheLoop):
    """Signs in the user of a bearer token. A wrong token is nobody, whatever the session says."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        scope = getattr(request, "scope", {})
        if REFUSED in scope:
            return refusal(scope[REFUSED])
        token = bearer(request.headers.get("Authorization"))
        if token is None:
            return None

        @cache
        def user() -> Any:
            return scope.get(FOUND) or user_of_token(token) or AnonymousUser()

        # The database is asked when somebody wants to know; always once.
        request.user = cast("User", SimpleLazyObject(user))
        request.auser = sync_to_async(user)
        # No browser sends a token by itself, so there is nothing to forge.
        # Private to Django, so not in the stubs: CsrfViewMiddleware reads it.
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        return None
