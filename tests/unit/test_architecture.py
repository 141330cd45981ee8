"""docs/architecture.md names what is there."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
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


def test_a_name_means_one_thing():
    """Functions and classes of workers/ that are called as others elsewhere: words of a protocol, and few others."""
    defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    modules = [path for path in (ROOT / "workers").rglob("*.py") if path.parent.name != "migrations"]
    names = [node.name for path in modules for node in ast.parse(path.read_text()).body if isinstance(node, defined)]

    several = {name: count for name, count in Counter(names).items() if count > 1}

    assert sum(several.values()) < 0.08 * len(names), several


def test_an_id_of_a_check_means_one_thing():
    """Whoever silences one (SILENCED_SYSTEM_CHECKS) silences no other."""
    modules = [path for folder in ("workers", "schema", "server", "bulkql") for path in (ROOT / folder).rglob("*.py")]
    owners = {(name, path) for path in modules for name in re.findall(r'\bid="(bulkql\.[EW]\d+)"', path.read_text())}

    assert [name for name, count in Counter(name for name, _ in owners).items() if count > 1] == []


@pytest.mark.parametrize(("folder", "most"), [("workers", 15), ("server", 20), ("schema", 20)])
def test_folders_hold_as_many_modules_as_one_looks_through(folder, most):
    folders = [one for one in (ROOT / folder).rglob("*/") if not {"migrations", "web"} & set(one.parts)]
    counts = {str(one): len([path for path in one.glob("*.py") if path.name != "__init__.py"]) for one in folders}

    assert {one: count for one, count in counts.items() if count > most} == {}


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
