"""Whether it is an operation's turn: not while it is paused, and not before the time that it was asked to start at."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import Case, F, Q, TextField, Value, When
from django.db.models.functions import Now

from bulkql.workers.enums import OnError, State
from bulkql.workers.ledger.claims import is_free, may_begin
from bulkql.workers.models import Chunk, Input, Operation
from bulkql.workers.moments import utc_text

#: How the message of an operation begins that is for later, and of one whose chunks are slowed down.
STARTS_AT = "Starts at "
SLOWED_DOWN = "Slowed down: "


def told_start(start_at: datetime) -> str:
    """The message of an operation that is for later."""
    return f"{STARTS_AT}{utc_text(start_at)}."


def pause(operation_id: UUID) -> bool:
    """Begin nothing more of an operation; whether that was possible.

    Rows of one transaction are in the hands of one worker, who would hold their locks all the while: such an operation
    is paused before it is written, or not at all.
    """
    going_on = Operation.objects.filter(pk=operation_id, finished_at=None, state__in=(State.QUEUED, State.RUNNING))
    is_whole = Q(dry_run=True) | Q(on_error=OnError.REJECT_ALL) | Q(trades=True)
    free = going_on.filter(~is_whole | is_free())
    # Neither is true of an operation that is paused; why a chunk failed still is.
    is_outdated = Q(message__startswith=STARTS_AT) | Q(message__startswith=SLOWED_DOWN)
    message = Case(When(is_outdated, then=Value("", TextField())), default=F("message"))
    # Each turn counts in the sequence of progress, so that subscribers hear of it.
    return bool(free.update(state=State.PAUSED, message=message, turns=F("turns") + 1))


def resume(operation_id: UUID) -> bool:
    """Let a paused operation go on; whether it was paused."""
    state = Case(When(started_at=None, then=Value(State.QUEUED)), default=Value(State.RUNNING))
    paused = Operation.objects.filter(pk=operation_id, state=State.PAUSED)
    start_at = paused.filter(start_at__gt=Now()).values_list("start_at", flat=True).first()
    told = {} if start_at is None else {"message": told_start(start_at)}
    return bool(paused.update(state=state, turns=F("turns") + 1, **told))


def forget_dispatches(condition: Q, operation_id: UUID | None = None) -> list[int]:
    """Have what was dispatched count as not dispatched, of one operation or of all; chunks, inputs and operations.

    The messages of what could not be claimed when they came are gone: whoever lets it go on has it sent again.
    """
    wanted = {} if operation_id is None else {"operation": operation_id}
    chunks = Chunk.objects.filter(condition, recorded_at=None, operation__finished_at=None, **wanted)
    inputs = Input.objects.filter(condition, read_at=None, operation__finished_at=None, **wanted)
    wanted = {} if operation_id is None else {"pk": operation_id}
    whole = Operation.objects.filter(condition, finished_at=None, **wanted)
    return [some.update(dispatched_at=None) for some in (chunks, inputs, whole)]


def is_waiting() -> Q:
    """Operations on which nobody is to be at work now: paused, or for later, or at their pace."""
    return ~may_begin() | Q(due_at__gt=Now())
