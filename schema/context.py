"""Who asks, and what came with the request: the context of every resolver."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from strawberry.types import Info

from bulkql.workers.errors import Unauthenticated

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User


SIGN_IN = "Sign in: send `Authorization: Bearer TOKEN` (`bulkql token USER` prints one), or use a session."


class Consumer(Protocol):
    """An open websocket, as its operations see it."""

    async def ask(self) -> Any:
        """Whom it stands for now; None or an anonymous user where what it signed in with is good no more."""

    async def revoke(self) -> None:
        """Stop all of its operations, and close it with 4403."""


@dataclass(slots=True, kw_only=True)
class Context:
    """One HTTP request, or one websocket connection."""

    #: Django's request, or over a websocket the consumer.
    request: Any
    response: Any = None
    user: User | AnonymousUser | None = None
    #: Where the service is, as the client sees it: https://example.org
    base_url: str = ""
    #: The websocket's consumer; None over HTTP.
    consumer: Consumer | None = None
    #: What a websocket's client sent with connection_init.
    connection_params: dict[str, object] = field(default_factory=dict)
    #: It came as multipart: its variables may hold files.
    has_files: bool = False
    #: The resources whose rows were asked for along with others', and which the user may not view.
    hidden: set[str] = field(default_factory=set)
    #: Inline rows, by the response key of their mutation and the resource, and by their field (schema/rows/).
    rows: dict[tuple[str, str], dict[str, list[Any]]] = field(default_factory=dict)
    #: The fields that the user may not read, by resource: asked anew with each query of rows (schema/queries.py).
    unreadable: dict[str, frozenset[str]] = field(default_factory=dict)

    async def renew(self) -> None:
        """Find the websocket's user anew, and its permissions with it; raises Unauthenticated."""
        if self.consumer is not None:
            self.user = await self.consumer.ask()
            if self.user is None or not self.user.is_authenticated:
                raise Unauthenticated(SIGN_IN)

    async def of_operation(self) -> Context:
        """The context of one of a websocket's operations; raises Unauthenticated.

        Operations run side by side: on one context, one would find the rows of the other.
        """
        own = replace(self, rows={})
        await own.renew()
        return own


def user_of(info: Info[Context, None]) -> User:
    """The signed-in user; raises Unauthenticated."""
    user = info.context.user
    if user is None or not user.is_authenticated:
        raise Unauthenticated(SIGN_IN)
    return user
