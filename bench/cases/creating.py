"""New rows, beside COPY of them."""

from __future__ import annotations

from bench import limit, work
from bench.case import case
from bench.request import send_file, send_rows
from bench.stage import Stage, Timing
from bench.target import MEGABYTE, Target


@case(Target(measure="ratio", most=1.3), work=work.create, limit=limit.copy)
def create_csv(stage: Stage) -> Timing:
    """Create by CSV file."""
    return send_file(stage, "Create")


@case(Target(measure="ratio", most=1.3), work=work.create, limit=limit.copy)
def create_ndjson(stage: Stage) -> Timing:
    """Create by NDJSON file."""
    return send_file(stage, "Create", stage.work.sent.as_ndjson())


@case(
    Target(measure="ratio", most=2.5),
    Target(measure="answer", most=0.1),
    work=work.create,
    limit=limit.copy,
    rows=10_000,
    quick_rows=10_000,
)
def create_inline(stage: Stage) -> Timing:
    """Create by inline rows."""
    return send_rows(stage, "Create", stage.work.sent.as_json())


@case(
    Target(measure="ratio", most=1.3),
    work=work.create,
    limit=limit.copy,
    rows=1_000_000,
    quick_rows=50_000,
    repetitions=3,
)
def create_million_csv(stage: Stage) -> Timing:
    """Create a million by CSV file."""
    return send_file(stage, "Create")


@case(
    Target(measure="ratio", most=1.3),
    work=work.create,
    limit=limit.copy,
    rows=1_000_000,
    quick_rows=50_000,
    repetitions=3,
)
def create_million_ndjson(stage: Stage) -> Timing:
    """Create a million by NDJSON file."""
    return send_file(stage, "Create", stage.work.sent.as_ndjson())


@case(
    Target(measure="peak_bytes", most=300 * MEGABYTE),
    work=work.create,
    limit=limit.copy,
    rows=1_000_000,
    quick_rows=50_000,
    repetitions=1,
    is_fresh=True,
)
def memory_million(stage: Stage) -> Timing:
    """Create a million by CSV file, on a fresh service."""
    return send_file(stage, "Create")


@case(
    Target(measure="peak_bytes", most=300 * MEGABYTE),
    Target(measure="peak_bytes", most=1.15, beside="memory_million"),
    Target(measure="seconds_per_row", most=1.15, beside="create_csv"),
    work=work.create,
    limit=limit.copy,
    rows=10_000_000,
    quick_rows=100_000,
    repetitions=1,
    is_fresh=True,
    is_optional=True,
)
def memory_ten_million(stage: Stage) -> Timing:
    """Create ten million by CSV file, on a fresh service."""
    return send_file(stage, "Create")
