"""An operation -> the fragments that belong to it, and the variables that all of it uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    visit,
)


def operation_of(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    """The operation of a document that is to be executed."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return next((node for node in operations if name is None or (node.name and node.name.value == name)), None)


def fragments_of(document: DocumentNode, operation: OperationDefinitionNode) -> list[FragmentDefinitionNode]:
    """The fragments that an operation spreads, and those that they spread in turn."""
    unreached = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    reached: list[FragmentDefinitionNode] = []
    waiting: list[OperationDefinitionNode | FragmentDefinitionNode] = [operation]
    while waiting and unreached:
        names = spread_in(waiting.pop())
        found = [unreached.pop(name) for name in names if name in unreached]
        reached += found
        waiting += found
    return reached


def spread_in(node: OperationDefinitionNode | FragmentDefinitionNode) -> list[str]:
    """The names of the fragments that a definition spreads."""
    names: dict[str, None] = {}

    class Spreads(Visitor):
        def enter_argument(self, *_: Any) -> bool:
            return False

        def enter_fragment_spread(self, spread: FragmentSpreadNode, *_: Any) -> None:
            names[spread.name.value] = None

    visit(node, Spreads())
    return list(names)


def used_variables(nodes: Iterable[OperationDefinitionNode | FragmentDefinitionNode]) -> set[str]:
    """The variables that definitions use, outside of their own heads."""
    used: set[str] = set()

    class Uses(Visitor):
        def enter_variable_definition(self, *_: Any) -> bool:
            return False

        def enter_variable(self, node: VariableNode, *_: Any) -> None:
            used.add(node.name.value)

    for node in nodes:
        visit(node, Uses())
    return used
