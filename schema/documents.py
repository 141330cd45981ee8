"""Texts that were served before -> their documents, parsed and validated once.

Validating a query takes as long as writing its fifty rows. Clients send the same few texts again and again, with their
rows in variables.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphql import DocumentNode, GraphQLError, OperationDefinitionNode
from strawberry.extensions import SchemaExtension

#: Texts that are remembered, the oldest forgotten first; a longer one has rows of its own, and comes once.
TEXTS = 500
CHARACTERS = 10_000

_valid: dict[str, DocumentNode] = {}


class NamedOperation(SchemaExtension):
    """Of several operations a request names one: https://spec.graphql.org/draft/#GetOperation().

    Strawberry would take the first of them.
    """

    def on_validate(self) -> Iterator[None]:
        execution: Any = self.execution_context
        definitions = execution.graphql_document.definitions if execution.graphql_document is not None else ()
        count = sum(isinstance(one, OperationDefinitionNode) for one in definitions)
        if count > 1 and execution._provided_operation_name is None:
            text = f"The document has {count} operations; give the name of the one that is meant as operationName."
            execution.pre_execution_errors = [GraphQLError(text)]
        yield


class KnownDocuments(SchemaExtension):
    """Stands behind the row lane, to see documents before rows are taken out of them."""

    _parsed: DocumentNode | None = None

    def on_parse(self) -> Iterator[None]:
        execution: Any = self.execution_context
        execution.graphql_document = execution.graphql_document or _valid.get(execution.query or "")
        yield
        self._parsed = execution.graphql_document

    def on_validate(self) -> Iterator[None]:
        execution = self.execution_context
        text = execution.query or ""
        document = execution.graphql_document
        if document is not None and _valid.get(text) is document and execution.pre_execution_errors is None:
            execution.pre_execution_errors = []
        yield
        # What the row lane has rewritten is valid for this request only.
        if document is not None and document is self._parsed and not execution.pre_execution_errors:
            remember(text, document)


def remember(text: str, document: DocumentNode) -> None:
    """Keep a valid document, in place of the oldest where there is no room."""
    if len(text) <= CHARACTERS and text not in _valid:
        if len(_valid) >= TEXTS:
            del _valid[next(iter(_valid))]
        _valid[text] = document
