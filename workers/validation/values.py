"""A raw frame -> typed columns and row errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import polars as pl
from django.core.exceptions import ValidationError

from bulkql.workers.columns.cells import NULL, shown
from bulkql.workers.columns.column import Column, by_name, graphql_name
from bulkql.workers.errors import Code, RowError, let_frames_go
from bulkql.workers.frames import (
    ERRORS,
    GIVES_TO,
    INTAKE_ERRORS,
    RESERVED_PK,
    ROW,
    SUPERSEDED_BY,
    SUPERSEDED_KEY,
    errors_at,
    errors_from_json,
    errors_in,
    errors_of,
    given,
    no_errors,
    row_numbers,
)
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import resource_of
from bulkql.workers.validation.advice import advised
from bulkql.workers.validation.codes import code_of


@dataclass(frozen=True, slots=True)
class Validated:
    """The good rows of a chunk, and what is wrong with the others.

    `rows`: `__row` (place in the chunk), then for each column its value and `given:` whether the row gives it. Columns
    that name the targets of foreign keys are there if some row gives them.
    `errors`: `__row`, path, code, message, data.
    """

    rows: pl.DataFrame
    errors: pl.DataFrame


def validate(plan: Plan, raw: pl.DataFrame) -> Validated:
    """Check a chunk's rows column by column; foreign keys and constraints are left to those who ask the database."""
    rows, wrong = parsed([*plan.columns.values(), *naming_columns(plan, raw)], raw)
    found = intake_errors(raw)
    column_errors = pl.concat([wrong, *misnamed(plan, rows), *missing(plan, raw, rows)])
    errors = pl.concat([found, superseded(raw), but_for_unreadable(column_errors, found)])
    carried = [name for name in (RESERVED_PK, GIVES_TO) if name in raw.columns]
    if carried:
        rows = rows.with_columns(raw[name] for name in carried)
    return without(Validated(rows, no_errors()), errors)


