"""What a websocket showed when it was opened -> the user whom it stands for now, however often that is asked."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from asgiref.sync import sync_to_async
from channels.auth import get_user
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user_model
from django.db.models import Model

from bulkql.server.auth import user_of_token


class Credential(Protocol):
    """Equal ones stand for the same user: they are asked about once for all sockets that showed them."""

    async def user(self) -> Any:
        """The user as the database has it now; None or an anonymous one where the credential is good no more."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token: until it expires, its user's password changes, or the user is deactivated or deleted."""

    text: str

    async def user(self) -> Any:
        return await database_sync_to_async(user_of_token)(self.text)


@dataclass(frozen=True, slots=True)
class Session:
    """A session of Django's: until it ends, or is none of its user's any more."""

    key: str | None

    async def user(self) -> Any:
        store = import_module(settings.SESSION_ENGINE).SessionStore
        return await get_user({"session": store(self.key)})


@dataclass(frozen=True, slots=True)
class FoundUser:
    """A user whom the project's own middleware found, by what only the project knows: until its row says otherwise."""

    model: type[Model]
    pk: Any
    session_hash: str

    async def user(self) -> Any:
        return await database_sync_to_async(self._reloaded)()

    def _reloaded(self) -> Any:
        found: Any = self.model._default_manager.filter(pk=self.pk).first()
        is_good = found is not None and found.is_active and session_hash_of(found) == self.session_hash
        return found if is_good else None


@dataclass(frozen=True, slots=True, eq=False)
class ForeignUser:
    """A user who has no row that could be asked for: the project's middleware has the last word."""

    found: Any

    async def user(self) -> Any:
        return self.found


async def credential_of(scope: Any) -> Credential:
    """What a websocket shows without a token: the user whom middleware found, or a cookie."""
    if "user" in scope:
        return await sync_to_async(credential_of_found)(scope["user"], scope.get("session"))
    return Session(scope["cookies"].get(settings.SESSION_COOKIE_NAME))


def credential_of_found(user: Any, session: Any) -> Credential:
    """Channels' AuthMiddlewareStack finds the session's user; others find whom they like."""
    if not isinstance(user, get_user_model()):
        return ForeignUser(user)
    if session is not None and str(session.get(SESSION_KEY)) == str(user.pk):
        return Session(session.session_key)
    return FoundUser(type(user)._meta.concrete_model or get_user_model(), user.pk, session_hash_of(user))


def session_hash_of(user: Any) -> str:
    """What changes with the password."""
    return str(user.get_session_auth_hash()) if hasattr(user, "get_session_auth_hash") else ""
