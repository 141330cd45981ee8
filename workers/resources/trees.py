"""Models of tree packages -> what their rows need that no row gives, and the fields that the tree numbers itself.

Known by the modules of their base classes: the packages need not be there.
"""

from __future__ import annotations

from typing import Any

from django.db import models


def numbered_fields(model: type[models.Model]) -> frozenset[str]:
    """The fields by which a tree keeps its order; whoever else writes them corrupts it."""
    meta: Any = getattr(model, "_mptt_meta", None)
    if meta is not None:
        return frozenset({meta.left_attr, meta.right_attr, meta.tree_id_attr, meta.level_attr})
    nodes: list[Any] = [base for base in model.__mro__ if is_treebeards(base) and hasattr(base, "_meta")]
    return frozenset(field.name for node in nodes for field in node._meta.local_fields)


def is_placed_by_method(model: type[models.Model]) -> bool:
    """Whether new nodes get their place from add_root and add_child only: treebeard's MP_Node and NS_Node."""
    return any(is_treebeards(base) and base.__name__ in ("MP_Node", "NS_Node") for base in model.__mro__)


def is_treebeards(base: type) -> bool:
    return base.__module__.partition(".")[0] == "treebeard"
