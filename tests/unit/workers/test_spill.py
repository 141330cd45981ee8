"""Buckets in memory and on disk."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from bulkql.workers import spill
from bulkql.workers.spill import Spill


@pytest.fixture(params=[1, 2, 5, 1_000_000])
def held_rows(request, monkeypatch):
    monkeypatch.setattr(spill, "HELD_ROWS", request.param)
    return request.param


def frame(*rows):
    return pl.DataFrame(rows, {"bucket": pl.Int64, "value": pl.Int64}, orient="row")


def test_a_bucket_holds_its_rows_in_the_order_of_adding(held_rows):
    with closing(Spill()) as spilled:
        for start in range(0, 60, 3):
            spilled.add(frame(*((number % 11, number) for number in range(start, start + 3))))

        assert spilled.buckets() == list(range(11))
        for bucket in range(11):
            assert spilled.read(bucket)["value"].to_list() == list(range(bucket, 60, 11))


def test_an_empty_bucket_has_no_rows(held_rows):
    with closing(Spill()) as spilled:
        assert spilled.read(0).is_empty()

        spilled.add(frame((1, 5)))
        spilled.add(frame())

        assert spilled.buckets() == [1]
        assert spilled.read(11).is_empty()


def test_small_spills_never_touch_the_disk(monkeypatch):
    def fail(**_):
        raise AssertionError("the disk was touched")

    monkeypatch.setattr(spill, "Scratch", fail)

    with closing(Spill()) as spilled:
        spilled.add(frame((1, 5)))

        assert spilled.read(1).rows() == [(1, 5)]


def test_closing_leaves_nothing_on_the_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(spill, "HELD_ROWS", 1)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    spilled = Spill()
    spilled.add(frame((1, 5), (2, 6)))
    assert len(list(Path(tmp_path).rglob("*.arrow"))) == 2

    spilled.close()

    assert list(Path(tmp_path).iterdir()) == []
