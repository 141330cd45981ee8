"""Frames that are read twice, from memory and from disk."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from bulkql.workers.intake import replay
from bulkql.workers.intake.replay import ReplayBuffer

FRAMES = [pl.DataFrame({"a": [start, start + 1]}) for start in range(0, 20, 2)] + [pl.DataFrame({"b": ["other"]})]


@pytest.mark.parametrize("held_bytes", [0, 1, 40, 1_000_000])
def test_frames_come_again_in_their_order(monkeypatch, held_bytes):
    monkeypatch.setattr(replay, "HELD_BYTES", held_bytes)
    with closing(ReplayBuffer()) as recorded:
        passing = list(recorded.recording(FRAMES))

        again = list(recorded.playback())

    assert [frame.to_dict(as_series=False) for frame in passing] == [frame.to_dict(as_series=False) for frame in FRAMES]
    assert [frame.to_dict(as_series=False) for frame in again] == [frame.to_dict(as_series=False) for frame in FRAMES]


def test_few_frames_never_touch_the_disk(monkeypatch):
    def fail(**_):
        raise AssertionError("the disk was touched")

    monkeypatch.setattr(replay, "Scratch", fail)

    with closing(ReplayBuffer()) as recorded:
        list(recorded.recording(FRAMES))

        assert len(list(recorded.playback())) == len(FRAMES)


def test_frames_that_went_to_disk_leave_it_as_they_are_read(monkeypatch, tmp_path):
    monkeypatch.setattr(replay, "HELD_BYTES", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with closing(ReplayBuffer()) as recorded:
        list(recorded.recording(FRAMES))
        stored = len(list(Path(tmp_path).rglob("*.arrow")))

        again = recorded.playback()
        next(again), next(again)

        assert (stored, len(list(Path(tmp_path).rglob("*.arrow")))) == (len(FRAMES), len(FRAMES) - 1)

    assert list(Path(tmp_path).iterdir()) == []


def test_cells_count_and_not_only_their_texts(monkeypatch, tmp_path):
    """A million cells of one letter take sixteen megabytes more than their letters."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with closing(ReplayBuffer()) as recorded:
        list(recorded.recording([pl.DataFrame({"a": ["x"] * 600_000}) for _ in range(2)]))

        assert len(list(Path(tmp_path).rglob("*.arrow"))) == 2
