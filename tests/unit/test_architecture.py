"""docs/architecture.md names what is there."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py): (\w+)`", PAGE)))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_every_function_on_the_page_is_in_its_file(path, name):
    assert name in names_in(ROOT / path)


def test_the_rooms_on_the_page_are_those_of_the_contract_in_its_order():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one.get("containers") == ["bulkql.workers"])
    rooms = PAGE.split("## The rooms of workers/")[1].split("## ")[0]
    rows = [row.split("|")[1].strip() for row in rooms.splitlines() if row.startswith("| ")]

    assert rows[1:] == [layer.replace(" | ", ", ") for layer in layers]


def names_in(path: Path) -> set[str]:
    """The top-level names of a module."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return found
