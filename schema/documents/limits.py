"""A parsed document and its variables -> whether they ask for more than one request may.

Each definition is walked once, however often it is spread: 18 fragments that each spread the next twice are 18 walks,
and not 262,144. Counts multiply where a fragment is spread again, for so does the work of executing it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    SelectionSetNode,
)
from strawberry.extensions import SchemaExtension

from bulkql.workers.conf import limits
from bulkql.workers.errors import LimitExceeded
from bulkql.workers.intake.requests import exceeds

LESS = "ask for less, or in several requests"


@dataclass(frozen=True, slots=True)
class Size:
    """What a selection asks for, fragments included wherever they are spread."""

    fields: int = 0
    aliases: int = 0
    #: Levels of fields that have selections of their own; introspection, which every tool asks for, is left out.
    depth: int = 0


class DocumentLimits(SchemaExtension):
    """Refuses a document before it is validated; stands behind the row lane, which takes rows out of variables."""

    def on_validate(self) -> Iterator[None]:
        execution = self.execution_context
        if execution.graphql_document is not None:
            try:
                check(execution.graphql_document)
                check_variables(execution.variables)
            except LimitExceeded as error:
                execution.pre_execution_errors = [GraphQLError(str(error), original_error=error)]
        yield


def check(document: DocumentNode) -> None:
    """Raises LimitExceeded for a document that is too large, counting also what no operation reaches."""
    known: dict[str, Size] = {}
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    sizes = [
        size_of(node.selection_set, fragments, known)
        for node in document.definitions
        if getattr(node, "selection_set", None) is not None
    ]
    # Validation compares fields with each other, those of fragments that nobody spreads too.
    exceeds("query_fields", "fields of a query", sum(size.fields for size in sizes), LESS)
    exceeds("query_aliases", "aliases of a query", max((size.aliases for size in sizes), default=0), LESS)
    exceeds("query_depth", "levels of a query", max((size.depth for size in sizes), default=0), LESS)


def size_of(selections: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode], known: dict[str, Size]) -> Size:
    """The size of a selection set; `known` are the fragments that have been walked."""
    fields = aliases = depth = 0
    for node in selections.selections:
        if isinstance(node, FragmentSpreadNode):
            size = size_of_fragment(node.name.value, fragments, known)
        elif isinstance(node, FieldNode):
            below = Size() if node.selection_set is None else size_of(node.selection_set, fragments, known)
            is_a_level = node.selection_set is not None and not node.name.value.startswith("__")
            size = Size(
                fields=1 + below.fields,
                aliases=(node.alias is not None) + below.aliases,
                depth=1 + below.depth if is_a_level else 0,
            )
        else:
            size = size_of(node.selection_set, fragments, known)
        fields, aliases, depth = fields + size.fields, aliases + size.aliases, max(depth, size.depth)
    return Size(fields, aliases, depth)


def size_of_fragment(name: str, fragments: dict[str, FragmentDefinitionNode], known: dict[str, Size]) -> Size:
    if name not in known:
        # A cycle ends here; validation refuses it.
        known[name] = Size()
        if name in fragments:
            known[name] = size_of(fragments[name].selection_set, fragments, known)
    return known[name]


def check_variables(variables: dict[str, Any] | None) -> None:
    """Raises LimitExceeded for variables of too many values; rows, which have a lane and limits of their own, are out.

    graphql-core looks at each of them on the event loop.
    """
    most, count = limits().query_values, 0
    waiting: list[Any] = [variables]
    while waiting:
        value = waiting.pop()
        count += 1
        if count > most:
            exceeds("query_values", "values in variables", count, "send rows as rows, or as a file")
        if isinstance(value, dict):
            waiting += islice(value.values(), most)
        elif isinstance(value, list):
            waiting += value[: most + 1]
