"""What a resource makes of frames, and what it must not make of them."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from bulkql.workers.enums import Verb
from bulkql.workers.errors import HookFailed
from bulkql.workers.readers.objects import raw_frame
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import resource_of
from bulkql.workers.validation.making import made, prepared
from bulkql.workers.validation.values import validate
from tests.zoo.bulk import Tags
from tests.zoo.models import Tag

PLAN = Plan(resource=resource_of(Tag), verb=Verb.CREATE)


@pytest.fixture
def fate(monkeypatch):
    """What a rule that makes something of two rows is told."""

    def of(hook, make):
        monkeypatch.setattr(Tags, hook, lambda self, rows: make(rows))
        raw = raw_frame(PLAN, [{"name": "a"}, {"name": "b"}])
        with pytest.raises(HookFailed) as failed:
            made(PLAN, validate(PLAN, prepared(PLAN, raw)).rows)
        return str(failed.value)

    return of


WRONG = {
    "nothing": (lambda rows: None, "returned None; it has to return a polars DataFrame."),
    "lazy": (lambda rows: rows.lazy(), "returned a LazyFrame; it has to return a polars DataFrame."),
    "list": (lambda rows: rows.rows(), "returned a list; it has to return a polars DataFrame."),
    "no numbers": (
        lambda rows: rows.drop("row"),
        "returned a frame without the whole numbers of 'row'; leave that column as it is.",
    ),
    "other numbers": (
        lambda rows: rows.with_columns(row=pl.lit("a")),
        "returned a frame without the whole numbers of 'row'; leave that column as it is.",
    ),
    "dropped": (
        lambda rows: rows.filter(pl.col("name") != "b"),
        "returned 1 of 2 rows; keep all of them. Rows are refused in clean_rows.",
    ),
    "emptied": (lambda rows: rows.clear(), "returned 0 of 2 rows; keep all of them. Rows are refused in clean_rows."),
    "doubled": (
        lambda rows: pl.concat([rows, rows]),
        "returned a row twice: 4 rows of 2; give each row once.",
    ),
    "renumbered": (
        lambda rows: rows.with_columns(pl.col("row") + 1),
        "returned 2 of 2 rows; keep all of them. Rows are refused in clean_rows.",
    ),
    "added": (
        lambda rows: rows.vstack(rows.head(1).with_columns(row=pl.lit(9, pl.Int64))),
        "returned rows that it did not get; their numbers ('row') are unknown.",
    ),
    "unknown column": (
        lambda rows: rows.with_columns(colour=pl.lit("red")),
        "returned the column 'colour', which tags does not have; its `fields` give it name, color, number.",
    ),
    "lost column": (
        lambda rows: rows.drop("color"),
        "returned a frame without the column 'color', which it got; keep all columns.",
    ),
    "no mask": (
        lambda rows: rows.with_columns(pl.lit("yes").alias("given:name")),
        "returned 'given:name' as String; booleans without a null is expected there.",
    ),
}


@pytest.mark.parametrize("hook", ["prepare_rows", "before_write"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_rule_that_gives_no_frame_of_the_same_rows_is_told(fate, hook, wrong):
    make, message = WRONG[wrong]

    assert fate(hook, make) == f"{hook} of Tags {message}"


@pytest.mark.parametrize(
    ("values", "found", "expected"),
    [
        ({"number": pl.lit("5")}, "'number' as String", "Int64"),
        ({"number": pl.lit(1.5)}, "'number' as Float64", "Int64"),
        ({"number": pl.lit(2**64 - 1, pl.UInt64)}, "'number' as UInt64", "Int64"),
        ({"color": pl.lit(5)}, "'color' as Int32", "String"),
        ({"color": pl.lit(date(2024, 1, 1))}, "'color' as Date", "String"),
        ({"color": pl.lit(["a"])}, "'color' as List(String)", "String"),
    ],
)
def test_before_write_gives_values_of_the_columns_own_types(fate, values, found, expected):
    told = fate("before_write", lambda rows: rows.with_columns(**values))

    assert told == f"before_write of Tags returned {found}; {expected} is expected there."
