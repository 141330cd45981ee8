"""Webhooks of an operation: whom they tell, and what came of it."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import strawberry

from bulkql.schema.enums import DeliveryState
from bulkql.schema.permissions import visible_operations
from bulkql.workers import models
from bulkql.workers.errors import NotFound

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@strawberry.type(description="One attempt to send a webhook.")
class DeliveryTry:
    at: datetime.datetime = strawberry.field(description="When it was sent.")
    seconds: float = strawberry.field(description="How long it took.")
    status: int | None = strawberry.field(description="The HTTP status of the answer; null if there was none.")
    error: str | None = strawberry.field(description="Why there was no answer, or why it counts as a failure.")


@strawberry.type(description="A webhook that is sent at the end of an operation.")
class Delivery:
    id: strawberry.ID = strawberry.field(description="For resendWebhook.")
    host: str = strawberry.field(description="The host to which it is sent; the rest of the URL may be secret.")
    state: DeliveryState = strawberry.field(description="Whether it was delivered.")
    tries: list[DeliveryTry] = strawberry.field(description="The last attempts, at most 20.")
    next_try_at: datetime.datetime | None = strawberry.field(
        description="When the next attempt is due; null if none is needed, and until the operation is over."
    )
    created_at: datetime.datetime = strawberry.field(description="When it was stored, with its operation.")
    delivered_at: datetime.datetime | None = strawberry.field(description="When it was last delivered.")


def delivery_of(stored: models.Delivery) -> Delivery:
    """A delivery as the database has it."""
    is_due = stored.state == DeliveryState.PENDING and stored.operation.finished_at is not None
    return Delivery(
        id=strawberry.ID(str(stored.pk)),
        host=stored.host,
        state=DeliveryState(stored.state),
        tries=[
            DeliveryTry(
                at=datetime.datetime.fromisoformat(one["at"]),
                seconds=one["seconds"],
                status=one["status"],
                error=one["error"] or None,
            )
            for one in stored.tries
        ],
        next_try_at=stored.due_at if is_due else None,
        created_at=stored.created_at,
        delivered_at=stored.delivered_at,
    )


def deliveries_of(operation: models.Operation) -> list[Delivery]:
    """The webhooks of an operation; without a question to the database where it has none."""
    if not operation.calls_back:
        return []
    found = models.Delivery.objects.select_related("operation").filter(operation=operation)
    return [delivery_of(one) for one in found.order_by("created_at", "pk")]


def delivery_for(user: User, delivery_id: str) -> models.Delivery:
    """A delivery of an operation that the user may see; raises NotFound."""
    try:
        key = UUID(delivery_id)
    except ValueError:
        raise NotFound(f"There is no delivery {delivery_id}.") from None
    mine = models.Delivery.objects.select_related("operation").filter(operation__in=visible_operations(user))
    found = mine.filter(pk=key).first()
    if found is None:
        raise NotFound(f"There is no delivery {delivery_id}.")
    return found
