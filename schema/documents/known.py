"""A request's text -> its document, parsed and validated; once where the same text comes again.

Validating a query takes as long as writing its fifty rows. Clients send the same few texts again and again, with their
rows in variables.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, parse
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document

#: Texts that are remembered, the oldest forgotten first; a longer one has rows of its own, and comes once.
TEXTS = 500
CHARACTERS = 10_000
#: A longer text is parsed and validated in a thread: others wait for what runs on the event loop.
SHORT_CHARACTERS = 2_000

#: Each schema's own: what is valid in one need not be in another.
_valid: WeakKeyDictionary[Any, dict[str, DocumentNode]] = WeakKeyDictionary()


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

    async def on_parse(self) -> AsyncIterator[None]:
        execution: Any = self.execution_context
        text = execution.query or ""
        execution.graphql_document = execution.graphql_document or valid_in(execution.schema).get(text)
        if execution.graphql_document is None and len(text) > SHORT_CHARACTERS:
            execution.graphql_document = await in_thread(parse, text, **execution.parse_options)
        yield
        self._parsed = execution.graphql_document

    async def on_validate(self) -> AsyncIterator[None]:
        execution = self.execution_context
        text, document = execution.query or "", execution.graphql_document
        is_known = document is not None and valid_in(execution.schema).get(text) is document
        if is_known and execution.pre_execution_errors is None:
            execution.pre_execution_errors = []
        elif document is not None and execution.pre_execution_errors is None and len(text) > SHORT_CHARACTERS:
            execution.pre_execution_errors = await in_thread(errors_in, document, execution)
        yield
        # What the row lane has rewritten is valid for this request only.
        if document is not None and document is self._parsed and not execution.pre_execution_errors:
            remember(valid_in(execution.schema), text, document)


def errors_in(document: DocumentNode, execution: Any) -> list[GraphQLError]:
    """What the schema says against a document."""
    return validate_document(execution.schema._schema, document, execution.validation_rules)


async def in_thread(work: Any, *arguments: Any, **options: Any) -> Any:
    return await sync_to_async(work, thread_sensitive=False)(*arguments, **options)


def valid_in(schema: Any) -> dict[str, DocumentNode]:
    """The documents that are valid in a schema, by their texts."""
    return _valid.setdefault(schema, {})


def remember(valid: dict[str, DocumentNode], text: str, document: DocumentNode) -> None:
    """Keep a valid document, in place of the oldest where there is no room."""
    if len(text) <= CHARACTERS and text not in valid:
        if len(valid) >= TEXTS:
            del valid[next(iter(valid))]
        valid[text] = document
