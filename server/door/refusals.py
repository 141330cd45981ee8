"""What no view answers -> a line that says so: JSON for programs, a page for people.

Django's own pages for these read the request's body, for a form's token: where it cannot be read, they end as a 500.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Iterable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.core.exceptions import DisallowedHost
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.html import escape

from bulkql.schema.failures import OURS
from bulkql.server.auth import failure
from bulkql.server.authority.links import BadLink

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  :root {{ color-scheme: light dark; }}
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 4rem auto; padding: 0 1rem; }}
  p {{ overflow-wrap: anywhere; }}
</style>
<h1>{title}</h1>
<p>{text}</p>
</html>
"""
JSON, HTML = "application/json", "text/html"

View = Callable[..., Coroutine[Any, Any, HttpResponseBase]]


def serves(*methods: str) -> Callable[[View], View]:
    """A view for these methods; others are told which there are, where Django's decorator answers with nothing."""

    def decorate(view: View) -> View:
        @wraps(view)
        async def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            return await view(request, *args, **kwargs) if request.method in methods else not_served(request, methods)

        return checked

    return decorate


def not_served(request: HttpRequest, methods: Iterable[str]) -> HttpResponse:
    """The answer to a method that there is no answer to."""
    text = f"{str(request.method)[:20]} is not served here."
    response = failure(text, "BAD_INPUT", HTTPStatus.METHOD_NOT_ALLOWED)
    response["Allow"] = ", ".join(methods)
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """For handler400: a host that is not ours, a cookie or a form that cannot be read."""
    text = f"The request cannot be read: {type(exception).__name__}."
    if isinstance(exception, DisallowedHost):
        host = request.META.get("HTTP_HOST", "")
        text = f"The host {host!r} is not served; ALLOWED_HOSTS (BULKQL_HOSTS) names those that are."
    return refusal(request, text, "BAD_INPUT", HTTPStatus.BAD_REQUEST)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """For handler403: a used link says so; what others raise may be for developers."""
    text = str(exception) if isinstance(exception, BadLink) else "You may not do this."
    return refusal(request, text, "FORBIDDEN", HTTPStatus.FORBIDDEN)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """For handler404."""
    return refusal(request, f"There is nothing at {request.path}.", "NOT_FOUND", HTTPStatus.NOT_FOUND)


def failed(request: HttpRequest) -> HttpResponse:
    """For handler500: what ended in an exception."""
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        text = "The database cannot be reached, or has no connection free; try again."
        return failure(text, "UNAVAILABLE", HTTPStatus.SERVICE_UNAVAILABLE)
    return failure(OURS, "INTERNAL", HTTPStatus.INTERNAL_SERVER_ERROR)


def refusal(request: HttpRequest, text: str, code: str, status: HTTPStatus) -> HttpResponse:
    """In the form that the client reads; programs that take anything get JSON."""
    if request.get_preferred_type([JSON, HTML]) == HTML:
        return HttpResponse(PAGE.format(title=status.phrase, text=escape(text)), status=status)
    return failure(text, code, status)
