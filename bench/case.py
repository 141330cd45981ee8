"""A stage -> a timing. What is measured: one function a case; what it prepares before its clock starts is free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.stage import Stage, Timing
from bench.target import Target
from bench.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case, the limit that it is held against, and what we aim at."""

    name: str
    title: str
    targets: tuple[Target, ...]
    work: Callable[[int, Path], Work]
    run: Callable[[Stage], Timing]
    #: What PostgreSQL itself needs; none for cases of so many milliseconds.
    limit: Callable[[Stage], float] | None
    #: Rows in the full and in the quick run.
    rows: int
    quick_rows: int
    #: Runs that count, in the full run.
    repetitions: int
    #: A service of its own, which has done nothing before: for its peak memory.
    is_fresh: bool
    #: Only when asked for by name: it takes long.
    is_optional: bool


#: All cases, in the order in which they run.
CASES: dict[str, Case] = {}

Run = Callable[[Stage], Timing]


def case(
    *targets: Target,
    work: Callable[[int, Path], Work],
    limit: Callable[[Stage], float] | None = None,
    rows: int = 100_000,
    quick_rows: int = 20_000,
    repetitions: int = 5,
    is_fresh: bool = False,
    is_optional: bool = False,
) -> Callable[[Run], Run]:
    """Enter a function as a case; its docstring is the title."""

    def enter(run: Run) -> Run:
        CASES[run.__name__] = Case(
            name=run.__name__,
            title=(run.__doc__ or run.__name__).rstrip("."),
            targets=targets,
            work=work,
            run=run,
            limit=limit,
            rows=rows,
            quick_rows=quick_rows,
            repetitions=repetitions,
            is_fresh=is_fresh,
            is_optional=is_optional,
        )
        return run

    return enter
