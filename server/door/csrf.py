"""Django's check against forged requests, once it is known who asks.

Django's own middleware runs first, and reads the body for it: a multipart body of nobody's would be parsed.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from bulkql.server.auth import csrf_failure
from bulkql.server.middleware import SAFE_METHODS


class Check(CsrfViewMiddleware):
    # Django's hook for what it answers; djangorestframework overrides it too.
    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
        return csrf_failure(request, reason)


async def forged(request: HttpRequest) -> HttpResponse | None:
    """The answer to a request that may have been forged; None for those that were not."""
    if request.method in SAFE_METHODS or getattr(request, "_dont_enforce_csrf_checks", False):
        return None
    return await sync_to_async(checked)(request)


def checked(request: HttpRequest) -> HttpResponse | None:
    """In a thread: where the header is missing, the token is looked for in the body."""
    check = Check(nobody)
    check.process_request(request)
    return check.process_view(request, nobody, (), {})


def nobody(*_: Any) -> Any:
    """In the place of the view, which is called elsewhere."""
