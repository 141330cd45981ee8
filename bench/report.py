"""Figures -> a table on the terminal, and the same as JSON and Markdown in bench/results/."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.repetitions import Figures
from bench.target import MEGABYTE, Target, seconds

RESULTS = Path(__file__).parent / "results"
COLUMNS = ("case", "rows", "limit", "bulkql", "target", "measured", "met", "of which")
REPETITION_COLUMNS = ("case", "limit before", "bulkql", "limit after", "x limit", "events")
PEAK_COLUMNS = ("after", "process", "VmHWM")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a run of the benchmarks found, and under which conditions."""

    name: str
    command: str
    conditions: dict[str, Any]
    figures: list[Figures]
    #: Why cases have no figures.
    failures: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "command": self.command,
            **self.conditions,
            "cases": [self.of_case(one) for one in self.figures],
            "failures": self.failures,
        }

    def of_case(self, figures: Figures) -> dict[str, Any]:
        """A case as JSON."""
        return {
            "name": figures.case.name,
            "title": figures.case.title,
            "limit": figures.case.limit and (figures.case.limit.__doc__ or "").rstrip("."),
            "rows": figures.rows,
            "targets": [self.of_target(figures, target) for target in figures.case.targets],
            "limit_seconds": figures.limit_seconds,
            "seconds": figures.seconds,
            "ratio": figures.ratio,
            "rows_per_second": figures.value("rows_per_second"),
            "parts": figures.parts,
            "repetitions": [{**asdict(one), "ratio": one.ratio} for one in figures.repetitions],
            "peaks": [asdict(one) for one in figures.peaks],
        }

    def of_target(self, figures: Figures, target: Target) -> dict[str, Any]:
        """A target as JSON."""
        value = self.value(figures, target)
        return {**asdict(target), "value": value, "is_met": value is not None and target.is_met(value)}

    def value(self, figures: Figures, target: Target) -> float | None:
        """What was measured; None where the other case was not."""
        value = figures.value(target.measure)
        if not target.beside:
            return value
        other = next((one for one in self.figures if one.case.name == target.beside), None)
        return None if other is None else value / other.value(target.measure)


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
    console.print(rich_table("Target beside measured (medians)", COLUMNS, lines(report)))
    console.print(rich_table("Peak memory, since the process's start", PEAK_COLUMNS, peak_lines(report)))
    for name, reason in report.failures.items():
        console.print(f"{name} has no figures: {reason}", markup=False)


def markdown(report: Report) -> str:
    """The whole report as Markdown."""
    with_limit = [one for one in report.figures if one.case.limit is not None]
    parts = [
        f"# {report.name}\n",
        of_conditions(report.command, report.conditions),
        "Medians of the repetitions; x limit is the median of the repetitions' own ratios. Every run was checked: the\n"
        "table held each row that it should, once.\n",
        markdown_table(COLUMNS, lines(report)),
        *(f"{name} has no figures: {reason}\n" for name, reason in report.failures.items()),
        "".join(f"- limit of {one.case.title}: {one.case.limit.__doc__}\n" for one in with_limit),
        markdown_table(REPETITION_COLUMNS, repetition_lines(report)),
        "Peak memory of each process since its start.\n",
        markdown_table(PEAK_COLUMNS, peak_lines(report)),
    ]
    return "\n".join(parts)


def of_conditions(command: str, conditions: dict[str, Any]) -> str:
    """Machine, versions, date and settings as Markdown."""
    machine = conditions["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in conditions["versions"].items())
    settings = ", ".join(f"{name} {value}" for name, value in conditions["postgresql"].items())
    return (
        f"`{command}` on {conditions['date']}, commit {conditions['commit']}.\n\n"
        f"- machine: {machine['cpus']} x {machine['model']}, {machine['memory_bytes'] / 2**30:.1f} GiB,"
        f" {machine['system']}, load average {machine['load_average_at_start']:.2f} at the start\n"
        f"- versions: {versions}\n"
        f"- PostgreSQL: {settings}\n"
        f"- settings: {conditions['settings'] or 'the defaults'}\n"
    )


def lines(report: Report) -> list[tuple[str, ...]]:
    """A line for each target of each case."""
    return [line(report, figures, target) for figures in report.figures for target in figures.case.targets]


def line(report: Report, figures: Figures, target: Target) -> tuple[str, ...]:
    """What was aimed at and what was measured; a case's second target does not say again what the case is."""
    value = report.value(figures, target)
    is_first = target is figures.case.targets[0]
    of_case = (
        f"{figures.rows:,}",
        "" if figures.limit_seconds is None else seconds(figures.limit_seconds),
        seconds(figures.seconds),
    )
    return (
        figures.case.title,
        *(of_case if is_first else ("", "", "")),
        target.text,
        "not measured" if value is None else target.shown(value),
        "" if value is None else "yes" if target.is_met(value) else "NO",
        ", ".join(f"{name} {seconds(value)}" for name, value in figures.parts.items()) if is_first else "",
    )


def repetition_lines(report: Report) -> list[tuple[str, ...]]:
    """A line for each repetition."""
    return [
        (
            figures.case.title,
            "" if one.limit_before is None else seconds(one.limit_before),
            seconds(one.timing.seconds),
            "" if one.limit_after is None else seconds(one.limit_after),
            "" if one.ratio is None else f"{one.ratio:.2f}",
            str(one.timing.events),
        )
        for figures in report.figures
        for one in figures.repetitions
    ]


def peak_lines(report: Report) -> list[tuple[str, ...]]:
    """A line for each process after each case that has a service of its own."""
    return [
        (figures.case.title, one.role, f"{one.bytes / MEGABYTE:.0f} MB")
        for figures in report.figures
        if figures.case.is_fresh
        for one in figures.peaks
    ]


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
