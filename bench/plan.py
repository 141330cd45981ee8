"""The options of the command -> what is to be measured, and then the figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import client, database, service
from bench.cases import CASES, Case
from bench.processes import peaks
from bench.repetitions import Figures, measure
from bench.rows import transactions
from bench.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which cases, with how many rows, how often."""

    name: str
    rows: int
    repetitions: int
    cases: list[Case]
    #: Whether each case runs once before it counts.
    is_warmed_up: bool = True


FULL = Plan(name="full", rows=100_000, repetitions=5, cases=CASES)
QUICK = Plan(name="quick", rows=20_000, repetitions=2, cases=CASES)
MEMORY = Plan(name="memory", rows=1_000_000, repetitions=1, cases=CASES[:1], is_warmed_up=False)


def carry_out(plan: Plan, directory: Path, tell: Callable[[str], None]) -> tuple[dict[str, str], list[Figures]]:
    """Start the service, measure every case, stop the service; gives PostgreSQL's settings and the figures."""
    tell("Starting the service")
    with (
        service.running(directory / "service") as running,
        database.connected(running.database_url) as beside,
        client.connected(running.url, running.token) as one,
    ):
        beside.prepare()
        figures = []
        for case in plan.cases:
            rows = transactions(min(plan.rows, case.most_rows or plan.rows), directory)
            stage = Stage(client=one, database=beside, rows=rows)
            done = measure(case, stage, plan.repetitions, is_warmed_up=plan.is_warmed_up, tell=tell)
            figures.append(Figures(case=case, rows=rows.count, repetitions=done, peaks=peaks(running.pid)))
        return beside.settings(), figures
