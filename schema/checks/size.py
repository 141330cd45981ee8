"""A document's size -> LIMIT_EXCEEDED, before graphql-core's validation looks at it.

Each fragment is measured once, however often it is spread: Strawberry's own limiters walk it again at each spread, so
that 753 bytes of fragments that spread the next one twice stopped the event loop for seconds.
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
    OperationDefinitionNode,
    SelectionSetNode,
)
from strawberry.extensions import SchemaExtension

from bulkql.schema.failures import error_of
from bulkql.workers.conf import limits, setting_name
from bulkql.workers.errors import LimitExceeded

#: What the limits count, and what to do about it.
COUNTED = {
    "query_depth": ("levels", "ask for the deeper levels in another request"),
    "query_aliases": ("aliases", "send several requests"),
    "query_fields": ("fields and spreads", "ask for fewer at a time"),
}


class DocumentLimits(SchemaExtension):
    """Stands behind the known documents, which were measured when they were new."""

    def on_validate(self) -> Iterator[None]:
        execution = self.execution_context
        if execution.pre_execution_errors is None and execution.graphql_document is not None:
            try:
                check_document(execution.graphql_document)
            except LimitExceeded as error:
                execution.pre_execution_errors = [error_of(error)]
        yield


@dataclass(frozen=True, slots=True)
class Size:
    """What a selection comes to once its fragments are in their places."""

    depth: int = 0
    aliases: int = 0
    fields: int = 0


@dataclass(slots=True)
class Ruler:
    """Measures selections; each fragment once."""

    fragments: dict[str, FragmentDefinitionNode]
    measured: dict[str, Size] = field(default_factory=dict)
    #: Fragments that are being measured, the outermost first.
    within: list[str] = field(default_factory=list)

    def size_of(self, selection_set: SelectionSetNode | None) -> Size:
        """The sum of a selection's parts, and the deepest of them."""
        depth = aliases = fields = 0
        for node in selection_set.selections if selection_set is not None else ():
            part = self._part(node)
            depth = max(depth, part.depth)
            aliases += part.aliases
            fields += part.fields
        return Size(depth, aliases, fields)

    def _part(self, node: Any) -> Size:
        if isinstance(node, FragmentSpreadNode):
            inner = self.fragment(node.name.value)
            return Size(inner.depth, inner.aliases, inner.fields + 1)
        inner = self.size_of(node.selection_set)
        if not isinstance(node, FieldNode):
            return Size(inner.depth, inner.aliases, inner.fields + 1)
        is_leaf = node.selection_set is None
        return Size(inner.depth + (not is_leaf), inner.aliases + (node.alias is not None), inner.fields + 1)

    def fragment(self, name: str) -> Size:
        """The size of a fragment; one that spreads itself, or that is not there, validation will refuse."""
        definition = self.fragments.get(name)
        if definition is None or name in self.within:
            return Size()
        if name not in self.measured:
            # A chain of a thousand would be deeper than Python's stack, here and in validation.
            refuse_over("query_depth", len(self.within) + 1)
            self.within.append(name)
            self.measured[name] = self.size_of(definition.selection_set)
            self.within.pop()
        return self.measured[name]


def check_document(document: DocumentNode) -> None:
    """All operations of a document together, and fragments that none of them spreads; raises LimitExceeded."""
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    ruler = Ruler(fragments)
    sizes = [
        ruler.size_of(one.selection_set) for one in document.definitions if isinstance(one, OperationDefinitionNode)
    ]
    # Validation compares what is never spread too.
    unused = [ruler.fragment(name).fields for name in fragments if name not in ruler.measured]
    refuse_over("query_depth", max((size.depth for size in sizes), default=0))
    refuse_over("query_aliases", sum(size.aliases for size in sizes))
    refuse_over("query_fields", sum(size.fields for size in sizes) + sum(unused))


def refuse_over(limit: str, count: int) -> None:
    """Raises LimitExceeded where the query has more than the limit."""
    most: int = getattr(limits(), limit)
    if count > most:
        what, instead = COUNTED[limit]
        # A doubled fragment's count may have thousands of digits.
        shown = f"{count:,}" if count < 10**9 else "More than 1,000,000,000"
        raise LimitExceeded(
            f"{shown} {what} in the query exceed the limit of {most:,} ({setting_name(limit)}); {instead}."
        )
