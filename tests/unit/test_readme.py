"""What README.md claims is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bulkql.workers.conf import Limits

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_python_block_is_the_ledgers_own_registration():
    (block,) = blocks("python")

    source = (Path(__file__).parents[2] / "examples/ledger/bulk.py").read_text()
    assert block[block.index("@bulkql") :] in source


@pytest.mark.parametrize(
    ("variable", "number"), re.findall(r"^\| `BULKQL_(\w+)` \| .*: ([\d,]+) \|$", README, re.MULTILINE)
)
def test_limits_are_the_defaults(variable, number):
    assert getattr(Limits(), variable.lower()) == int(number.replace(",", ""))


def test_make_targets_exist():
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()

    for target in re.findall(r"make ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
