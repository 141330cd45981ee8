"""A case and its stage -> figures: each repetition between two runs of the limit, all from the same state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import mean, median

from bench.case import Case
from bench.processes import Peak
from bench.stage import Stage, Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """A run of the case, and the limit before and after it, where it has one."""

    limit_before: float | None
    timing: Timing
    limit_after: float | None

    @property
    def limit_seconds(self) -> float | None:
        if self.limit_before is None or self.limit_after is None:
            return None
        return mean((self.limit_before, self.limit_after))

    @property
    def ratio(self) -> float | None:
        """How many times the limit's time the case took."""
        return None if self.limit_seconds is None else self.timing.seconds / self.limit_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A case's repetitions and their medians."""

    case: Case
    rows: int
    repetitions: list[Repetition]
    #: The service's processes at the end of the case.
    peaks: list[Peak]

    @property
    def limit_seconds(self) -> float | None:
        found = [one.limit_seconds for one in self.repetitions if one.limit_seconds is not None]
        return median(found) if found else None

    @property
    def seconds(self) -> float:
        return median(one.timing.seconds for one in self.repetitions)

    @property
    def ratio(self) -> float | None:
        """The median of the ratios, not the ratio of medians: a pair shares its moment's noise."""
        found = [one.ratio for one in self.repetitions if one.ratio is not None]
        return median(found) if found else None

    @property
    def parts(self) -> dict[str, float]:
        """The medians of the parts."""
        names = self.repetitions[0].timing.parts
        return {name: median(one.timing.parts[name] for one in self.repetitions) for name in names}

    def value(self, measure: str) -> float:
        """What a target speaks of."""
        if measure == "ratio":
            assert self.ratio is not None
            return self.ratio
        if measure == "events_per_second":
            return max(one.timing.events_per_second for one in self.repetitions)
        if measure == "peak_bytes":
            return max(one.bytes for one in self.peaks)
        per_row = {"rows_per_second": self.rows / self.seconds, "seconds_per_row": self.seconds / self.rows}
        return {"seconds": self.seconds, **per_row, **self.parts}[measure]


def measure(case: Case, stage: Stage, repetitions: int, tell: Callable[[str], None]) -> list[Repetition]:
    """Run the case that often; to warm up, once more before, when caches fill and modules load."""
    if not case.is_fresh:
        tell(f"{case.title}: warming up")
        limit(case, stage)
        ours(case, stage)
    done = []
    for number in range(1, repetitions + 1):
        tell(f"{case.title}: repetition {number} of {repetitions}")
        done.append(
            Repetition(limit_before=limit(case, stage), timing=ours(case, stage), limit_after=limit(case, stage))
        )
    return done


def limit(case: Case, stage: Stage) -> float | None:
    """One run of the limit, checked."""
    if case.limit is None:
        return None
    stage = replace(stage, work=stage.work.clean or stage.work)
    stage.database.fill(stage.work)
    seconds = case.limit(stage)
    stage.database.check(stage.work)
    return seconds


def ours(case: Case, stage: Stage) -> Timing:
    """One run of the case, checked."""
    stage.database.fill(stage.work)
    timing = case.run(stage)
    stage.database.check(stage.work)
    return timing
