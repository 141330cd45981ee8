"""What the tests of subscriptions call growing totals."""

from __future__ import annotations

import pytest

from tests.totals import grow


@pytest.mark.parametrize("totals", [[], [5], [0, 500, 1_000], [0, 0, 500, 1_000]])
def test_growing(totals):
    assert grow(totals)


@pytest.mark.parametrize("totals", [[0, 0, 500, 300], [0, 0, 0, 500], [500, 300], [0, 500, 500], [500, 500]])
def test_not_growing(totals):
    assert not grow(totals)
