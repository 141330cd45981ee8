"""The orders of operations, and the places in them that cursors name."""

from __future__ import annotations

import base64
import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F, Q
from django.db.models.expressions import OrderBy

from bulkql.schema.enums import describe
from bulkql.workers.errors import BadInput


class OperationOrder(enum.Enum):
    """A column and a direction; operations of one moment follow by their ids."""

    CREATED_AT_DESC = "-created_at"
    CREATED_AT_ASC = "created_at"
    FINISHED_AT_DESC = "-finished_at"
    FINISHED_AT_ASC = "finished_at"

    @property
    def column(self) -> str:
        return self.value.removeprefix("-")

    @property
    def is_descending(self) -> bool:
        return self.value.startswith("-")


describe(
    OperationOrder,
    "OperationOrder",
    "In which order operations come.",
    CREATED_AT_DESC="The newest first.",
    CREATED_AT_ASC="The oldest first.",
    FINISHED_AT_DESC="Those that are not over first, then the last to end.",
    FINISHED_AT_ASC="The first to end first, those that are not over last.",
)


def ordering(order: OperationOrder) -> tuple[OrderBy, str]:
    """By the column, then by id. No time is later than any, on every database."""
    if order.is_descending:
        return F(order.column).desc(nulls_first=True), "-id"
    return F(order.column).asc(nulls_last=True), "id"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an operation stands in an order. It outlives the operation: a cursor is good after a purge too."""

    order: OperationOrder
    at: datetime | None
    id: UUID

    def cursor(self) -> str:
        at = self.at.isoformat() if self.at is not None else ""
        return base64.urlsafe_b64encode(f"{self.order.name}|{at}|{self.id}".encode()).decode()

    @classmethod
    def of(cls, cursor: str, order: OperationOrder) -> Place:
        """What cursor made, in this order; raises BadInput."""
        try:
            name, at, operation_id = base64.urlsafe_b64decode(cursor).decode().split("|")
            place = cls(OperationOrder[name], datetime.fromisoformat(at) if at else None, UUID(operation_id))
        except (KeyError, ValueError):
            place = None
        if place is None or place.cursor() != cursor or not (place.at is None or is_stored(place.at)):
            raise BadInput(f"{cursor[:100]!r} is not a cursor; use one from pageInfo.endCursor.")
        if place.order is not order:
            raise BadInput(
                f"The cursor is one of {place.order.name}, and the order is {order.name}; start again without it."
            )
        return place

    def is_behind(self) -> Q:
        """The condition of the operations that follow."""
        column, beyond = self.order.column, "lt" if self.order.is_descending else "gt"
        has_no_time, further_by_id = Q(**{f"{column}__isnull": True}), Q(**{f"id__{beyond}": self.id})
        if self.at is None:
            rest = has_no_time & further_by_id
            return rest | ~has_no_time if self.order.is_descending else rest
        # The bound in front is implied, and is what an index can seek.
        seek, further = Q(**{f"{column}__{beyond}e": self.at}), Q(**{f"{column}__{beyond}": self.at})
        rest = seek & (further | further_by_id)
        return rest if self.order.is_descending else rest | has_no_time


def is_stored(at: datetime) -> bool:
    """Whether it may be a time of the database, which takes no offset of 16 hours."""
    offset = at.utcoffset()
    return offset is not None and abs(offset) < timedelta(hours=16)
