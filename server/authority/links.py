"""A link that signs a browser in: once, and for BULKQL_SIGN_IN_SECONDS."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DataError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import base36_to_int
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from bulkql.workers.conf import limits


class BadLink(PermissionDenied):
    """A link that signs nobody in; the message says why, and what to do."""


class SignInTokens(PasswordResetTokenGenerator):
    """Django's tokens for who has forgotten a password: void after the user's next sign-in, and in time."""

    key_salt = "bulkql.server.authority.links"

    # Django leaves out the microseconds: a link would work again in the second in which it was used.
    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        signed_in = user.last_login.isoformat() if user.last_login is not None else ""
        return f"{user.pk} {user.password} {signed_in} {timestamp}"

    def check_token(self, user: Any, token: str | None) -> bool:
        """Whether it is the user's, not used and not older than a sign-in link may be."""
        return super().check_token(user, token) and self.age_of(str(token)) <= limits().sign_in_seconds

    def age_of(self, token: str) -> int:
        """The seconds since a good token was made."""
        return int(self._num_seconds(self._now())) - base36_to_int(token.partition("-")[0])


tokens = SignInTokens()


def sign_in_query(user: Any) -> str:
    """The query string that signs a browser in at /sign-in."""
    return "?" + urlencode({"user": user.pk, "token": tokens.make_token(user)})


def backend_of_sessions() -> str:
    """The first backend that finds users again; one that only counts failures (django-axes) comes before it."""
    return next(name for name in settings.AUTHENTICATION_BACKENDS if hasattr(import_string(name), "get_user"))


@never_cache
@require_GET
def sign_in(request: HttpRequest) -> HttpResponse:
    """GET /sign-in?user=PK&token=TOKEN: a session for the user of a good link; 403 for any other."""
    users: Any = get_user_model()._default_manager
    with transaction.atomic():
        # Two browsers that follow the link at once: the second finds the user signed in.
        try:
            user = users.select_for_update().filter(pk=request.GET.get("user")).first()
        except (ValueError, ValidationError, DataError):
            user = None  # no key, or none that the database takes
        if user is None or not user.is_active or not tokens.check_token(user, request.GET.get("token")):
            raise BadLink("This link was used or is too old; `bulkql sign-in` prints a new one.")
        login(request, user, backend=backend_of_sessions())
    return redirect(settings.LOGIN_REDIRECT_URL)