def refused(plan: Plan, raw: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rows that give what their user may not: `__row`, path, code, message, data."""
    for column in plan.refused:
        if column.name in raw.columns:
            rows = raw.select(row_numbers(), column.name).drop_nulls()[ROW]
            verb = "name rows by" if column.name in plan.unnamable else "write"
            message = f"You may not {verb} this field; leave it out."
            yield errors_at(rows, RowError(column.graphql_name, Code.FORBIDDEN, message))


def naming_columns(plan: Plan, raw: pl.DataFrame) -> list[Column]:
    """The columns of a frame that name the targets of foreign keys."""
    return [column for columns in plan.naming_columns.values() for column in columns if column.name in raw.columns]


def without(validated: Validated, errors: pl.DataFrame) -> Validated:
    """Take the rows of `errors` (`__row`, path, code, message, data) out of the good ones."""
    if errors.is_empty():
        return validated
    guilty = errors[ROW].unique()
    return Validated(validated.rows.filter(~pl.col(ROW).is_in(guilty.implode())), pl.concat([validated.errors, errors]))


def parsed(columns: list[Column], raw: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`__row`, then each column's values and whether rows give them; and the errors of the others.

    All columns go through their fast paths at once; the few that are left with doubts are looked at one by one.
    """
    # In sequence: to wake polars' threads takes longer than few rows do, and beside many rows other chunks are at work.
    rows = raw.select_seq(
        row_numbers(),
        *(expression for column in columns for expression in fast(column, column.name in raw.columns)),
    )
    doubtful = left_of([column for column in columns if column.name in raw.columns], raw, rows)
    if rare := [column for column in doubtful if len(column.parse) > 1]:
        rows = rows.with_columns(rest(column, raw[column.name]) for column in rare)
        doubtful = left_of(doubtful, raw, rows)
    slow = [slowly(one, raw[one.name], rows[one.name]) for one in doubtful]
    return rows.with_columns(*(values for values, _ in slow)), pl.concat([no_errors(), *(errors for _, errors in slow)])


@lru_cache(maxsize=10_000)
def fast(column: Column, is_present: bool) -> tuple[pl.Expr, pl.Expr]:
    """A column's values where they are certainly valid, and whether rows give it."""
    if not is_present:
        nothing = pl.lit(None, dtype=column.dtype).alias(column.name)
        return nothing, pl.lit(False).alias(given(column.name))
    cell = pl.col(column.name)
    value = column.parse[0](cell).cast(column.dtype) if column.parse else pl.lit(None, dtype=column.dtype)
    return value.alias(column.name), cell.is_not_null().alias(given(column.name))


def left_of(columns: list[Column], raw: pl.DataFrame, rows: pl.DataFrame) -> list[Column]:
    """The columns in which some row gives a value that is not known yet."""
    if not columns:
        return []
    doubts = rows.select_seq(
        (pl.col(one.name).is_null() & pl.col(given(one.name)) & (pl.lit(raw[one.name]) != NULL)).any().alias(one.name)
        for one in columns
    )
    return [one for one in columns if doubts[one.name].item()]


def rest(column: Column, cells: pl.Series) -> pl.Expr:
    """A column's values, with those in rarer spellings."""
    value = pl.col(column.name)
    for parse in column.parse[1:]:
        left = pl.when(value.is_null()).then(pl.lit(cells))
        value = value.fill_null(parse(left).cast(column.dtype))
    return value.alias(column.name)


def slowly(column: Column, cells: pl.Series, values: pl.Series) -> tuple[pl.Series, pl.DataFrame]:
    """What the fast path left, through the field itself: each distinct text once."""
    frame = pl.DataFrame({"cell": cells, "value": values}).with_columns(row_numbers())
    left = frame.filter(pl.col("value").is_null() & (pl.col("cell") != NULL)).select(ROW, "cell")
    good: list[tuple[str, str]] = []
    good_values: list[object] = []
    bad: list[tuple[str, RowError]] = []
    cells = left["cell"].unique()
    for cell, text in zip(cells, column.tidied(cells), strict=True):
        try:
            good_values.append(column.clean_tidy(text))
            good.append((cell, text))
        except ValidationError as error:
            bad.extend(
                (cell, RowError(column.graphql_name, code_of(one), valid_text(advised(column, cell, one)), shown(cell)))
                for one in ValidationError([error]).error_list
            )
            let_frames_go(error)
    found = pl.DataFrame(
        {
            "cell": pl.Series([cell for cell, _ in good], dtype=pl.String),
            "value": column.series(good_values, [text for _, text in good]),
        }
    )
    rescued = left.join(found, on="cell", how="inner")
    if not rescued.is_empty():
        values = (
            frame.select(ROW, "value")
            .join(rescued.select(ROW, rescued="value"), on=ROW, how="left", maintain_order="left")
            .select(pl.coalesce("value", "rescued").alias(column.name))
            .to_series()
        )
    errors = left.join(errors_of(bad, by="cell"), on="cell", how="inner", maintain_order="left_right")
    return values, errors.select(*ERRORS)


def message_of(error: ValidationError) -> str:
    """The words of a rule."""
    return valid_text(" ".join(error.messages))


def valid_text(words: str) -> str:
    """Words that may quote half a surrogate pair, which no frame takes."""
    return words.encode(errors="backslashreplace").decode()


def missing(plan: Plan, raw: pl.DataFrame, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rows that owe a column its value, and those that give null where none is allowed."""
    lacks = {one.name: ~is_given(plan, one, rows) for one in plan.columns.values() if plan.requires(one)}
    strict = [one for one in plan.all_columns.values() if one.name in raw.columns and not one.field.null]
    nulls = {one.name: (pl.lit(raw[one.name]) == NULL).fill_null(False) for one in strict}
    # One look at all columns; most chunks have nothing to say.
    some = rows.select_seq(
        *(lack.any().alias(f"lacks:{name}") for name, lack in lacks.items()),
        *(null.any().alias(f"null:{name}") for name, null in nulls.items()),
    )
    for name, lack in lacks.items():
        if some[f"lacks:{name}"].item():
            path = plan.columns[name].graphql_name
            yield errors_at(rows.filter(lack)[ROW], RowError(path, Code.REQUIRED, "This field is required."))
    for name, null in nulls.items():
        if some[f"null:{name}"].item():
            path = plan.all_columns[name].graphql_name
            null_error = RowError(path, Code.NULL_NOT_ALLOWED, "This field cannot be null.", "null")
            yield errors_at(rows.filter(null)[ROW], null_error)


def is_given(plan: Plan, column: Column, rows: pl.DataFrame) -> pl.Expr:
    """Whether a row gives a column, or names what a foreign key points to."""
    names = [column.name, *(one.name for one in plan.naming_columns.get(column.name, ()))]
    return pl.any_horizontal(given(name) for name in names if given(name) in rows.columns)


def misnamed(plan: Plan, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rows that name a foreign key's target by something that is no key of it, or by two things at once."""
    for name, columns in plan.naming_columns.items():
        present = [column for column in columns if column.name in rows.columns]
        if not present:
            continue
        keys = keys_of_target(plan.columns[name])
        used = [pl.col(given(column.name)) for column in present]
        given_by_key = [
            pl.all_horizontal(
                is_used if column.field.name in key else ~is_used for column, is_used in zip(present, used, strict=True)
            )
            for key in keys
            if key <= {column.field.name for column in present}
        ]
        is_key = pl.any_horizontal(*given_by_key, pl.lit(False))
        is_named = pl.any_horizontal(used)
        ways = " or ".join(", ".join(sorted(map(graphql_name, key))) for key in keys)
        by = by_name(name)
        twice = rows.filter(is_named & pl.col(given(name)))[ROW]
        yield errors_at(twice, RowError(by, Code.INVALID, f"The row gives both {graphql_name(name)} and {by}."))
        wrong = rows.filter(is_named & ~is_key)[ROW]
        yield errors_at(wrong, RowError(by, Code.INVALID, f"The fields of one key are expected here: {ways}."))


def keys_of_target(column: Column) -> list[set[str]]:
    """The keys by which rows may name a foreign key's target."""
    target = resource_of(column.target) if column.target is not None else None
    return [set(key.fields) for key in target.given_keys] if target is not None else []


def intake_errors(raw: pl.DataFrame) -> pl.DataFrame:
    """What was wrong with rows when they were read, from `__errors`: `__row`, path, code, message, data."""
    if INTAKE_ERRORS not in raw.columns:
        return no_errors()
    found = raw.select(row_numbers(), INTAKE_ERRORS).drop_nulls()
    return errors_of((row, error) for row, text in found.iter_rows() for error in errors_from_json(text))


def but_for_unreadable(errors: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """A row that could not be read gives nothing, nor one its cell that was too large; what it lacks is no news."""
    if errors.is_empty() or found.is_empty():
        return errors
    unreadable = found.filter(pl.col("path").is_null() | (pl.col("code") == Code.TOO_LONG.value))[ROW].unique()
    # A cell that could not be read has said so already.
    errors = errors.join(found.filter(pl.col("code") != Code.UNKNOWN_FIELD.value), on=[ROW, "path"], how="anti")
    if unreadable.is_empty():
        return errors
    return errors.filter((pl.col("code") != Code.REQUIRED.value) | ~pl.col(ROW).is_in(unreadable.implode()))


def superseded(raw: pl.DataFrame) -> pl.DataFrame:
    """Rows whose key a later row of the request has too: the last one counts."""
    if SUPERSEDED_BY not in raw.columns:
        return no_errors()
    key = pl.col(SUPERSEDED_KEY)
    return errors_in(
        raw.with_columns(row_numbers()).filter(pl.col(SUPERSEDED_BY).is_not_null()),
        pl.when(~key.str.contains(",", literal=True)).then(key),
        Code.DUPLICATE_IN_REQUEST,
        pl.format("Row {} of this request has the same {}; the last one counts.", SUPERSEDED_BY, key),
        pl.lit(None),
    )
