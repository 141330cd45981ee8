"""Rows that are there: upserted, updated, deleted."""

from __future__ import annotations

from bench import limit, work
from bench.case import case
from bench.request import send_file
from bench.stage import Stage, Timing
from bench.target import Target


@case(Target(measure="ratio", most=1.4), work=work.upsert, limit=limit.insert_on_conflict)
def upsert_csv(stage: Stage) -> Timing:
    """Upsert by CSV file, half of the rows existing."""
    return send_file(stage, "Upsert")


@case(Target(measure="rows_per_second", least=10_000), work=work.rewrite)
def rewrite_csv(stage: Stage) -> Timing:
    """Sync by CSV file, all rows differing."""
    return send_file(stage, "Sync", deleteMissing=True)


@case(Target(measure="seconds_per_row", most=0.35, beside="rewrite_csv"), work=work.sync)
def sync_csv(stage: Stage) -> Timing:
    """Sync by CSV file, one row of a hundred differing."""
    return send_file(stage, "Sync", deleteMissing=True)


@case(
    Target(measure="rows_per_second", least=10_000),
    work=work.rewrite,
    rows=1_000_000,
    quick_rows=50_000,
    repetitions=3,
    is_optional=True,
)
def rewrite_million_csv(stage: Stage) -> Timing:
    """Sync a million by CSV file, all rows differing."""
    return send_file(stage, "Sync", deleteMissing=True)


@case(
    Target(measure="seconds_per_row", most=0.35, beside="rewrite_million_csv"),
    work=work.sync,
    rows=1_000_000,
    quick_rows=50_000,
    repetitions=3,
    is_optional=True,
)
def sync_million_csv(stage: Stage) -> Timing:
    """Sync a million by CSV file, one row of a hundred differing."""
    return send_file(stage, "Sync", deleteMissing=True)


@case(Target(measure="ratio", most=1.5), work=work.update, limit=limit.update_from)
def update_csv(stage: Stage) -> Timing:
    """Update three fields by id, by CSV file."""
    return send_file(stage, "Update")


@case(Target(measure="ratio", most=2), work=work.delete, limit=limit.delete_by_id)
def delete_csv(stage: Stage) -> Timing:
    """Delete half of the table by id, by CSV file."""
    return send_file(stage, "Delete")
