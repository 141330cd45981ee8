"""A plan whose rows are not copied -> how many of them make a chunk of some seconds, by what the last ones took."""

from __future__ import annotations

from bulkql.workers.backends import backend
from bulkql.workers.enums import Lane, State
from bulkql.workers.models import Input
from bulkql.workers.resources.plan import Plan

#: Seconds that a chunk is to take: a cancel waits for no longer, and no more is done again where a worker dies.
CHUNK_SECONDS = 5
#: Rows that are saved one by one, while nobody knows how long that takes.
FIRST_ROWS = 500
#: What a chunk has at least; and what an operation must have for its time to tell something.
FEW_ROWS = 50


def rows_in_time(plan: Plan, most: int) -> int:
    """Rows of a chunk, at most so many."""
    is_saved = plan.lane == Lane.SAVE
    if not is_saved and backend(plan.resource.database).supports_copy:
        return most
    pace = rows_a_second(plan)
    if pace is None:
        return min(FIRST_ROWS, most) if is_saved else most
    return min(max(FEW_ROWS, int(pace * CHUNK_SECONDS)), most)


def rows_a_second(plan: Plan) -> float | None:
    """What the last operation of the resource and the verb came to, if there was one that tells something."""
    last = (
        Input.objects.filter(
            resource=plan.resource.name,
            total__gte=FEW_ROWS,
            operation__verb=plan.verb,
            operation__state=State.COMPLETED,
            operation__dry_run=False,
        )
        .order_by("-operation__finished_at")
        .values_list("total", "operation__started_at", "operation__finished_at")
        .first()
    )
    total, started_at, finished_at = last or (None, None, None)
    if total is None or started_at is None or finished_at is None:
        return None
    seconds = (finished_at - started_at).total_seconds()
    return total / seconds if seconds > 0 else None
