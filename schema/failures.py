"""Exceptions -> GraphQL errors with a code, and log lines without row contents."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.db import InterfaceError, OperationalError
from graphql import GraphQLEnumType, GraphQLError, GraphQLNamedType
from strawberry.extensions import SchemaExtension
from strawberry.schema.exceptions import CannotGetOperationTypeError

from bulkql.workers.conf import documentation_of, limits, setting_name
from bulkql.workers.errors import REFUSALS, BulkError, place_of

logger = logging.getLogger("bulkql")

#: What tells a client of its own mistake: the others are ours.
TOLD = (BulkError, GraphQLError, CannotGetOperationTypeError)

#: What the others tell; a client could not mend them.
OURS = "Something went wrong in the service; its log has the details."

#: What a database that can be reached says, by SQLSTATE.
OUTAGES = {
    "55P03": "Another transaction holds locks that this one needs; try again.",
    "57014": "The database took too long for this, or waited too long for another transaction; try again.",
    "40P01": "This and another transaction blocked each other; try again.",
    "40001": "This and another transaction blocked each other; try again.",
    "53100": "The database has no disk space left.",
    "53300": "The database has no connection left; try again.",
}


class StreamFailures(SchemaExtension):
    """Gives each error of a websocket's results its code; over HTTP the view does."""

    def on_stream_result(self, result: Any) -> Iterator[None]:
        if errors := getattr(result, "errors", None):
            result.errors = [coded(error) for error in errors]
        yield


def error_of(error: Exception) -> GraphQLError:
    """An exception as GraphQL tells it; one of ours brings its code (BulkError.extensions)."""
    return GraphQLError(str(error), original_error=error)


def coded(error: GraphQLError) -> GraphQLError:
    """The same error with `extensions.code` and `extensions.documentation`."""
    told = with_code(error)
    assert told.extensions is not None
    told.extensions = {**told.extensions, **extensions_of(str(told.extensions["code"]))}
    return told


def extensions_of(code: str) -> dict[str, str]:
    """What a request-level error tells programs, and where its code is explained."""
    return {"code": code, "documentation": documentation_of("request", code)}


def with_code(error: GraphQLError) -> GraphQLError:
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if isinstance(cause, BulkError):
        return error
    if isinstance(cause, CannotGetOperationTypeError):
        return replaced(error, no_operation(cause), "BAD_INPUT")
    if isinstance(cause, OperationalError | InterfaceError):
        return replaced(error, outage(cause), "UNAVAILABLE")
    if is_ours(error, cause):
        return replaced(error, OURS, "INTERNAL")
    limit = limit_of(error.message)
    if limit is not None:
        text = f"{error.message} (limit {getattr(limits(), limit):,}, setting {setting_name(limit)})"
        return replaced(error, text, "LIMIT_EXCEEDED")
    error.extensions = {"code": "BAD_INPUT", **(error.extensions or {})}
    return error


def no_operation(error: CannotGetOperationTypeError) -> str:
    """Why nothing of a document can be executed."""
    if error.operation_name is None:
        return "The document has no operation; write a query, a mutation or a subscription."
    return f"The document has no operation {error.operation_name[:100]!r}, which operationName asks for."


def outage(cause: OperationalError | InterfaceError) -> str:
    """Why the database could not do what it was asked for."""
    state = str(getattr(cause.__cause__, "sqlstate", None))
    return OUTAGES.get(state, "The database cannot be reached; try again.")


def is_ours(error: GraphQLError, cause: BaseException | None) -> bool:
    """Whether the service is to blame, and not what the client sent."""
    return cause is not None and not isinstance(cause, TOLD) and not is_of_value(error, cause)


def is_of_value(error: GraphQLError, cause: BaseException) -> bool:
    """Whether a variable or a literal was refused: nothing was executed yet, so that there is no path."""
    return error.path is None and isinstance(cause, REFUSALS)


def name_allowed(errors: list[GraphQLError], types: Mapping[str, GraphQLNamedType]) -> None:
    """Say what an enum has, where an error speaks of what it has not."""
    for error in errors:
        found = re.search(r"does not exist in '(\w+)' enum", error.message)
        kind = types.get(found[1]) if found is not None else None
        if isinstance(kind, GraphQLEnumType):
            error.message += f" It has {', '.join(kind.values)}."


def limit_of(message: str) -> str | None:
    """The limit that an error of a limiter speaks of."""
    return "query_tokens" if "tokens" in message and "Parsing aborted" in message else None


def replaced(error: GraphQLError, message: str, code: str) -> GraphQLError:
    """Another message in the same place."""
    return GraphQLError(message, nodes=error.nodes, path=error.path, extensions={"code": code})


def log(errors: list[GraphQLError]) -> None:
    """One line for each error of ours; the client's own mistakes are told to the client alone.

    Messages may quote rows and so may tracebacks' values: only the kind of the exception is logged, and its place.
    """
    for error in errors:
        cause = error.original_error
        if cause is not None and is_ours(error, cause):
            logger.error("%s, path %s", place_of(cause), error.path)
