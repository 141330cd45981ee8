"""Frames and bytes."""

from __future__ import annotations

import polars as pl

from bulkql.workers.frames import ERRORS, given, no_errors, pack, unpack


def test_a_packed_frame_comes_back_as_it_was():
    frame = pl.DataFrame({"a": ["x", None, ""], "__row": pl.Series([0, 1, 2], dtype=pl.UInt32)})

    back = unpack(memoryview(pack(frame)))

    assert back.schema == frame.schema
    assert back.rows() == frame.rows()


def test_a_frame_without_rows_keeps_its_schema():
    assert unpack(pack(no_errors())).schema == pl.Schema(ERRORS)


def test_given_is_no_field_name():
    assert not given("amount").isidentifier()
