"""What a writer did with a chunk's rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
from django.db import DatabaseError, transaction

from workers.frames import ERRORS, ROW
from workers.resources import BulkResource
from workers.violations import Violation, is_of_a_row, violation_of

OUTCOME_OF_ROW = {ROW: pl.UInt32, "outcome": pl.String, "pk": pl.String}


@dataclass(frozen=True, slots=True)
class Written:
    """`outcomes`: `__row`, outcome, pk (as text) of each row that was written; `errors`: of those that were not."""

    outcomes: pl.DataFrame
    errors: pl.DataFrame


def outcomes(rows: pl.Series, outcome: str, pks: pl.Series) -> pl.DataFrame:
    """All these rows became the same."""
    return pl.DataFrame({ROW: rows, "pk": pks.cast(pl.String)}).select(ROW, pl.lit(outcome).alias("outcome"), "pk")


def error_rows(rows: list[int] | pl.Series, violation: Violation) -> pl.DataFrame:
    """The same violation for each of these rows."""
    return pl.DataFrame({"index": pl.Series(rows, dtype=pl.Int64)}).select(
        "index",
        path=pl.lit(violation.path, dtype=pl.String),
        code=pl.lit(violation.code),
        message=pl.lit(violation.message),
        data=pl.lit(None, dtype=pl.String),
    )


def bisect(resource: BulkResource, rows: pl.DataFrame, write: Callable[[pl.DataFrame], pl.DataFrame]) -> Written:
    """Write all rows but those that the database refuses, each named by the database itself.

    `write` takes rows and gives their outcomes; it raises DatabaseError where one of them is refused.
    """
    if rows.is_empty():
        return Written(pl.DataFrame(schema=OUTCOME_OF_ROW), pl.DataFrame(schema=ERRORS))
    try:
        with transaction.atomic(using=resource.database):
            return Written(write(rows), pl.DataFrame(schema=ERRORS))
    except DatabaseError as error:
        if not is_of_a_row(error):
            raise
        if rows.height == 1:
            violation = violation_of(resource, error)
            return Written(pl.DataFrame(schema=OUTCOME_OF_ROW), error_rows(rows[ROW], violation))
    half = rows.height // 2
    first, second = bisect(resource, rows[:half], write), bisect(resource, rows[half:], write)
    return Written(
        pl.concat([first.outcomes, second.outcomes]),
        pl.concat([first.errors, second.errors]),
    )
