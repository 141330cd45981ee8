"""Bearer tokens -> users.

A token is `EXPIRY.SIGNED`: the second since 1970 in which it expires, in base 36, and a token of django-sesame that is
good for that second alone, and until its user's password changes.
"""

from __future__ import annotations

import time
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.middleware import auser as session_user
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.functional import SimpleLazyObject
from django.utils.http import base36_to_int, int_to_base36
from django.views.csrf import csrf_failure as default_csrf_failure
from sesame.backends import ModelBackend
from sesame.utils import get_token

from bulkql.schema.context import SIGN_IN
from bulkql.schema.failures import extensions_of
from bulkql.server.middleware import OnTheLoop
from bulkql.workers.conf import limits
from bulkql.workers.errors import BulkError, EncodedBody

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SECONDS_OF_A_DAY = 24 * 60 * 60


def token_for(user: Any, days: float | None = None) -> str:
    """A bearer token that is good for so many days, by default BULKQL_TOKEN_DAYS."""
    seconds = (limits().token_days if days is None else days) * SECONDS_OF_A_DAY
    expiry = int_to_base36(int(time.time() + seconds))
    return f"{expiry}.{get_token(user, scope=scope_until(expiry))}"


def user_of_token(token: str) -> Any:
    """The active user of a bearer token, or None; always None in a project that has not installed BearerMiddleware."""
    if f"{__name__}.BearerMiddleware" not in settings.MIDDLEWARE:
        return None
    expiry, _, signed = token.partition(".")
    if not signed or is_past(expiry):
        return None
    # Not by Django's authenticate(): none of the backends that a project has set need know such tokens.
    return ModelBackend().authenticate(None, signed, scope=scope_until(expiry))


def scope_until(expiry: str) -> str:
    """What a token's signature is for, besides its user: nobody can put its end off.

    django-sesame's own max_age is one for all tokens, and is heeded only where SESAME_MAX_AGE is set.
    """
    return f"api until {expiry}"


def is_past(expiry: str) -> bool:
    """Whether a token's time is over, or is no time."""
    try:
        return base36_to_int(expiry) <= time.time()
    except ValueError:
        return True


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


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A request without a token whose session, if it has one, may have been ridden on."""
    match = request.resolver_match
    if match is None or match.app_names[-1:] != ["bulkql"] or match.url_name not in ("graphql", "upload", "uploads"):
        return default_csrf_failure(request, reason=reason)
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return failure(SIGN_IN, "UNAUTHENTICATED", HTTPStatus.UNAUTHORIZED)
    text = f"{reason} With a session, send the cookie {settings.CSRF_COOKIE_NAME} as the header X-CSRFToken too."
    return failure(text, "FORBIDDEN", HTTPStatus.FORBIDDEN)


#: What some statuses have to say in a header.
HEADERS: dict[int, dict[str, str]] = {
    # No browser asks its user for a token, as it would for a password of the scheme Basic.
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
    # In seconds: some of what is too much at once may be over by then.
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": "1"},
}


def failure(message: str, code: str, status: int) -> JsonResponse:
    """A request-level error in GraphQL's shape: nothing was executed, so there is no data."""
    errors = [{"message": message, "extensions": extensions_of(code)}]
    return JsonResponse({"errors": errors}, status=status, headers=HEADERS.get(status))


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
    other = HTTPStatus.UNSUPPORTED_MEDIA_TYPE if isinstance(error, EncodedBody) else HTTPStatus.BAD_REQUEST
    response = failure(str(error), error.code, STATUSES.get(error.code, other))
    response["Connection"] = "close"
    return response


#: In the scope of a request: the user whom its headers showed (server/bodies.py).
FOUND = "bulkql.found"


class BearerMiddleware(OnTheLoop):
    """Signs in the user of a bearer token. A wrong token is nobody, whatever the session says."""

    def process_request(self, request: HttpRequest) -> None:
        scope = getattr(request, "scope", {})
        token = bearer(request.headers.get("Authorization"))
        if token is None:
            return

        @cache
        def user() -> Any:
            return user_of_token(token) or AnonymousUser()

        async def found() -> Any:
            return scope[FOUND]

        if scope.get(FOUND) is not None:
            request.user, request.auser = scope[FOUND], found
        else:
            # The database is asked when somebody wants to know; always once.
            request.user = cast("User", SimpleLazyObject(user))
            request.auser = sync_to_async(user)
        # No browser sends a token by itself, so there is nothing to forge.
        # Private to Django, so not in the stubs: CsrfViewMiddleware reads it.
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
