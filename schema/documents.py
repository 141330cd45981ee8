"""Texts that were served before -> their documents, parsed and validated once.

Validating a query takes as long as writing its fifty rows. Clients send the same few texts again and again, with their
rows in variables.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

from graphql import DocumentNode
from strawberry.extensions import SchemaExtension

#: Texts that are remembered, the oldest forgotten first; a longer one has rows of its own, and comes once.
TEXTS = 500
CHARACTERS = 10_000

#: Each schema's own: what is valid in one need not be in another.
_valid: WeakKeyDictionary[Any, dict[str, DocumentNode]] = WeakKeyDictionary()


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
        if document is not None and valid_in(execution.schema).get(text) is document:
            execution.pre_execution_errors = []
        yield
        # What the row lane has rewritten is valid for this request only.
        if document is not None and document is self._parsed and not execution.pre_execution_errors:
            remember(valid_in(execution.schema), text, document)


def valid_in(schema: Any) -> dict[str, DocumentNode]:
    """The documents that are valid in a schema, by their texts."""
    return _valid.setdefault(schema, {})


def remember(valid: dict[str, DocumentNode], text: str, document: DocumentNode) -> None:
    """Keep a valid document, in place of the oldest where there is no room."""
    if len(text) <= CHARACTERS and text not in valid:
        if len(valid) >= TEXTS:
            del valid[next(iter(valid))]
        valid[text] = document
