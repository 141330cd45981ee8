"""Rows -> the rows that the resource makes of them: prepare_rows before they are validated, before_write after it.

A rule that gives no frame of the same rows, or a column that nobody can write, is a mistake of the project: HookFailed
names the rule, what it gave, and what was expected.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import polars as pl
from django.db import models

from bulkql.workers.columns.cells import MARK, NULL, escaped_column, series_of, shown, value_of
from bulkql.workers.columns.column import Column
from bulkql.workers.enums import Verb
from bulkql.workers.errors import HookFailed
from bulkql.workers.frames import ROW, ROW_NUMBER, given, row_numbers
from bulkql.workers.readers.parquet import as_text
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.validation.sealing import unsealed

#: What rules call a row's number.
NUMBER = "row"


def prepared(plan: Plan, raw: pl.DataFrame) -> pl.DataFrame:
    """A raw frame as the resource's prepare_rows makes it, its write-only cells decrypted; raises HookFailed.

    Keys that are compared before rows are written are prepared for it too, so it may run twice for a row.
    """
    if plan.verb == Verb.DELETE or type(plan.resource).prepare_rows is BulkResource.prepare_rows:
        return raw
    raw = unsealed(plan, raw)
    before = texts_of(plan, raw)
    after = answer(plan, "prepare_rows", plan.resource.prepare_rows(before), before, plan.all_columns)
    columns = [one for one in plan.all_columns.values() if one.name in after.columns]
    made = [cells_made(plan, one, raw, before, after) for one in columns]
    return raw.with_columns(one for one in made if one.name in raw.columns or one.null_count() < one.len())


def texts_of(plan: Plan, raw: pl.DataFrame) -> pl.DataFrame:
    """What prepare_rows gets of a raw frame: `row`, then each column's texts and whether rows give them."""
    always = {*plan.columns, *plan.lists}
    columns = [name for name in plan.all_columns if name in always or name in raw.columns]
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, raw.height)
    cells = {name: raw[name] if name in raw.columns else nothing for name in columns}
    texts = (texts_in(one).alias(name) for name, one in cells.items())
    are_given = (one.is_not_null().alias(given(name)) for name, one in cells.items())
    return raw.select(row_numbers().alias(NUMBER), *texts, *are_given)


def texts_in(cells: pl.Series) -> pl.Series:
    """Cells as their senders know them; an explicit null gives no text."""
    if not cells.str.starts_with(MARK).any():
        return cells
    texts = {cell: None if cell == NULL else text_in(cell) for cell in cells.unique() if cell and cell.startswith(MARK)}
    return cells.replace(list(texts), series_of(list(texts.values())))


def text_in(marked: str) -> str:
    """What a marked cell carries: a text, or JSON of another kind than its field takes."""
    value = value_of(marked)
    return value if isinstance(value, str) else shown(marked)


def cells_made(plan: Plan, column: Column, raw: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame) -> pl.Series:
    """The cells of one column. A text that was left as it is keeps its cell, which may not be a text's."""
    name, dtype = column.name, after.schema[column.name]
    if isinstance(dtype, pl.Object | pl.Unknown):
        raise wrong_type(plan, "prepare_rows", name, dtype, "texts, numbers, dates or booleans")
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, raw.height)
    frame = pl.DataFrame(
        {
            "sent": raw[name] if name in raw.columns else nothing,
            "before": before[name] if name in before.columns else nothing,
            "after": after.select(as_text(pl.col(name), dtype, column)).to_series(),
            "is_given": given_after(plan, "prepare_rows", name, before, after),
        }
    )
    is_left = pl.col("after").eq_missing(pl.col("before")) & pl.col("sent").is_not_null()
    cell = pl.when(is_left).then("sent").otherwise(escaped_column(pl.col("after")).fill_null(NULL))
    return frame.select(pl.when("is_given").then(cell).alias(name)).to_series()


def made(plan: Plan, rows: pl.DataFrame) -> pl.DataFrame:
    """Valid rows, with `__row` and the plan's columns, as before_write makes them; raises HookFailed."""
    if plan.verb == Verb.DELETE or rows.is_empty() or type(plan.resource).before_write is BulkResource.before_write:
        return rows
    columns = {**plan.columns, **{name: lists[0] for name, lists in plan.lists.items()}}
    columns = {name: one for name, one in columns.items() if name in rows.columns}
    before = rows.select(pl.col(ROW).alias(NUMBER), *columns, *map(given, columns))
    after = answer(plan, "before_write", plan.resource.before_write(before), before, columns)
    values = [typed(plan, one, after[name], before.schema[name]) for name, one in columns.items()]
    are_given = [given_after(plan, "before_write", name, before, after) for name in columns]
    check_keys(plan, before, values)
    return rows.with_columns(*values, *are_given)


