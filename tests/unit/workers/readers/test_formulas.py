"""Formulas are neutralised, and come back as they were."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkql.workers.readers.formulas import neutralised, restored


def through(function, *texts):
    return pl.select(function(pl.lit(pl.Series(texts, dtype=pl.String)))).to_series().to_list()


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+a", "-a", "@SUM(A1)", "\tx", "\r=x", "'=1+1", "''@", "=", "-", "+5 EUR", "＝1+1", "＋a", "－a", "＠a"],
)
def test_a_text_that_a_spreadsheet_would_run_gets_a_quote_in_front(text):
    assert through(neutralised, text) == [f"'{text}"]


@pytest.mark.parametrize(
    "text", ["-5", "+5", "-1.50", "+.5", "-5.", "-1e3", "+1.5E-3", "5", "", "a=b", "'", "'a", "''", " =1", None]
)
def test_numbers_and_plain_texts_stay(text):
    assert through(neutralised, text) == [text]
    assert through(restored, text) == [text]


@given(st.lists(st.one_of(st.none(), st.text(), st.text("'=+-@＝＋－＠\t\r\n5.e a")), min_size=1))
@settings(max_examples=500)
def test_what_was_neutralised_comes_back_as_it_was(texts):
    assert through(restored, *through(neutralised, *texts)) == texts


@given(st.text("'=+-@＝＋－＠\t\r\n5.e a"))
@settings(max_examples=500)
def test_nothing_but_numbers_begins_as_a_formula(text):
    (found,) = through(neutralised, text)

    if found[:1] in ("=", "+", "-", "@", "\t", "\r"):
        float(found)
