"""What can be wrong with a request, each with the code that the client sees."""

from __future__ import annotations


class BulkError(Exception):
    """A request that cannot be served; `code` travels in the GraphQL error's extensions."""

    code = "BAD_INPUT"

    @property
    def extensions(self) -> dict[str, str]:
        """graphql-core copies these into the error that it makes of this one."""
        return {"code": self.code}


class BadInput(BulkError):
    """The request contradicts itself or the schema's rules."""


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
    """A limit stands in the way; the message names it, the value and the setting."""

    code = "LIMIT_EXCEEDED"


class IdempotencyConflict(BulkError):
    """The idempotency key was used before, with another input."""

    code = "IDEMPOTENCY_CONFLICT"


class Unavailable(BulkError):
    """The database cannot be reached."""

    code = "UNAVAILABLE"


class UnreadableFile(BadInput):
    """An upload is not what it claims to be: wrong encoding, broken quotes, no known column."""


class WorkFailed(Exception):
    """A worker's message failed. Says where, and not what: messages of databases quote rows."""


class LeaseLost(Exception):
    """Another worker took over while this one was silent; what it holds must not be committed."""


class GivenUp(Exception):
    """A chunk or an input failed too often: (operation id, reason). Its operation ends."""


class ImproperlyRegistered(Exception):
    """A bulk.py asks for something impossible; the message says what to change."""


def place_of(error: BaseException) -> str:
    """The kind of an exception and where it was raised; never its message, which may quote rows."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place is not None else "nowhere"
    return f"{type(error).__qualname__} at {where}"
