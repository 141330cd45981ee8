"""What a user has stored and asked for -> how much of each quota is used, or LimitExceeded."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import BigIntegerField, Count, Q, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from bulkql.workers.backends import whole_sum
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import LimitExceeded
from bulkql.workers.models import Export, Operation, Upload

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Seconds for which a process trusts what it has read of a user's operations, and what it has accepted since.
READING_SECONDS = 10
#: Users whose readings are kept.
READINGS = 10_000


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit of conf.Limits that counts for each user, and how much of it is used."""

    limit: str
    used: int
    #: When it counts from zero again; None where something has to be removed, or to end, first.
    resets_at: datetime | None = None

    def check(self, more: int, what: str, way_out: str) -> None:
        """Raises LimitExceeded if so many more are too many."""
        most = getattr(limits(), self.limit)
        if self.used + more > most:
            raise LimitExceeded(
                f"{self.used:,} {what} are yours already, and {more:,} more would exceed the limit of {most:,} "
                f"({setting_name(self.limit)}); {way_out}."
            )


def quotas_of(user: User) -> list[Quota]:
    """All of a user's quotas, as the database has them now."""
    counted = read_operations(user)
    return [
        *upload_quotas(user),
        Quota("user_operations_waiting", counted.waiting),
        Quota("user_rows_a_day", counted.rows, counted.day_end),
    ]


def upload_quotas(user: User) -> tuple[Quota, Quota]:
    """Bytes, and uploads that wait for theirs."""
    is_waiting = Q(uploaded_at=None, created_at__gt=timezone.now() - timedelta(seconds=limits().upload_seconds))
    exported = Export.objects.filter(input__operation__created_by=user).values("input__operation__created_by")
    counted = Upload.objects.filter(created_by=user).aggregate(
        size=whole_sum("size", filter=is_waiting | Q(uploaded_at__isnull=False))
        + Coalesce(Subquery(exported.values(size=Sum("size"))), 0, output_field=BigIntegerField()),
        waiting=Count("pk", filter=is_waiting),
    )
    return Quota("user_stored_bytes", int(counted["size"])), Quota("user_uploads_waiting", counted["waiting"])


def check_new_upload(user: User, size: int | None) -> None:
    """Whether a user may announce an upload; raises LimitExceeded."""
    stored, waiting = upload_quotas(user)
    check_bytes(stored, size or 0)
    waiting.check(1, "uploads that wait for their bytes", "send those first")


def check_bytes(stored: Quota, more: int) -> None:
    stored.check(more, "bytes of uploads and exports", "they are removed some days after their operations are over")


@dataclass(slots=True)
class Counted:
    """A user's operations as they were read, and those that this process has accepted since."""

    waiting: int
    rows: int
    day_end: datetime
    read_at: float

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() - self.read_at < READING_SECONDS and timezone.now() < self.day_end


#: Reading them for each request would take longer than writing its rows.
_counted: dict[Any, Counted] = {}


def check_stored_bytes(user: User | None) -> None:
    """Whether there is room for another file of a user's; raises LimitExceeded."""
    if user is not None:
        check_bytes(upload_quotas(user)[0], 1)


def check_new_operation(user: User, rows: int) -> None:
    """Whether a user may ask for so many rows, 0 where only a file knows; raises LimitExceeded.

    Counts at once what this process accepts, and what others accept within READING_SECONDS.
    """
    counted = _counted.get(user.pk)
    if counted is None or not counted.is_fresh:
        counted = remembered(user)
    try:
        check_operations(counted, rows)
    except LimitExceeded:
        # Some of them may be over by now.
        counted = remembered(user)
        check_operations(counted, rows)
    counted.waiting += 1
    counted.rows += rows


def check_operations(counted: Counted, rows: int) -> None:
    waiting = Quota("user_operations_waiting", counted.waiting)
    waiting.check(1, "operations that are not over", "wait for some of them, or cancel them")
    today = Quota("user_rows_a_day", counted.rows, counted.day_end)
    today.check(max(rows, 1), "rows of today", f"the next day begins at {counted.day_end:%Y-%m-%d %H:%M} UTC")


def remembered(user: User) -> Counted:
    """What is read now, kept for the next requests."""
    if len(_counted) >= READINGS:
        _counted.clear()
    counted = _counted[user.pk] = read_operations(user)
    return counted


def read_operations(user: User) -> Counted:
    """The user's operations that are not over, and the rows of those of today, which ends by UTC."""
    start = timezone.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    operations = Operation.objects.filter(created_by=user)
    rows = operations.filter(created_at__gte=start).aggregate(rows=whole_sum("inputs__total"))["rows"]
    return Counted(
        waiting=operations.filter(finished_at=None).count(),
        rows=rows,
        day_end=start + timedelta(days=1),
        read_at=time.monotonic(),
    )
