"""What a mutation asks to be told of its operation -> nothing, or an error before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    Undefined,
    get_named_type,
    value_from_ast,
)
from strawberry.types import Info

from bulkql.schema.context import Context
from bulkql.workers.ledger.results import check_page

#: The fields of BulkOperation that are pages.
PAGES = ("results", "rowErrors")


def check_selection(info: Info[Context, None]) -> None:
    """Refuse pages that could not be given; raises BadInput, LimitExceeded.

    Once rows are written it is too late: a client that is told of an error, and not of its operation, sends them again.
    """
    raw = info._raw_info
    told = get_named_type(raw.return_type)
    assert isinstance(told, GraphQLObjectType)
    for node in selected(raw.field_nodes, raw.fragments):
        if node.name.value in PAGES:
            arguments = told.fields[node.name.value].args
            given = {
                one.name.value: value_from_ast(one.value, arguments[one.name.value].type, info.variable_values)
                for one in node.arguments or ()
            }
            # A variable that is not given leaves its argument to its default.
            first, after = (None if given.get(name) is Undefined else given.get(name) for name in ("first", "after"))
            check_page(first or 0, after)


def selected(nodes: Any, fragments: dict[str, FragmentDefinitionNode]) -> Iterator[FieldNode]:
    """The fields that are selected of some fields, each fragment looked at once."""
    unread = dict(fragments)
    waiting = list(nodes)
    while waiting:
        selection_set = waiting.pop().selection_set
        for node in selection_set.selections if selection_set is not None else ():
            if isinstance(node, FieldNode):
                yield node
            elif not isinstance(node, FragmentSpreadNode):
                waiting.append(node)
            elif (fragment := unread.pop(node.name.value, None)) is not None:
                waiting.append(fragment)
