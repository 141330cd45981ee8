"""What the tests of subscriptions call growing totals."""

from __future__ import annotations

import pytest

from tests.totals import grow


def events(*told):
    states = {"Q": "QUEUED", "R": "RUNNING", "C": "COMPLETED"}
    return [{"state": states[each[0]], "processed": int(each[1:])} for each in told]


@pytest.mark.parametrize(
    "told",
    [[], ["R5"], ["Q0", "R500", "C1000"], ["Q0", "R0", "R500", "C1000"], ["R500", "R1000", "C1000"]],
    ids=" ".join,
)
def test_growing(told):
    assert grow(events(*told))


@pytest.mark.parametrize(
    "told",
    [
        ["Q0", "R0", "R500", "R300"], ["Q0", "R0", "R0", "R500"], ["R500", "R300"], ["R500", "R500"], ["C500", "C500"],
        ["R0", "Q0"], ["R500", "Q1000"], ["C500", "R1000"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_not_growing(told):
    assert not grow(events(*told))
