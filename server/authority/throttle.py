"""Failed sign-ins with a password -> none for a while: django-axes, for our own settings alone.

Bearer tokens and sign-in links are no passwords: they are signed with SECRET_KEY, and nobody comes upon one by trying.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from axes.backends import AxesStandaloneBackend
from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_cool_off
from django.http import HttpRequest, HttpResponse

from bulkql.server.door.refusals import refusal


class ThrottleBackend(AxesStandaloneBackend):  # type: ignore[misc]  # django-axes has no types
    """The first of AUTHENTICATION_BACKENDS: lets nobody on who failed too often."""

    # By its parameters Django tells that a token is not for this backend.
    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None
    ) -> None:
        """Raises PermissionDenied where this user may not try again yet. Who comes without a request is a program."""
        if request is not None:
            super().authenticate(request, username=username, password=password)


class FailureCounter(AxesDatabaseHandler):  # type: ignore[misc]
    """Counts what people get wrong, in the database, so that all web processes know of it."""

    def user_login_failed(self, sender: Any, credentials: Any, request: HttpRequest | None = None, **more: Any) -> None:
        """A junk token is a failure to Django too, and comes without a request."""
        if request is not None:
            super().user_login_failed(sender, credentials, request, **more)


def locked_out(request: HttpRequest, response: HttpResponse | None, credentials: Any) -> HttpResponse:
    """The answer to those who may not try again yet: how long they wait at most."""
    seconds = int(get_cool_off(request).total_seconds())
    text = f"Too many wrong passwords for this name; try again in {seconds // 60} minutes."
    answer = refusal(request, text, "LIMIT_EXCEEDED", HTTPStatus.TOO_MANY_REQUESTS)
    answer["Retry-After"] = str(seconds)
    return answer
