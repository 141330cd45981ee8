"""Inline rows -> the resolver, past graphql-core's coercion.

graphql-core fails a whole request over one wrong value, stops at 50 errors, and takes a third of a second for ten
thousand rows. So the rows are taken out of the request once it is parsed, and an empty list stands in their place:
the schema stays typed for every tool, and the rows' own types are checked row by row in workers/validation/.
Rows in variables and rows written into the query take this same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from django.core.files.base import File
from graphql import (
    BooleanValueNode,
    ConstValueNode,
    DocumentNode,
    EnumValueNode,
    FieldNode,
    FloatValueNode,
    GraphQLError,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    StringValueNode,
    ValueNode,
    VariableNode,
)
from strawberry.extensions import SchemaExtension

from bulkql.schema.context import Context
from bulkql.schema.rows.fragments import fragments_of, operation_of, used_variables
from bulkql.schema.rows.variables import (
    LISTS,
    Rows,
    RowsByField,
    RowsByResource,
    strip_input,
    strip_resource,
    strip_rows,
)
from bulkql.workers.columns.cells import ExactFloat

Found = TypeVar("Found")


class RowLane(SchemaExtension):
    """Takes the rows out after parsing, and leaves them in the context until the operation is over."""

    def on_operation(self) -> Iterator[None]:
        yield
        # An execution is a cycle of objects, and it may take long until garbage is collected. A mutation whose client
        # has gone may still be at work on its rows, so they are let go, and not cleared.
        if isinstance(self.execution_context.context, Context):
            self.execution_context.context.rows = {}

    def on_parse(self) -> Iterator[None]:
        yield
        execution = self.execution_context
        if execution.graphql_document is None or not isinstance(execution.context, Context):
            return
        operation = operation_of(execution.graphql_document, execution.operation_name)
        if operation is None or operation.operation is not OperationType.MUTATION:
            return
        lane = Lane(execution.graphql_document, execution.variables or {})
        execution.graphql_document = lane.document_without_rows(operation)
        if lane.errors:
            execution.pre_execution_errors = lane.errors
        execution.variables = {**(execution.variables or {}), **lane.replaced}
        if execution.context.has_files:
            refuse_files(lane.rows)
        execution.context.rows = lane.rows


def refuse_files(rows: dict[tuple[str, str], RowsByField]) -> None:
    """Raises GraphQLError where a file was put into a row, which no field takes."""
    waiting: list[tuple[str, Any]] = [
        (f"{resource}.{name}", given) for (_, resource), fields in rows.items() for name, given in fields.items()
    ]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, File):
            text = f"{path} is a file; a row's fields are values, and a file of rows is given as `file: {{upload}}`."
            raise GraphQLError(text, extensions={"code": "BAD_INPUT"})
        if isinstance(value, dict | list):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [(f"{path}.{key}", item) for key, item in items]


@dataclass
class Lane:
    """One request's rows on their way."""

    document: DocumentNode
    variables: dict[str, Any]
    #: Variables without their rows.
    replaced: dict[str, Any] = field(default_factory=dict)
    #: Rows by response key and resource, and by the field that held them.
    rows: dict[tuple[str, str], RowsByField] = field(default_factory=dict)
    #: The variables of the operation, with their defaults.
    defined: dict[str, ConstValueNode | None] = field(default_factory=dict)
    #: Defaults that held rows, without them.
    defaults: dict[str, ConstValueNode] = field(default_factory=dict)
    #: Rows stood in the text itself, not only in variables.
    is_rewritten: bool = False
    #: Variables that stood in rows written into the query.
    inlined: set[str] = field(default_factory=set)
    #: What validation would have said of the rows.
    errors: list[GraphQLError] = field(default_factory=list)

    def document_without_rows(self, operation: OperationDefinitionNode) -> DocumentNode:
        """The document with an empty list wherever rows were; fills `rows` and `replaced`."""
        for definition in operation.variable_definitions or ():
            self.defined[definition.variable.name.value] = definition.default_value
        # Another operation's fragments may have rows too, under the same names.
        reached = [operation, *fragments_of(self.document, operation)]
        definitions = [
            self._definition(node) if any(node is one for one in reached) else node
            for node in self.document.definitions
        ]
        if not self.is_rewritten:
            return self.document
        stripped = replace(self.document, definitions=tuple(definitions))
        return replace(stripped, definitions=tuple(self._with_variables(stripped, node) for node in definitions))

    def _definition(self, node: Any) -> Any:
        return replace(node, selection_set=self._selections(node.selection_set))

    def _selections(self, selection_set: SelectionSetNode) -> SelectionSetNode:
        """The selections of the mutation itself; what they select in turn has no rows."""
        return replace(selection_set, selections=tuple(self._selection(node) for node in selection_set.selections))

    def _selection(self, node: Any) -> Any:
        if isinstance(node, FieldNode):
            return self._field(node) if node.name.value.startswith("bulk") else node
        if getattr(node, "selection_set", None) is not None:  # ... on Mutation { }
            return self._definition(node)
        return node

    def _field(self, node: FieldNode) -> FieldNode:
        key = (node.alias or node.name).value
        return replace(node, arguments=tuple(self._argument(key, argument) for argument in node.arguments or ()))

    def _argument(self, key: str, node: Any) -> Any:
        if node.name.value != "input":
            return node
        value, rows = self._take_input(node.value)
        found = {(key, resource): of_resource for resource, of_resource in rows.items()}
        if any(self.rows.get(place, of_resource) != of_resource for place, of_resource in found.items()):
            # Two mutations under one name: without their rows they would pass for one and the same.
            return node
        self.rows.update(found)
        return replace(node, value=value)

    def _take_input(self, node: ValueNode) -> tuple[ValueNode, RowsByResource]:
        """The argument of a mutation without its rows, and the rows."""
        if isinstance(node, VariableNode):
            return node, self._take_variable(node.name.value, self._take_input, strip_input)
        if not isinstance(node, ObjectValueNode):
            return node, {}
        found: RowsByResource = {}
        fields = []
        for item in node.fields:
            value, rows = self._take_resource(item.value)
            if rows is not None:
                found[item.name.value] = rows
            fields.append(replace(item, value=value))
        return replace(node, fields=tuple(fields)), found

    def _take_resource(self, node: ValueNode) -> tuple[ValueNode, RowsByField | None]:
        """One resource's input without its rows, and the rows; None where it has none."""
        if isinstance(node, VariableNode):
            return node, self._take_variable(node.name.value, self._take_resource, strip_resource)
        if not isinstance(node, ObjectValueNode):
            return node, None
        found: RowsByField = {}
        fields = []
        for item in node.fields:
            if item.name.value in LISTS:
                value, rows = self._take_rows(item.value)
                if rows is not None:
                    found[item.name.value] = rows
                item = replace(item, value=value)
            fields.append(item)
        return replace(node, fields=tuple(fields)), found or None

    def _take_rows(self, node: ValueNode) -> tuple[ValueNode, Rows | None]:
        """An empty list in place of rows, and the rows; None where there are none."""
        if isinstance(node, VariableNode):
            return node, self._take_variable(node.name.value, self._take_rows, strip_rows)
        if isinstance(node, NullValueNode):
            return node, None
        items = node.values if isinstance(node, ListValueNode) else (node,)
        found = [self._untyped(item) for item in items]
        if not self.inlined <= self.defined.keys():
            return node, None  # validation will say which variable is not defined
        self.is_rewritten = True
        return ListValueNode(values=()), found

    def _take_variable(
        self, name: str, take: Callable[[ValueNode], tuple[ValueNode, Found]], strip: Callable[[Any], tuple[Any, Found]]
    ) -> Found:
        """The rows of a variable, which keeps the rest: `take` and `strip` are those of the place where it stands."""
        default = self.defined.get(name)
        if default is not None:
            self.is_rewritten = True
            self.defaults[name] = cast(ConstValueNode, take(default)[0])
        if name in self.variables:
            value = self.variables[name]
        elif default is not None:
            value = self._untyped(default)
        else:
            return strip(None)[1]
        self.replaced[name], rows = strip(value)
        return rows

    def _untyped(self, node: ValueNode) -> Any:
        """A literal as JSON would have it."""
        if isinstance(node, VariableNode):
            name = node.name.value
            self.inlined.add(name)
            default = self.defined.get(name)
            return self.variables.get(name, self._untyped(default) if default is not None else None)
        if isinstance(node, NullValueNode):
            return None
        if isinstance(node, IntValueNode):
            # Python refuses to read numbers of thousands of digits; the row's field refuses them.
            return int(node.value) if len(node.value) < 4000 else ExactFloat(node.value)
        if isinstance(node, FloatValueNode):
            return ExactFloat(node.value)
        if isinstance(node, ListValueNode):
            return [self._untyped(item) for item in node.values]
        if isinstance(node, ObjectValueNode):
            self._check_names(node)
            # A variable that is not given leaves its field out, as graphql-core does.
            return {item.name.value: self._untyped(item.value) for item in node.fields if self._is_given(item.value)}
        assert isinstance(node, EnumValueNode | StringValueNode | BooleanValueNode)
        return node.value

    def _check_names(self, node: ObjectValueNode) -> None:
        """Each field once: https://spec.graphql.org/draft/#sec-Input-Object-Field-Uniqueness."""
        names = [item.name for item in node.fields]
        if not self.errors and len({name.value for name in names}) < len(names):
            ((twice, _),) = Counter(name.value for name in names).most_common(1)
            text = f"There can be only one input field named '{twice}'."
            self.errors.append(GraphQLError(text, [name for name in names if name.value == twice]))

    def _is_given(self, node: ValueNode) -> bool:
        if not isinstance(node, VariableNode):
            return True
        self.inlined.add(node.name.value)
        return node.name.value in self.variables or self.defined.get(node.name.value) is not None

    def _with_variables(self, document: DocumentNode, node: Any) -> Any:
        """An operation that defines what it still uses: validation would refuse variables that stood in rows only."""
        if not isinstance(node, OperationDefinitionNode) or not (self.inlined or self.defaults):
            return node
        unused = self.inlined and self.inlined - used_variables([node, *fragments_of(document, node)])
        kept = (
            replace(one, default_value=self.defaults.get(one.variable.name.value, one.default_value))
            for one in node.variable_definitions or ()
            if one.variable.name.value not in unused
        )
        return replace(node, variable_definitions=tuple(kept))
