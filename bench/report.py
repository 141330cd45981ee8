"""Figures -> a table on the terminal, and the same as JSON and Markdown in bench/results/."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.repetitions import Figures

RESULTS = Path(__file__).parent / "results"
REPETITION_COLUMNS = ("case", "limit before", "bulkql", "limit after", "x limit", "events")
PEAK_COLUMNS = ("after", "process", "VmHWM")
COLUMNS = ("case", "rows", "limit", "bulkql", "rows/s", "x limit", "target", "of which")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a run of the benchmarks found, and under which conditions."""

    name: str
    command: str
    conditions: dict[str, Any]
    figures: list[Figures]

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "command": self.command,
            **self.conditions,
            "cases": [of_case(one) for one in self.figures],
        }


def save(report: Report) -> list[Path]:
    """Write both files; gives their paths."""
    RESULTS.mkdir(exist_ok=True)
    files = {
        RESULTS / f"{report.name}.json": json.dumps(report.as_json(), indent=2) + "\n",
        RESULTS / f"{report.name}.md": markdown(report),
    }
    for path, text in files.items():
        path.write_text(text)
    return list(files)


def show(report: Report, console: Console) -> None:
    """The tables on the terminal."""
    console.print(rich_table("Medians", COLUMNS, [cells(one) for one in report.figures]))
    console.print(rich_table("Peak memory, since the process's start", PEAK_COLUMNS, peak_cells(report)))


def markdown(report: Report) -> str:
    """The whole report as Markdown."""
    conditions = report.conditions
    machine = conditions["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in conditions["versions"].items())
    settings = ", ".join(f"{name} {value}" for name, value in conditions["postgresql"].items())
    parts = [
        f"# {report.name}\n",
        f"`{report.command}` on {conditions['date']}, commit {conditions['commit']}.\n",
        f"- machine: {machine['cpus']} x {machine['model']}, {machine['memory_bytes'] / 2**30:.1f} GiB,"
        f" {machine['system']}, load average {machine['load_average_at_start']:.2f} at the start\n"
        f"- versions: {versions}\n"
        f"- PostgreSQL: {settings}\n"
        f"- settings: {conditions['settings'] or 'the defaults'}\n",
        "Medians of the repetitions; x limit is the median of the repetitions' own ratios. Every run was checked: the\n"
        "table held each row once.\n",
        markdown_table(COLUMNS, [cells(one) for one in report.figures]),
        "".join(f"- limit of {one.case.title}: {one.case.limit.__doc__}\n" for one in report.figures),
        markdown_table(REPETITION_COLUMNS, repetition_cells(report)),
        "Peak memory of each process since its start.\n",
        markdown_table(PEAK_COLUMNS, peak_cells(report)),
    ]
    return "\n".join(parts)


def cells(figures: Figures) -> tuple[str, ...]:
    """A case's line."""
    return (
        figures.case.title,
        f"{figures.rows:,}",
        seconds(figures.limit_seconds),
        seconds(figures.seconds),
        f"{figures.rows / figures.seconds:,.0f}",
        f"{figures.ratio:.2f}",
        f"<= {figures.case.target}",
        ", ".join(f"{name} {seconds(value)}" for name, value in figures.parts.items()),
    )


def repetition_cells(report: Report) -> list[tuple[str, ...]]:
    """A line for each repetition."""
    return [
        (
            figures.case.title,
            seconds(one.limit_before),
            seconds(one.timing.seconds),
            seconds(one.limit_after),
            f"{one.ratio:.2f}",
            str(one.timing.events),
        )
        for figures in report.figures
        for one in figures.repetitions
    ]


def peak_cells(report: Report) -> list[tuple[str, ...]]:
    """A line for each process after each case."""
    return [
        (figures.case.title, one.role, f"{one.bytes / 2**20:.0f} MiB")
        for figures in report.figures
        for one in figures.peaks
    ]


def seconds(value: float) -> str:
    """Milliseconds where seconds would say nothing."""
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.0f} ms"


def of_case(figures: Figures) -> dict[str, Any]:
    """A case as JSON."""
    return {
        "name": figures.case.name,
        "title": figures.case.title,
        "rows": figures.rows,
        "target": figures.case.target,
        "limit_seconds": figures.limit_seconds,
        "seconds": figures.seconds,
        "ratio": figures.ratio,
        "parts": figures.parts,
        "repetitions": [{**asdict(one), "ratio": one.ratio} for one in figures.repetitions],
        "peaks": [asdict(one) for one in figures.peaks],
    }


def rich_table(title: str, columns: tuple[str, ...], lines: list[tuple[str, ...]]) -> Table:
    """A table of the terminal."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for line in lines:
        table.add_row(*line)
    return table


def markdown_table(columns: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    """A table of Markdown."""
    head = [columns, tuple("---" if not number else "---:" for number in range(len(columns)))]
    return "".join(f"| {' | '.join(line)} |\n" for line in [*head, *lines])
