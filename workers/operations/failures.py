"""Tries that failed -> another try, or why an operation is given up, and what helps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar
from uuid import UUID

from django.db import DatabaseError, InterfaceError, OperationalError

from bulkql.workers.enums import Verb
from bulkql.workers.errors import GivenUp, counted, place_of
from bulkql.workers.models import Operation

T = TypeVar("T")

#: How often a transaction is tried.
ATTEMPTS = 3
#: Deadlocks and serialization failures: PostgreSQL asks to try again. And targets of lists that went since they were
#: resolved: the next try names the rows.
TRY_AGAIN = {"40P01", "40001", "23503"}


def tried_again(attempt: Callable[[], T]) -> T:
    """What an attempt gives; it is a whole transaction, so that another one begins where it began."""
    for _ in range(ATTEMPTS - 1):
        try:
            return attempt()
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in TRY_AGAIN:
                raise
    return attempt()


#: It shuts down, crashed, starts up, has no connection or no disk left; class 08 is that of lost connections:
#: https://www.postgresql.org/docs/current/errcodes-appendix.html
AWAY = ("08", "57P01", "57P02", "57P03", "53300", "53100")


def is_outage(error: BaseException) -> bool:
    """Whether the database went away, which says nothing of the work that it interrupted."""
    if isinstance(error, InterfaceError):
        return True
    state = getattr(error.__cause__, "sqlstate", None)
    # A connection that ends without a word has no code.
    return isinstance(error, OperationalError) and (state is None or state.startswith(AWAY))


#: What the database calls a statement that took too long, and a transaction that waited for a lock for too long.
TOO_LONG = ("57014", "55P03")


def note_failure(operation_id: UUID, what: str, error: BaseException) -> None:
    """Tell in the operation's message what failed and where; it is tried again."""
    message = f"{what} failed ({reason_of(error)}); it is tried again."
    # The database may be what is away: then nobody can be told, and the next try will see.
    with suppress(DatabaseError, InterfaceError):
        Operation.objects.filter(pk=operation_id, finished_at=None).update(message=message)


def reason_of(error: BaseException) -> str:
    """The kind of an exception and its place; of the database's own limits, what helps. Never what it quotes."""
    if getattr(error.__cause__, "sqlstate", None) in TOO_LONG:
        return (
            "a statement took longer than BULKQL_STATEMENT_SECONDS; raise it, or send the remaining rows with a "
            "smaller chunkSize"
        )
    return place_of(error)


def failed_too_often(operation: Operation, what: str, attempts: int, remedy: str) -> GivenUp:
    """The end of an operation that was tried so often: the last reason that was told, and what to do."""
    told = Operation.objects.values_list("message", flat=True).get(pk=operation.pk)
    found = told.removeprefix(f"{what} failed (").removesuffix("); it is tried again.")
    if found == told:
        why = "Each time its worker process ended without reporting an error, as happens when it runs out of memory."
        return GivenUp(operation.pk, f"{what} failed {counted(attempts, 'time')}. {why} {remedy}")
    found = f"{what} failed {counted(attempts, 'time')}, most recently with {found}. The workers' log has more details."
    return GivenUp(operation.pk, f"{found} {way_on(operation)}")


def way_on(operation: Operation) -> str:
    """How the rest is written after all: retryOperation knows no rows but those that were read."""
    if operation.verb == Verb.EXPORT:
        return "Fix the cause, then ask for the export again."
    if operation.inputs.filter(read_at=None).exists():
        return (
            "Not all rows had been read, and retryOperation would leave some out: fix the cause, then send all of them "
            "again."
        )
    return "Fix the cause, then send the remaining rows again with retryOperation."
