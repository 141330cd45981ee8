"""A case and its stage -> figures: each repetition between two runs of the limit, all from the same state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean, median

from bench.cases import Case
from bench.processes import Peak
from bench.stage import Stage, Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """A run of the case, and the limit before and after it."""

    limit_before: float
    timing: Timing
    limit_after: float

    @property
    def ratio(self) -> float:
        """How many times the limit's time the case took."""
        return self.timing.seconds / mean((self.limit_before, self.limit_after))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A case's repetitions and their medians."""

    case: Case
    rows: int
    repetitions: list[Repetition]
    #: The service's processes at the end of the case.
    peaks: list[Peak]

    @property
    def limit_seconds(self) -> float:
        return median(mean((one.limit_before, one.limit_after)) for one in self.repetitions)

    @property
    def seconds(self) -> float:
        return median(one.timing.seconds for one in self.repetitions)

    @property
    def ratio(self) -> float:
        """The median of the ratios, not the ratio of medians: a pair shares its moment's noise."""
        return median(one.ratio for one in self.repetitions)

    @property
    def parts(self) -> dict[str, float]:
        """The medians of the parts."""
        names = self.repetitions[0].timing.parts
        return {name: median(one.timing.parts[name] for one in self.repetitions) for name in names}


def measure(
    case: Case, stage: Stage, repetitions: int, *, is_warmed_up: bool, tell: Callable[[str], None]
) -> list[Repetition]:
    """Run the case that often; to warm up, once more before, when caches fill and modules load."""
    if is_warmed_up:
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


def limit(case: Case, stage: Stage) -> float:
    """One run of the limit, checked."""
    stage.database.empty()
    seconds = case.limit(stage)
    stage.database.check(stage.rows)
    return seconds


def ours(case: Case, stage: Stage) -> Timing:
    """One run of the case, checked."""
    stage.database.empty()
    timing = case.run(stage)
    stage.database.check(stage.rows)
    return timing
