"""What was found of the peers -> a table on the terminal, and the same as JSON and Markdown in bench/results/."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.peers.runs import Found, Run
from bench.report import RESULTS, markdown_table, of_conditions, rich_table
from bench.target import seconds

COLUMNS = ("peer", "verb", "rows", "limit", "seconds", "rows/s", "x limit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a run found, and under which conditions."""

    name: str
    command: str
    conditions: dict[str, Any]
    #: Rows that each was to be given.
    rows: int
    found: list[Found]

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "command": self.command,
            **self.conditions,
            "peers": [{**asdict(one), "runs": [of_run(run) for run in one.runs]} for one in self.found],
        }


def of_run(run: Run) -> dict[str, Any]:
    """A run as JSON."""
    return {
        **asdict(run),
        "seconds": run.seconds,
        "limit_seconds": run.limit_seconds,
        "ratio": run.ratio,
    }


def save(report: Report) -> list[Path]:
    """Write both files; gives their paths."""
    files = {
        RESULTS / f"{report.name}.json": json.dumps(report.as_json(), indent=2) + "\n",
        RESULTS / f"{report.name}.md": markdown(report),
    }
    for path, text in files.items():
        path.write_text(text)
    return list(files)


def show(report: Report, console: Console) -> None:
    """The table on the terminal, and what did not work."""
    console.print(rich_table("Beside peers (medians)", COLUMNS, lines(report)))
    for note in notes(report):
        console.print(note, markup=False)


def markdown(report: Report) -> str:
    """The whole report as Markdown."""
    parts = [
        f"# {report.name}\n",
        of_conditions(report.command, report.conditions),
        "Medians; one PostgreSQL, one model, the limit before and after each repetition, and the table checked after\n"
        "each. Limit of create: COPY; of upsert, half of the rows existing: COPY to a temporary table and INSERT ...\n"
        "ON CONFLICT.\n",
        markdown_table(COLUMNS, lines(report)),
        "".join(f"- {note}\n" for note in notes(report)),
        "".join(
            f"- {one.title}: {', '.join(f'{name} {number}' for name, number in one.versions.items())}\n"
            for one in report.found
            if one.versions
        ),
    ]
    return "\n".join(parts)


def lines(report: Report) -> list[tuple[str, ...]]:
    """A line for each peer and verb."""
    return [
        (
            one.title,
            run.verb,
            f"{run.rows:,}",
            seconds(run.limit_seconds),
            seconds(run.seconds),
            f"{run.rows / run.seconds:,.0f}",
            f"{run.ratio:.1f}",
        )
        for one in report.found
        for run in one.runs
    ]


def notes(report: Report) -> list[str]:
    """What did not work and why, and who was given fewer rows."""
    failed = [
        f"{one.title}: {what} does not work here: {' '.join(why.split())}"
        for one in report.found
        for what, why in one.failures.items()
    ]
    fewer = [
        f"{one.title}: {run.verb} of {run.rows:,} rows and not {report.rows:,}, which would take it too long"
        for one in report.found
        for run in one.runs
        if run.rows < report.rows
    ]
    return failed + fewer
