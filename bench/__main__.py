"""`python -m bench`: the service and its limit side by side -> bench/results/."""

from __future__ import annotations

import shlex
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import plan
from bench.machine import conditions
from bench.report import Report, save, show

console = Console()
# The tables need their width also where there is no terminal.
console.width = max(console.width, 120)


def main(
    rows: Annotated[int | None, typer.Option(min=1, help="Rows of the file.", show_default="100,000")] = None,
    repetitions: Annotated[int | None, typer.Option(min=1, help="Runs that count.", show_default="5")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="20,000 rows, twice: does it all work?")] = False,
    memory: Annotated[bool, typer.Option("--memory", help="1,000,000 rows by CSV, once, for the peak memory.")] = False,
    name: Annotated[str | None, typer.Option(help="The results' name.", show_default="full, quick or memory")] = None,
) -> None:
    """Measure the service beside its database's own COPY."""
    chosen = plan.QUICK if quick else plan.MEMORY if memory else plan.FULL
    chosen = replace(
        chosen,
        name=name or chosen.name,
        rows=rows or chosen.rows,
        repetitions=repetitions or chosen.repetitions,
    )
    found = conditions()
    with console.status("") as status, tempfile.TemporaryDirectory(prefix="bulkql-bench-") as directory:
        # PostgreSQL does not run as root: its own user must be able to enter.
        Path(directory).chmod(0o755)
        settings, figures = plan.carry_out(chosen, Path(directory), status.update)
    report = Report(name=chosen.name, command=command(), conditions={**found, "postgresql": settings}, figures=figures)
    show(report, console)
    for path in save(report):
        console.print(f"Written: {path}")


def command() -> str:
    """What was typed."""
    return shlex.join(["python", "-m", "bench", *sys.argv[1:]])


if __name__ == "__main__":
    typer.run(main)
