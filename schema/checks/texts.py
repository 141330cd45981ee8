"""The texts of a request's variables and literals -> errors for those that no database takes.

Rows are not among them: the row lane has taken them out, and a text that is none is an error of its row alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphql import DocumentNode, StringValueNode, Visitor, visit
from strawberry.extensions import SchemaExtension

from bulkql.schema.failures import error_of
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import BadInput, BulkError, LimitExceeded
from bulkql.workers.intake.checks import fault_of

#: A value, and where it is: the place of what holds it, and its name in there.
Place = tuple[Any, Any]


class Texts(SchemaExtension):
    """Stands behind the row lane."""

    def on_validate(self) -> Iterator[None]:
        execution = self.execution_context
        if execution.pre_execution_errors is None:
            try:
                check_variables(execution.variables or {})
                if execution.graphql_document is not None and "\\u" in (execution.query or ""):
                    check_literals(execution.graphql_document)
            except BulkError as error:
                execution.pre_execution_errors = [error_of(error)]
        yield


def check_variables(variables: dict[str, Any]) -> None:
    """Each text in them, however deep; raises BadInput, LimitExceeded."""
    most = limits().query_depth
    waiting: list[tuple[Any, Place, int]] = [(value, (None, name), 0) for name, value in variables.items()]
    while waiting:
        value, place, depth = waiting.pop()
        if isinstance(value, str):
            if fault := fault_of(value):
                raise BadInput(f"{written(place)} {fault}.")
        elif isinstance(value, dict | list):
            if depth >= most:
                text = f"{written(place)[:100]} is {depth + 1} levels deep; the limit is {most:,}"
                raise LimitExceeded(f"{text} ({setting_name('query_depth')}).")
            items = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [(item, (place, key), depth + 1) for key, item in items]


def written(place: Place) -> str:
    """$filters.name.inList.3"""
    keys: list[str] = []
    at: Any = place
    while at is not None:
        at, key = at
        keys.append(str(key))
    return f"${'.'.join(reversed(keys))}".encode(errors="backslashreplace").decode()


def check_literals(document: DocumentNode) -> None:
    """Texts that are written into the query, where escapes may stand for anything; raises BadInput."""

    class Literals(Visitor):
        def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
            if fault := fault_of(node.value):
                raise BadInput(f"A text in the query {fault}.")

    visit(document, Literals())