def answer(plan: Plan, hook: str, frame: Any, before: pl.DataFrame, columns: Collection[str]) -> pl.DataFrame:
    """What a rule gave, its rows in the order in which it got them; raises HookFailed."""
    name = hook_name(plan, hook)
    if not isinstance(frame, pl.DataFrame):
        raise HookFailed(f"{name} returned {kind_of_answer(frame)}; it has to return a polars DataFrame.")
    if NUMBER not in frame.columns or not frame.schema[NUMBER].is_integer():
        raise HookFailed(
            f"{name} returned a frame without the whole numbers of {NUMBER!r}; leave that column as it is."
        )
    frame = frame.with_columns(pl.col(NUMBER).cast(ROW_NUMBER))
    check_rows(name, frame[NUMBER], before[NUMBER])
    known = {one for column in columns for one in (column, given(column))}
    if unknown := [one for one in frame.columns if one not in known and one != NUMBER]:
        raise HookFailed(
            f"{name} returned the column {unknown[0]!r}, which {plan.resource.name} does not have; its `fields` give "
            f"it {', '.join(columns)}."
        )
    if lost := [one for one in before.columns if one not in frame.columns]:
        raise HookFailed(f"{name} returned a frame without the column {lost[0]!r}, which it got; keep all columns.")
    # A join or a sort of the rule's may have moved rows: their numbers say which is which.
    return before.select(NUMBER).join(frame, on=NUMBER, how="left", maintain_order="left")


def check_rows(name: str, numbers: pl.Series, expected: pl.Series) -> None:
    """A rule gives each row that it got, once; raises HookFailed."""
    if numbers.is_duplicated().any():
        raise HookFailed(
            f"{name} returned a row twice: {len(numbers):,} rows of {len(expected):,}; give each row once."
        )
    if not expected.is_in(numbers.implode()).all():
        raise HookFailed(
            f"{name} returned {len(numbers):,} of {len(expected):,} rows; keep all of them. Rows are refused in "
            "clean_rows."
        )
    if len(numbers) > len(expected):
        raise HookFailed(f"{name} returned rows that it did not get; their numbers ({NUMBER!r}) are unknown.")


def given_after(plan: Plan, hook: str, name: str, before: pl.DataFrame, after: pl.DataFrame) -> pl.Series:
    """Whether rows give a column now: as the rule says, and where it has filled in a value."""
    mask = given(name)
    was_given = before[mask] if mask in before.columns else pl.Series([False]).new_from_index(0, before.height)
    says = after[mask] if mask in after.columns else was_given
    if says.dtype != pl.Boolean or says.null_count():
        raise wrong_type(plan, hook, mask, says.dtype, "booleans without a null")
    return (says | (~was_given & after[name].is_not_null())).alias(mask)


def typed(plan: Plan, column: Column, values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """A column's values in its own type; raises HookFailed for another that could mean something else."""
    wrong = wrong_type(plan, "before_write", column.name, values.dtype, str(dtype))
    is_number = dtype == pl.String and isinstance(column.value_field, models.DecimalField) and values.dtype.is_numeric()
    is_whole = values.dtype.is_integer() and dtype.is_numeric()
    is_text = dtype == pl.String and isinstance(values.dtype, pl.Categorical | pl.Enum)
    is_moment = (
        isinstance(dtype, pl.Datetime) and isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone is not None
    )
    if not (values.dtype in (dtype, pl.Null) or is_number or is_whole or is_text or is_moment):
        raise wrong
    try:
        return values.cast(dtype)
    except pl.exceptions.InvalidOperationError as error:
        raise wrong from error


def check_keys(plan: Plan, before: pl.DataFrame, values: list[pl.Series]) -> None:
    """A row is found by what it gave; raises HookFailed."""
    for one in values:
        if one.name in plan.match_by and not one.eq_missing(before[one.name]).all():
            name = hook_name(plan, "before_write")
            raise HookFailed(f"{name} changed {one.name}, by which rows are found; change it in prepare_rows.")


def wrong_type(plan: Plan, hook: str, name: str, dtype: pl.DataType, expected: str) -> HookFailed:
    return HookFailed(f"{hook_name(plan, hook)} returned {name!r} as {dtype}; {expected} is expected there.")


def kind_of_answer(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__qualname__}"


def hook_name(plan: Plan, hook: str) -> str:
    """A rule by its name and its class, as the project knows it."""
    return f"{hook} of {type(plan.resource).__qualname__}"
