"""A document and its variables -> whether the rows of all its pages are more than one request may ask for.

Counted before anything is executed, from what is asked for and not from what there is: 100 results of each of 20
operations are 20 + 20 x 100 rows. So is each alias counted, and each spread of a fragment. Each definition is walked
once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Undefined,
    VariableNode,
    get_named_type,
)
from strawberry.extensions import SchemaExtension

from bulkql.schema.failures import error_of
from bulkql.workers.conf import limits
from bulkql.workers.errors import LimitExceeded
from bulkql.workers.intake.checks import exceeds


class PageLimits(SchemaExtension):
    """Refuses a document before it is executed."""

    def on_validate(self) -> Iterator[None]:
        execution: Any = self.execution_context
        if execution.graphql_document is not None and not execution.pre_execution_errors:
            try:
                check_rows(execution.schema._schema, execution.graphql_document, execution.variables or {})
            except LimitExceeded as error:
                execution.pre_execution_errors = [error_of(error)]
        yield


def check_rows(schema: GraphQLSchema, document: DocumentNode, variables: dict[str, Any]) -> None:
    """Raises LimitExceeded for a document of which an operation asks for too many rows."""
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            pages = Pages(schema, document, {**defaults_of(node), **variables})
            count = pages.rows_of(node.selection_set, schema.get_root_type(node.operation))
            exceeds("answer_rows", "rows in one answer, all of its pages together,", count, "ask for smaller pages")


def defaults_of(operation: OperationDefinitionNode) -> dict[str, Any]:
    """The variables that have a default, by their names."""
    found = operation.variable_definitions or ()
    return {one.variable.name.value: plain(one.default_value, {}) for one in found if one.default_value is not None}


@dataclass
class Pages:
    """One operation's pages."""

    schema: GraphQLSchema
    document: DocumentNode
    variables: dict[str, Any]
    _known: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = (node for node in self.document.definitions if isinstance(node, FragmentDefinitionNode))
        self._fragments = {node.name.value: node for node in found}

    def rows_of(self, selections: SelectionSetNode, parent: Any) -> int:
        """The rows that a selection asks for. What the schema does not have counts nothing: validation refuses it."""
        count = 0
        for node in selections.selections:
            if isinstance(node, FieldNode):
                count += self._rows_of_field(node, getattr(parent, "fields", {}).get(node.name.value))
            elif isinstance(node, FragmentSpreadNode):
                count += self._rows_of_fragment(node.name.value)
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                inner = parent if condition is None else self.schema.get_type(condition.name.value)
                count += self.rows_of(node.selection_set, inner)
        return count

    def _rows_of_field(self, node: FieldNode, definition: GraphQLField | None) -> int:
        if definition is None:
            return 0
        size = page_size(node, definition, self.variables)
        below = 0
        if node.selection_set is not None:
            below = self.rows_of(node.selection_set, get_named_type(definition.type))
        return below if size is None else size * (1 + below)

    def _rows_of_fragment(self, name: str) -> int:
        if name not in self._known:
            # A cycle ends here; validation refuses it.
            self._known[name] = 0
            if (fragment := self._fragments.get(name)) is not None:
                parent = self.schema.get_type(fragment.type_condition.name.value)
                self._known[name] = self.rows_of(fragment.selection_set, parent)
        return self._known[name]


def page_size(node: FieldNode, definition: GraphQLField, variables: dict[str, Any]) -> int | None:
    """The rows that a field may answer with; None for one that is no page. What is no number, validation refuses."""
    name = next((name for name in ("pagination", "first") if name in definition.args), None)
    if name is None:
        return None
    value = next((one.value for one in node.arguments or () if one.name.value == name), None)
    given = plain(value, variables) if value is not None else Undefined
    if name == "pagination" and isinstance(given, dict):
        given = given.get("limit")
    if given is Undefined or given is None:
        given = definition.args[name].default_value
    return max(given, 0) if isinstance(given, int) else limits().default_page_rows


def plain(node: Any, variables: dict[str, Any]) -> Any:
    """A literal, or a variable's value, as far as pages need it."""
    if isinstance(node, VariableNode):
        return variables.get(node.name.value, Undefined)
    if isinstance(node, IntValueNode):
        # More digits than an Int has are more rows than there are.
        return int(node.value[:18])
    if isinstance(node, ObjectValueNode):
        return {one.name.value: plain(one.value, variables) for one in node.fields}
    return None if isinstance(node, NullValueNode) else Undefined
