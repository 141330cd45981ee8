"""A transaction that the database asks to try again -> tried again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError

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
