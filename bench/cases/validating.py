"""Validation by itself."""

from __future__ import annotations

from bench import validation, work
from bench.case import case
from bench.stage import Stage, Timing
from bench.target import Target


@case(
    Target(measure="rows_per_second", least=1_000_000),
    work=work.everything_by_id,
    rows=1_000_000,
    quick_rows=100_000,
)
def validation_alone(stage: Stage) -> Timing:
    """Validation alone, the ledger's six columns, in a process without a database."""
    return Timing(seconds=validation.seconds_of(stage.work.sent.path))
