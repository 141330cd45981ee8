"""The options of the command -> what is to be measured, and then the figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import client, database, service
from bench.case import CASES, Case
from bench.cases import bad_rows, changing, creating, exporting, validating, waiting, watching
from bench.processes import peaks
from bench.repetitions import Figures, measure
from bench.stage import Stage

#: Importing them enters their cases; they run in this order.
MODULES = (creating, changing, exporting, bad_rows, waiting, watching, validating)
QUICK_REPETITIONS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which cases, at which size, how often."""

    name: str
    cases: list[Case]
    is_quick: bool
    #: Instead of the cases' own.
    repetitions: int | None = None

    def rows(self, case: Case) -> int:
        return case.quick_rows if self.is_quick else case.rows

    def repetitions_of(self, case: Case) -> int:
        return self.repetitions or (QUICK_REPETITIONS if self.is_quick else case.repetitions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A running service and its database."""

    service: service.Service
    database: database.Database


Failures = dict[str, str]


def carry_out(
    plan: Plan, directory: Path, tell: Callable[[str], None]
) -> tuple[dict[str, str], list[Figures], Failures]:
    """Measure every case; gives PostgreSQL's settings, the figures, and why cases have none."""
    figures: dict[str, Figures] = {}
    failures: Failures = {}

    def run(case: Case, place: Place) -> None:
        try:
            figures[case.name] = figures_of(plan, case, place, directory, tell)
        except (SystemExit, Exception) as error:  # the other cases' figures are worth having
            failures[case.name] = f"{type(error).__name__}: {error}"
            tell(f"{case.title}: {error}")

    tell("Starting the service")
    with started(directory / "service") as place:
        settings = place.database.settings()
        for case in plan.cases:
            if not case.is_fresh:
                run(case, place)
    for case in plan.cases:
        if case.is_fresh:
            tell(f"{case.title}: starting a service")
            with started(directory / case.name) as place:
                run(case, place)
    return settings, [figures[case.name] for case in plan.cases if case.name in figures], failures


@contextmanager
def started(directory: Path) -> Iterator[Place]:
    """The service as users run it, until the block ends."""
    with service.running(directory) as running, database.connected(running.database_url) as beside:
        beside.prepare()
        yield Place(service=running, database=beside)


def figures_of(plan: Plan, case: Case, place: Place, directory: Path, tell: Callable[[str], None]) -> Figures:
    """Measure one case."""
    tell(f"{case.title}: making its rows")
    files = directory / f"{case.name}-rows"
    files.mkdir()
    work = case.work(plan.rows(case), files)
    with client.connected(place.service.url, place.service.token) as one:
        stage = Stage(service=place.service, client=one, database=place.database, work=work)
        done = measure(case, stage, plan.repetitions_of(case), tell)
    return Figures(case=case, rows=work.sent.count, repetitions=done, peaks=peaks(place.service.pid))


def chosen(names: list[str], *, is_all: bool) -> list[Case]:
    """The cases of these names; without names all, but for those that must be asked for; raises SystemExit."""
    if unknown := [name for name in names if name not in CASES]:
        raise SystemExit(f"There is no case {', '.join(unknown)}; there are {', '.join(CASES)}.")
    in_order = [case for module in MODULES for case in CASES.values() if case.run.__module__ == module.__name__]
    if names:
        return [case for case in in_order if case.name in names]
    return [case for case in in_order if is_all or not case.is_optional]
