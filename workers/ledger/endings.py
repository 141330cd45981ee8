"""How an operation ends: finished, canceled or failed."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import Case, Exists, F, OuterRef, Subquery, Value, When
from django.db.models.functions import Coalesce, Now

from bulkql.workers.backends import durable, whole_sum
from bulkql.workers.enums import State
from bulkql.workers.ledger.claims import is_coming, is_free, its_operation
from bulkql.workers.models import Chunk, Input, Operation


@durable()
def finish(operation_id: UUID) -> bool:
    """End an operation whose every chunk is recorded; whether it was this call that did."""
    unread = Input.objects.filter(operation=OuterRef("pk"), read_at=None)
    unwritten = Chunk.objects.filter(operation=OuterRef("pk"), recorded_at=None)
    done = Operation.objects.filter(~Exists(unread), ~Exists(unwritten), pk=operation_id, finished_at=None)
    state = Case(When(state=State.CANCELING, then=Value(State.CANCELED)), default=Value(State.COMPLETED))
    # What it waited for last is not what became of it; but why a sync deleted nothing is.
    notes = Input.objects.filter(operation=OuterRef("pk")).exclude(note="").order_by("position")
    message = Coalesce(Subquery(notes.values("note")[:1]), Value(""))
    return bool(done.update(state=state, message=message, finished_at=Now()))


def note_of(operation_id: UUID) -> str:
    """Why a sync deletes nothing, for the end of an operation that is written as a whole."""
    notes = Input.objects.filter(operation=operation_id).exclude(note="").order_by("position")
    return notes.values_list("note", flat=True).first() or ""


def ask_to_stop(operation_id: UUID) -> bool:
    """Ask an operation to stop; whether it was going on."""
    going_on = Operation.objects.filter(pk=operation_id, finished_at=None)
    return bool(going_on.update(state=State.CANCELING))


def forgo_uploads(operation_id: UUID) -> None:
    """Wait no more for the rest of an operation's files, which is free to be given up."""
    coming = Input.objects.filter(is_coming(), operation=operation_id, read_at=None)
    coming.update(read_at=Now(), total=0, upload=None)


def skip_canceled(operation_id: UUID) -> None:
    """Skip the chunks of a canceled operation that nobody is at work on."""
    # One that is written in one transaction is in its writer's hands, with all of its chunks.
    canceled = its_operation(is_free(), state=State.CANCELING)
    Chunk.objects.filter(is_free(), canceled, operation=operation_id, recorded_at=None).update(
        recorded_at=Now(), skipped=F("row_count"), lease=None, leased_until=None
    )


@durable()
@transaction.atomic
def fail(operation_id: UUID, message: str) -> bool:
    """End an operation that cannot go on: what is written stays and is counted, the rest is skipped."""
    failed = Operation.objects.filter(pk=operation_id, finished_at=None).update(
        state=State.FAILED, message=message, finished_at=Now()
    )
    Chunk.objects.filter(operation=operation_id, recorded_at=None).update(
        recorded_at=Now(), skipped=F("row_count"), lease=None, leased_until=None
    )
    for unread in Input.objects.filter(operation=operation_id, read_at=None):
        # What a broken file holds behind its break has no rows; those before it have their outcome.
        unread.total = unread.chunks.aggregate(rows=whole_sum("row_count"))["rows"]
        unread.read_at = Now()
        unread.save(update_fields=["total", "read_at"])
    return bool(failed)
