"""What a writer did with a chunk's rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import polars as pl
from django.db import DatabaseError, transaction

from bulkql.workers.frames import ROW, ROW_NUMBER, errors_at, no_errors
from bulkql.workers.images.taken import Images
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.writers.violations import is_of_a_row, violation_of

OUTCOME_OF_ROW = {ROW: ROW_NUMBER, "outcome": pl.String, "pk": pl.String}
#: A chunk wants a dozen clones of it: to make each anew was felt.
NO_OUTCOMES = pl.DataFrame(schema=OUTCOME_OF_ROW)


@dataclass(frozen=True, slots=True)
class Written:
    """`outcomes`: `__row`, outcome, pk (as text) of each row that was written; `errors`: `__row`, path, code,
    message, data of those that were not.

    `cascades`: how many rows went along with deleted ones, by model; `images`: what rows were, of those among others
    that were not written after all.
    """

    outcomes: pl.DataFrame = field(default_factory=NO_OUTCOMES.clone)
    errors: pl.DataFrame = field(default_factory=no_errors)
    cascades: dict[str, int] = field(default_factory=dict)
    images: tuple[Images, ...] = ()


def nothing() -> Written:
    """What is written of no rows."""
    return Written()


def together(parts: Iterable[Written]) -> Written:
    """What several writers did with different rows."""
    all_parts = list(parts)
    cascades: Counter[str] = Counter()
    for part in all_parts:
        cascades.update(part.cascades)
    outcomes = joined(NO_OUTCOMES, (part.outcomes for part in all_parts))
    errors = joined(no_errors(), (part.errors for part in all_parts))
    images = tuple(image for part in all_parts for image in part.images)
    return Written(outcomes, errors, dict(cascades), images)


def joined(none: pl.DataFrame, frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """One frame of several, most of which have no rows; `none` if none has any."""
    some = [frame for frame in frames if not frame.is_empty()]
    if len(some) == 1:
        return some[0]
    return pl.concat(some) if some else none.clone()


def outcomes(rows: pl.Series, outcome: str, pks: pl.Series) -> pl.DataFrame:
    """All these rows became the same: `__row`, outcome, pk."""
    columns = [ROW, pl.lit(outcome).alias("outcome"), "pk"]
    return pl.DataFrame({ROW: rows, "pk": pks.cast(pl.String)}).select_seq(columns)


def bisect(resource: BulkResource, rows: pl.DataFrame, write: Callable[[pl.DataFrame], pl.DataFrame]) -> Written:
    """Write all rows but those that the database refuses, each named by the database itself.

    `write` takes rows and gives their outcomes; it raises DatabaseError where one of them is refused.
    """
    if rows.is_empty():
        return nothing()
    try:
        with transaction.atomic(using=resource.database):
            return Written(write(rows))
    except DatabaseError as error:
        if not is_of_a_row(error):
            raise
        if rows.height == 1:
            return Written(errors=errors_at(rows[ROW], violation_of(resource, error)))
    half = rows.height // 2
    return together(bisect(resource, part, write) for part in (rows[:half], rows[half:]))
