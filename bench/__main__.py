"""`python -m bench`: the service and its limit side by side -> bench/results/."""

from __future__ import annotations

import shlex
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import chart, plan
from bench.machine import conditions
from bench.report import Report, save, show

console = Console()
# The tables need their width also where there is no terminal.
console.width = max(console.width, 160)


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Few rows, once: does it all work?")] = False,
    ten_million: Annotated[bool, typer.Option("--ten-million", help="Ten million rows by CSV, too.")] = False,
    case: Annotated[list[str] | None, typer.Option(help="Only this case; several times.")] = None,
    repetitions: Annotated[int | None, typer.Option(min=1, help="Runs that count.", show_default="5, or 3")] = None,
    name: Annotated[str | None, typer.Option(help="The results' name.", show_default="full or quick")] = None,
) -> None:
    """Measure the service beside its database's own COPY."""
    chosen = plan.Plan(
        name=name or ("quick" if quick else "full"),
        cases=plan.chosen(case or [], is_all=ten_million),
        is_quick=quick,
        repetitions=repetitions,
    )
    # A stop is a Ctrl-C too: the service does not stay behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = conditions()
    with console.status("") as status, tempfile.TemporaryDirectory(prefix="bulkql-bench-") as directory:
        # PostgreSQL does not run as root: its own user must be able to enter.
        Path(directory).chmod(0o755)
        settings, figures, failures = plan.carry_out(chosen, Path(directory), status.update)
    report = Report(
        name=chosen.name,
        command=command(),
        conditions={**found, "postgresql": settings},
        figures=figures,
        failures=failures,
    )
    show(report, console)
    for path in save(report):
        console.print(f"Written: {path}")
    console.print(f"Written: {chart.draw(chosen.name)}")
    if failures:
        raise SystemExit(1)


def command() -> str:
    """What was typed."""
    return shlex.join(["python", "-m", "bench", *sys.argv[1:]])


if __name__ == "__main__":
    typer.run(main)
