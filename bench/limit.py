"""A stage -> the seconds that PostgreSQL itself needs for the same work."""

from __future__ import annotations

from time import perf_counter

from bench.stage import Stage


def copy(stage: Stage) -> float:
    """COPY of the same file into the same table, with its keys, indexes and foreign keys, committed."""
    started = perf_counter()
    stage.database.copy(stage.rows)
    return perf_counter() - started
