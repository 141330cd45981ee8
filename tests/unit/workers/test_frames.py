"""Frames and bytes."""

from __future__ import annotations

import polars as pl

from bulkql.workers.errors import Code, RowError
from bulkql.workers.frames import (
    ERRORS,
    errors_at,
    errors_from_json,
    errors_in,
    errors_of,
    errors_to_json,
    given,
    no_errors,
    pack,
    unpack,
)

TOO_BIG = RowError("big", Code.OUT_OF_RANGE, "Too big.", "9")
WHOLE = RowError(None, Code.CONSTRAINT, "No.")


def test_a_packed_frame_comes_back_as_it_was():
    frame = pl.DataFrame({"a": ["x", None, ""], "__row": pl.Series([0, 1, 2], dtype=pl.Int64)})

    back = unpack(memoryview(pack(frame)))

    assert back.schema == frame.schema
    assert back.rows() == frame.rows()


def test_a_frame_without_rows_keeps_its_schema():
    assert unpack(pack(no_errors())).schema == pl.Schema(ERRORS)


def test_given_is_no_field_name():
    assert not given("amount").isidentifier()


def test_one_error_is_told_of_many_rows():
    found = errors_at([2, 5], WHOLE)

    assert found.schema == pl.Schema(ERRORS)
    assert found.rows() == [(2, None, "CONSTRAINT", "No.", None), (5, None, "CONSTRAINT", "No.", None)]


def test_of_no_rows_there_is_a_frame_without_any():
    empty = pl.Series("__row", [], dtype=pl.UInt32)

    assert errors_at(empty, TOO_BIG).schema == pl.Schema(ERRORS)
    assert errors_of([]).schema == pl.Schema(ERRORS)


def test_errors_are_told_by_the_columns_of_their_rows():
    rows = pl.DataFrame({"__row": [3, 4], "big": [9, None]})

    found = errors_in(rows, "big", Code.INVALID, pl.format("It is {}.", pl.col("big").fill_null(0)), pl.col("big"))

    assert found.schema == pl.Schema(ERRORS)
    assert found.rows() == [(3, "big", "INVALID", "It is 9.", "9"), (4, "big", "INVALID", "It is 0.", None)]


def test_each_row_has_its_own_error():
    found = errors_of([(7, TOO_BIG), (7, WHOLE)])

    assert found.schema == pl.Schema(ERRORS)
    assert found.rows() == [(7, "big", "OUT_OF_RANGE", "Too big.", "9"), (7, None, "CONSTRAINT", "No.", None)]
    assert errors_of([("a", TOO_BIG)], by="text").rows() == [("a", "big", "OUT_OF_RANGE", "Too big.", "9")]


def test_errors_wait_in_a_chunk_as_json():
    text = errors_to_json([TOO_BIG, WHOLE])

    assert text == '[["big", "OUT_OF_RANGE", "Too big.", "9"], [null, "CONSTRAINT", "No.", null]]'
    assert errors_from_json(text) == [TOO_BIG, WHOLE]
