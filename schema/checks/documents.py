"""Texts that were served before -> their documents, parsed and validated once.

Validating a query takes as long as writing its fifty rows. Clients send the same few texts again and again, with their
rows in variables.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

from django.urls import reverse
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, parse
from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from bulkql.schema.context import Context
from bulkql.workers.conf import limits

#: Texts that are remembered, the oldest forgotten first; a longer one has rows of its own, and comes once.
TEXTS = 500
CHARACTERS = 10_000

#: Each schema's own: what is valid in one need not be in another.
_valid: WeakKeyDictionary[Any, dict[str, DocumentNode]] = WeakKeyDictionary()


class NamedOperation(SchemaExtension):
    """A request has one operation that can be carried out where it came from; else nothing is executed.

    Of several it names one: https://spec.graphql.org/draft/#GetOperation(). Strawberry would take the first of them.
    """

    def on_validate(self) -> Iterator[None]:
        execution: Any = self.execution_context
        definitions = execution.graphql_document.definitions if execution.graphql_document is not None else ()
        count = sum(isinstance(one, OperationDefinitionNode) for one in definitions)
        if count > 1 and execution._provided_operation_name is None:
            text = f"The document has {count} operations; give the name of the one that is meant as operationName."
            execution.pre_execution_errors = [GraphQLError(text)]
        elif execution.operation_type is OperationType.SUBSCRIPTION and is_http(execution.context):
            execution.pre_execution_errors = [GraphQLError(way_to_subscribe())]
        yield


def way_to_subscribe() -> str:
    """What a subscription over HTTP is told."""
    return f"Subscribe over a websocket: graphql-transport-ws on {reverse('bulkql:graphql')}."


def is_http(context: Any) -> bool:
    """Whether there is no websocket to send a subscription's events to."""
    return isinstance(context, Context) and context.consumer is None


class KnownDocuments(SchemaExtension):
    """Stands behind the row lane, to see documents before rows are taken out of them."""

    _parsed: DocumentNode | None = None

    def on_parse(self) -> Iterator[None]:
        execution: Any = self.execution_context
        execution.graphql_document = execution.graphql_document or valid_in(execution.schema).get(execution.query or "")
        yield
        self._parsed = execution.graphql_document

    def on_validate(self) -> Iterator[None]:
        execution = self.execution_context
        text = execution.query or ""
        document = execution.graphql_document
        is_known = document is not None and valid_in(execution.schema).get(text) is document
        if is_known and execution.pre_execution_errors is None:
            execution.pre_execution_errors = []
        yield
        # What the row lane has rewritten is valid for this request only.
        if document is not None and document is self._parsed and not execution.pre_execution_errors:
            remember(valid_in(execution.schema), text, document)


def is_subscription(text: str, name: str | None) -> bool:
    """Whether the operation of a text that is to be executed is a subscription; what cannot be parsed is none."""
    try:
        document = parse(text, no_location=True, max_tokens=limits().query_tokens)
    except (GraphQLError, RecursionError):
        return False
    operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    named = [one for one in operations if name is None or (one.name is not None and one.name.value == name)]
    return bool(named) and named[0].operation.value == OperationType.SUBSCRIPTION.value


def valid_in(schema: Any) -> dict[str, DocumentNode]:
    """The documents that are valid in a schema, by their texts."""
    return _valid.setdefault(schema, {})


def remember(valid: dict[str, DocumentNode], text: str, document: DocumentNode) -> None:
    """Keep a valid document, in place of the oldest where there is no room."""
    if len(text) <= CHARACTERS and text not in valid:
        if len(valid) >= TEXTS:
            del valid[next(iter(valid))]
        valid[text] = document
