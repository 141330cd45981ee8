"""Whether the totals that a subscriber was told grow."""

from __future__ import annotations

from collections.abc import Sequence


def grow(totals: Sequence[int]) -> bool:
    """Each is more than the one before, but for the first: QUEUED and RUNNING may both be told with no row done."""
    begins_twice = totals[:2] == [0, 0]
    told = totals[1:] if begins_twice else totals
    return list(told) == sorted(set(told))
