"""What can be wrong with a request or with a row, each with the code that the client sees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType, TracebackType

from django.core.exceptions import FieldError, ValidationError
from django.db import DataError


class BulkError(Exception):
    """A request that cannot be served; `code` travels in the GraphQL error's extensions."""

    code = "BAD_INPUT"

    @property
    def extensions(self) -> dict[str, str]:
        """graphql-core copies these into the error that it makes of this one."""
        return {"code": self.code}


class BadInput(BulkError):
    """The request contradicts itself or the schema's rules."""


class PersistedQueryNotSupported(BulkError):
    """A query by its hash alone, which is not kept here: the client is to send the text, and hashes no more.

    Clients know this answer by its message or its code: https://www.apollographql.com/docs/apollo-server/performance/apq
    """

    code = "PERSISTED_QUERY_NOT_SUPPORTED"


class Unauthenticated(BulkError):
    """Nobody is signed in."""

    code = "UNAUTHENTICATED"


class Forbidden(BulkError):
    """The user lacks a permission."""

    code = "FORBIDDEN"


class NotFound(BulkError):
    """There is no such thing, or the user may not know of it."""

    code = "NOT_FOUND"


class Expired(NotFound):
    """There was such a thing, until its time ran out."""


class LimitExceeded(BulkError):
    """A limit is exceeded; the message names it, the value and the setting."""

    code = "LIMIT_EXCEEDED"


class TooManyAtOnce(LimitExceeded):
    """A user has as many of something as are allowed at a time; the same request can succeed later."""


class Unavailable(BulkError):
    """The database cannot be reached; the request can be sent again."""

    code = "UNAVAILABLE"


class IdempotencyConflict(BulkError):
    """The idempotency key was used before, with another input or other options."""

    code = "IDEMPOTENCY_CONFLICT"


class Unshowable(BulkError):
    """A stored value that does not have its field's type; its row and its neighbours are shown."""

    code = "INTERNAL"


class EncodedBody(BadInput):
    """A body is compressed on its way, which nobody undoes here."""


class WrongOffset(BadInput):
    """The bytes do not continue where the stored ones end."""


class WrongChecksum(BadInput):
    """The bytes that came are not those that were sent."""


class Locked(BulkError):
    """Somebody else holds locks for longer than the service waits; `reason` says who."""

    code = "UNAVAILABLE"

    def __init__(self, reason: str, seconds: int, setting: str) -> None:
        super().__init__(f"{reason}; waited for {counted(seconds, 'second')} ({setting}).")
        self.reason = reason


class HookFailed(BulkError):
    """A rule of the user's project returns something that cannot be written; the message names the rule, and no row."""

    code = "INTERNAL"


class UnreadableFile(BadInput):
    """An upload is not what it claims to be: wrong encoding, broken quotes, no known column."""


class IncompleteUpload(BadInput):
    """An upload is not complete, and too few of its bytes have arrived; once all have, the request may succeed."""

    @property
    def extensions(self) -> dict[str, str]:
        """With a reason by which programs tell this from what they cannot mend by waiting."""
        return {**super().extensions, "reason": "UPLOAD_INCOMPLETE"}


class GuardedDeletes(BadInput):
    """A sync would delete more rows than its guard allows: the input may not be whole."""


class NoKnownColumn(BadInput):
    """The resource has none of a file's columns: the header may have been read wrongly."""


class Code(StrEnum):
    """What is wrong with a row."""

    REQUIRED = "REQUIRED"
    NULL_NOT_ALLOWED = "NULL_NOT_ALLOWED"
    INVALID = "INVALID"
    TOO_LONG = "TOO_LONG"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    NOT_A_CHOICE = "NOT_A_CHOICE"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    REFERENCE_NOT_FOUND = "REFERENCE_NOT_FOUND"
    DUPLICATE_IN_REQUEST = "DUPLICATE_IN_REQUEST"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    CONSTRAINT = "CONSTRAINT"
    NOT_FOUND = "NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    REJECTED = "REJECTED"
    MALFORMED = "MALFORMED"
    CONFLICT = "CONFLICT"


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with a row, but not which row it is. It is data, and never raised.

    `path` is the field as GraphQL calls it, dotted; None where the whole row is at fault. `data` is what the row gave,
    as text.
    """

    path: str | None
    code: Code
    message: str
    data: str | None = None


#: What Python, Django and the database raise for a value that they do not take. What Decimal raises, and OverflowError,
#: are ArithmeticErrors; UnicodeEncodeError is a ValueError.
REFUSALS = (ValueError, TypeError, ArithmeticError, ValidationError, FieldError, DataError)


@contextmanager
def refusals_named(path: str) -> Iterator[None]:
    """Where a client's own values are used, and nothing else is done: a refusal is BadInput that names their place."""
    try:
        yield
    except REFUSALS as error:
        raise BadInput(f"{path}: {words_of(error)}") from error


def words_of(error: Exception) -> str:
    """Why a value was refused, in a sentence or two; a database speaks of the client's values alone here."""
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    if isinstance(error, ArithmeticError):
        return "The value is out of range."
    diagnosis = getattr(error.__cause__, "diag", None)
    return getattr(diagnosis, "message_primary", None) or str(error)


def counted(count: int, noun: str) -> str:
    """1 row, 1,000 rows: a number and what it counts, in a sentence."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


class WorkFailed(Exception):
    """A worker's message failed. Says where, and not what: messages of databases quote rows."""


class LeaseLost(Exception):
    """Another worker took over while this one was silent; what it holds must not be committed."""


class Paused(Exception):
    """The operation was paused during this work, which continues when it is resumed."""


class GivenUp(Exception):
    """A chunk or an input failed too often: (operation id, reason). Its operation ends."""


class ImproperlyRegistered(Exception):
    """A bulk.py asks for something impossible; the message says what to change."""


def place_of(error: BaseException) -> str:
    """The kind of an exception and where it was raised; never its message, which may quote rows."""
    places = [(tb.tb_frame, tb.tb_lineno) for tb in tracebacks(error)]
    if not places:
        return f"{type(error).__qualname__} at nowhere"
    text = f"{type(error).__qualname__} at {place_in_code(*places[-1])}"
    # A library's innermost line seldom tells who asked it.
    ours = [place for place in places if module_of(place[0]).startswith("bulkql.")]
    return f"{text}, from {place_in_code(*ours[-1])}" if ours and ours[-1] != places[-1] else text


def tracebacks(error: BaseException) -> Iterator[TracebackType]:
    """The steps from where an exception was caught to where it was raised."""
    step = error.__traceback__
    while step is not None:
        yield step
        step = step.tb_next


def let_frames_go(error: BaseException) -> None:
    """Have an exception that has been told keep nothing alive.

    Django's ValidationErrors hold themselves, and through their tracebacks all that their callers have at hand: the
    rows of a whole chunk for each wrong cell, until garbage is collected.
    """
    cause: BaseException | None = error
    while cause is not None:
        cause.__traceback__ = None
        cause = cause.__context__


def place_in_code(frame: FrameType, line: int) -> str:
    """A line's place from its package on: where a machine keeps its packages does not belong in a log."""
    module, file = module_of(frame), Path(frame.f_code.co_filename).name
    package = module if file == "__init__.py" else module.rpartition(".")[0]
    return f"{'/'.join([*package.split('.'), file] if package else [file])}:{line}"


def module_of(frame: FrameType) -> str:
    """The name of the module whose code a frame runs."""
    return str(frame.f_globals.get("__name__", ""))
