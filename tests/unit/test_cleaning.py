"""What a declared cleaning makes of a frame."""

from __future__ import annotations

import subprocess
import sys

import polars as pl
import pytest

import bulkql


def test_all_steps_in_their_order():
    cleaning = bulkql.Cleaning(
        rename={"Name": "name", "Anzahl": "count"},
        strip=True,
        nulls=["n/a", ""],
        columns={"double": pl.col("count").cast(pl.Int64) * 2},
        cast={"count": pl.Int32},
        fill={"count": 0},
        drop_nulls=["name"],
        deduplicate=["name"],
        drop=["rest"],
    )
    rows = pl.DataFrame(
        {
            "Name": [" a ", "b", "a", " n/a", None],
            "Anzahl": ["1", " ", " 3", "4", "5"],
            "rest": [1, 2, 3, 4, 5],
        }
    )

    cleaned = cleaning.clean(rows)

    assert cleaned.to_dict(as_series=False) == {"name": ["b", "a"], "count": [0, 3], "double": [None, 6]}
    assert cleaned.schema["count"] == pl.Int32


def test_texts_alone_are_stripped_and_only_those_that_are_named():
    rows = pl.LazyFrame({"a": [" x "], "b": [" y "], "c": [1]})

    assert bulkql.Cleaning(strip=["a"]).clean(rows).rows() == [("x", " y ", 1)]
    assert bulkql.Cleaning(strip=True).clean(rows).rows() == [("x", "y", 1)]
    assert bulkql.Cleaning(keep=["c", "a"]).clean(rows).rows() == [(1, " x ")]


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(bulkql.BadInput, match=r"a column that is not there: .*Betrag.* It has amount, name\."):
        bulkql.Cleaning(rename={"Betrag": "x"}).clean(pl.DataFrame({"amount": [1], "name": [""]}))


def test_a_cast_that_fails_says_what_helps():
    with pytest.raises(bulkql.BadInput, match=r'\["much"\]; without the `cast` it is an error in its row only\.'):
        bulkql.Cleaning(cast={"amount": pl.Int64}).clean(pl.DataFrame({"amount": ["1", "much"]}))


def test_the_package_is_imported_without_commands_or_models():
    models = "assert 'bulkql.workers.models' not in sys.modules"
    code = f"import sys, bulkql; assert 'bulkql.commands' not in sys.modules; bulkql.ImportCommand; {models}"

    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_else_is_made_up():
    with pytest.raises(AttributeError, match="module 'bulkql' has no attribute 'ExportCommand'"):
        bulkql.ExportCommand  # noqa: B018
