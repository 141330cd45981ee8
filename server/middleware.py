"""Django's own middleware, on the event loop wherever it does not block.

Django sends both halves of each of its middleware into a thread: a dozen trips for one request, and most of the time
that a small one takes. Here only what may ask the database goes there.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from asgiref.sync import sync_to_async
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.deprecation import MiddlewareMixin

#: Methods for which Django checks no CSRF token.
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")


class OnTheLoop(MiddlewareMixin):
    """Middleware whose first half looks at headers, and prepares what is read later."""

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        begin: Callable[..., HttpResponseBase | None] = getattr(self, "process_request", nothing)
        end: Callable[..., HttpResponseBase] = getattr(self, "process_response", unchanged)
        # Async mode: what comes next is a coroutine function, which the stubs do not tell.
        response: Any = begin(request) or await self.get_response(request)  # type: ignore[misc]
        if may_block(request):
            return await sync_to_async(end)(request, response)
        return end(request, response)


def nothing(request: HttpRequest) -> None:
    """For middleware without a first half."""


def unchanged(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """For middleware without a second half."""
    return response


def may_block(request: HttpRequest) -> bool:
    """Whether there is a session to store, or messages for people, which may go into it."""
    session, messages = getattr(request, "session", None), getattr(request, "_messages", None)
    has_messages = messages is not None and (messages.used or messages.added_new)
    return has_messages or (session is not None and session.modified)


class Security(OnTheLoop, SecurityMiddleware):
    pass


class Session(OnTheLoop, SessionMiddleware):
    pass


class Common(OnTheLoop, CommonMiddleware):
    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Django's, but that what has no content has no length: https://www.rfc-editor.org/rfc/rfc9110#section-8.6."""
        response = super().process_response(request, response)
        if response.status_code in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            del response["Content-Length"]
        return response


class Csrf(OnTheLoop, CsrfViewMiddleware):
    async def process_view(  # type: ignore[override]
        self, request: HttpRequest, callback: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Django's own check; in a thread where it looks for a token, for it reads the body too."""
        check = super().process_view
        if request.method in SAFE_METHODS or getattr(request, "_dont_enforce_csrf_checks", False):
            return check(request, callback, args, kwargs)
        return await sync_to_async(check)(request, callback, args, kwargs)


class Authentication(OnTheLoop, AuthenticationMiddleware):
    pass


class Messages(OnTheLoop, MessageMiddleware):
    pass


class XFrameOptions(OnTheLoop, XFrameOptionsMiddleware):
    pass


class ContentSecurityPolicy(OnTheLoop, CSPMiddleware):
    pass


#: What settings.MIDDLEWARE names -> what does the same on the event loop.
ON_THE_LOOP = {
    f"{standard.__module__}.{standard.__name__}": f"{__name__}.{ours.__name__}"
    for ours, standard in (
        (Security, SecurityMiddleware),
        (ContentSecurityPolicy, CSPMiddleware),
        (Session, SessionMiddleware),
        (Common, CommonMiddleware),
        (Csrf, CsrfViewMiddleware),
        (Authentication, AuthenticationMiddleware),
        (Messages, MessageMiddleware),
        (XFrameOptions, XFrameOptionsMiddleware),
    )
}


#: In the scope of a request that was refused before its body was read: what makes the answer (server/bodies.py).
REFUSED = "bulkql.refused"


class Handler(ASGIHandler):
    """Django's application, with our middleware in the place of those that the settings name.

    The settings keep Django's names: its checks tell by them whether a deployment is safe.
    """

    async def _get_response_async(self, request: Any) -> HttpResponseBase:
        """What stands behind all middleware, whichever a project has: a refused request meets no view."""
        if (refusal := request.scope.get(REFUSED)) is not None:
            answer: HttpResponseBase = refusal(request)
            return answer
        # Private to Django, so not in the stubs: what the innermost middleware calls.
        response: HttpResponseBase = await super()._get_response_async(request)  # type: ignore[misc]
        return response

    def load_middleware(self, is_async: bool = False) -> None:
        named = settings.MIDDLEWARE
        settings.MIDDLEWARE = [ON_THE_LOOP.get(name, name) for name in named]
        try:
            super().load_middleware(is_async=is_async)
        finally:
            settings.MIDDLEWARE = named
