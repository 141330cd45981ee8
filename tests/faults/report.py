"""What a run came to, as tables."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table as Grid

from tests.faults.lanes import SEQUELS, Done
from tests.faults.rounds import Run
from tests.faults.work import WORK


def show(run: Run, console: Console) -> None:
    console.print(faults_of(run), operations_of(run))
    points = Counter(fault.point for fault in run.faults)
    console.print("Where:", ", ".join(f"{name} {count}" for name, count in points.most_common()))
    if run.strange:
        console.print("Answers while faults went on, beside UNAVAILABLE:", run.strange)
    if run.orphans:
        console.print(f"[red]{len(run.orphans)} workers outlived their master[/]")
    for kind, reason in run.left_out.items():
        console.print(f"Left out: {kind}, which cannot be made here ({reason})")
    for failure in run.failures:
        console.print(f"[red]the harness failed: {failure}[/]")


def faults_of(run: Run) -> Grid:
    grid = Grid("fault", "injected", "measured", "recovery, median s", "max s", title="Faults")
    counts = Counter(fault.kind for fault in run.faults)
    for kind, count in sorted(counts.items()):
        times = run.recoveries.get(kind, [])
        figures = (f"{median(times):.1f}", f"{max(times):.1f}") if times else ("", "")
        grid.add_row(kind, str(count), str(len(times)), *figures)
    grid.add_row("all", str(len(run.faults)), "", "", "")
    return grid


def operations_of(run: Run) -> Grid:
    grid = Grid(
        "verb", "operations", "rows", "lost", "doubled", "stuck", "wrong outcomes", "wrong watchers", title="Operations"
    )
    for verb in (*WORK, *SEQUELS, "all"):
        grid.add_row(verb, *map(str, sums([one for one in run.operations if verb in (one.verb, "all")])))
    return grid


def sums(operations: list[Done]) -> list[int]:
    return [
        len(operations),
        sum(one.rows for one in operations),
        sum(one.lost for one in operations),
        sum(one.doubled for one in operations),
        sum(one.is_stuck for one in operations),
        sum(bool(one.wrong) for one in operations),
        sum(bool(one.watchers) for one in operations),
    ]


def record(run: Run, path: Path, seed: int) -> None:
    """Everything, to find the cause: faults and operations with their times."""
    faults = [{**asdict(fault), "in_hand": len(fault.in_hand)} for fault in run.faults]
    whole = {
        "seed": seed,
        "wrong": [asdict(one) for one in run.operations if not one.is_fine],
        "faults": faults,
        "operations": [asdict(one) for one in run.operations],
        "strange": run.strange,
        "orphans": run.orphans,
        "failures": run.failures,
    }
    path.write_text(json.dumps(whole, indent=1))
