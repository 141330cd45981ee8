"""Who asks, and what came with the request: the context of every resolver."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from strawberry.types import Info

from bulkql.workers.errors import Unauthenticated

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User
    from strawberry.channels import GraphQLWSConsumer


SIGN_IN = "Sign in: send `Authorization: Bearer TOKEN` (`bulkql token USER` prints one), or use a session."


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
    consumer: GraphQLWSConsumer[Any, Any] | None = None
    #: What a websocket's client sent with connection_init.
    connection_params: dict[str, object] = field(default_factory=dict)
    #: Inline rows, by the response key of their mutation and the resource, and by their field (schema/rows.py).
    rows: dict[tuple[str, str], dict[str, list[Any]]] = field(default_factory=dict)
    #: The fields that the user may not read, by resource: asked anew with each query of rows (schema/queries.py).
    unreadable: dict[str, frozenset[str]] = field(default_factory=dict)


def user_of(info: Info[Context, None]) -> User:
    """The signed-in user; raises Unauthenticated."""
    user = info.context.user
    if user is None or not user.is_authenticated:
        raise Unauthenticated(SIGN_IN)
    return user
