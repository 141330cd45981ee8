"""Rows that point to rows of their own table -> levels, each after those that it points to.

A row may point to rows before it in the request: those of earlier chunks are in the table, for the chunks of such a
resource are written one after the other, and those of its own chunk are in an earlier level. So the size of chunks
decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from bulkql.workers.columns.column import Column
from bulkql.workers.resources.plan import Plan


def levels(plan: Plan, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rows in one piece, or, where they may point to each other, in as many as it takes."""
    if not plan.has_levels:
        yield rows
        return
    numbers = level_of_rows(plan, rows)
    level_of_row = pl.Series(numbers, dtype=pl.Int64)
    for level in range(max(numbers, default=0) + 1):
        yield rows.filter(level_of_row == level)


def level_of_rows(plan: Plan, rows: pl.DataFrame) -> list[int]:
    """For each row, how many rows of the frame stand in a line before it, each pointing to the one before."""
    number = [0] * rows.height
    all_ways = [
        (pointing, own, dict[object, int]())
        for column in plan.columns.values()
        if column.target is plan.resource.model
        for pointing, own in ways(plan, column, rows)
    ]
    for place in range(rows.height):
        for pointing, _, seen in all_ways:
            if pointing[place] is not None and pointing[place] in seen:
                number[place] = max(number[place], number[seen[pointing[place]]] + 1)
        for _, own, seen in all_ways:
            if own[place] is not None:
                seen[own[place]] = place
    return number


def ways(plan: Plan, column: Column, rows: pl.DataFrame) -> Iterator[tuple[list[object], list[object]]]:
    """What rows point to and what they are, by the foreign key's value and by each key that names its target."""
    value = column.target_field.name
    if value in plan.columns:
        own = plan.columns[value]
        yield comparable(column, rows[column.name]), comparable(own, rows[own.name])
    named = [one for one in plan.naming_columns.get(column.name, ()) if one.name in rows.columns]
    keys = [key for key in plan.resource.given_keys if set(key.fields) <= {one.field.name for one in named}]
    for key in keys:
        of_key = [one for name in key.fields for one in named if one.field.name == name]
        pointing = zip(*(comparable(one, rows[one.name]) for one in of_key), strict=True)
        own_key = zip(*(comparable(plan.columns[name], rows[name]) for name in key.fields), strict=True)
        yield [whole(key) for key in pointing], [whole(key) for key in own_key]


def comparable(column: Column, values: pl.Series) -> list[object]:
    return column.comparable(values).to_list()


def whole(key: tuple[object, ...]) -> tuple[object, ...] | None:
    """A key, or None where a part of it is missing."""
    return None if None in key else key
