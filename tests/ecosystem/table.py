"""What was seen to be equal -> the tables of docs/models.md."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

from bulkql.workers.enums import Verb

#: Package, model -> verb -> lane, of all that was seen to be equal.
Equal: TypeAlias = dict[tuple[str, str], dict[Verb, str]]


def table(equal: Equal) -> list[str]:
    """The lines of a table."""
    verbs = [verb for verb in Verb if verb.takes_rows]
    lines = [f"| package | model | {' | '.join(verb.lower() for verb in verbs)} |", f"|---|---|{'---|' * len(verbs)}"]
    for (package, model), lanes in equal.items():
        cells = [lanes.get(verb, "refused") for verb in verbs]
        lines.append(f"| {package} {version(package)} | {model} | {' | '.join(cells)} |")
    return lines


def shown(section: str) -> list[str]:
    """The lines of a section's table in the docs."""
    page = (Path(__file__).parents[2] / "docs/models.md").read_text()
    return [line for line in page.split(f"## {section}\n")[1].split("## ")[0].splitlines() if line.startswith("|")]


def without_versions(lines: list[str]) -> list[str]:
    return [re.sub(r"^(\| [\w-]+) [\d.]+ ", r"\1 ", line) for line in lines]
