"""Which operation of a document is carried out -> a request error where that is not clear, or not possible here."""

from __future__ import annotations

from collections.abc import Iterator

from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, OperationType
from strawberry.extensions import SchemaExtension

from bulkql.schema.context import Context


class OneOperation(SchemaExtension):
    """As https://spec.graphql.org/October2021/#GetOperation() says: without a name, there has to be just one."""

    def on_validate(self) -> Iterator[None]:
        execution = self.execution_context
        if execution.graphql_document is not None and execution.pre_execution_errors is None:
            is_http = isinstance(execution.context, Context) and execution.context.consumer is None
            # Strawberry itself takes the first operation where none was named.
            named = execution._provided_operation_name
            reason = problem(execution.graphql_document, named, is_http=is_http)
            if reason is not None:
                execution.pre_execution_errors = [GraphQLError(reason)]
        yield


def problem(document: DocumentNode, name: str | None, *, is_http: bool) -> str | None:
    """Why no operation can be chosen; None where one can."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is not None:
        operations = [node for node in operations if node.name is not None and node.name.value == name]
    if len(operations) > 1:
        return f"There are {len(operations)} operations; operationName has to say which of them is meant."
    if is_http and any(node.operation is OperationType.SUBSCRIPTION for node in operations):
        return "Subscriptions go over the websocket at this same address, in the protocol graphql-transport-ws."
    return None
