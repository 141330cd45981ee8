"""Whether the totals that a subscriber was told grow."""

from __future__ import annotations

from collections.abc import Sequence


def grow(totals: Sequence[int]) -> bool:
    """Each is more than the one before, but for the ends.

    QUEUED and RUNNING may both be told with no row done; and a worker may tell of all rows, the last ones by another
    worker, before that one tells the end.
    """
    begins_twice, ends_twice = totals[:2] == [0, 0], totals[-2:-1] == totals[-1:]
    told = totals[begins_twice : len(totals) - ends_twice]
    return list(told) == sorted(set(told))
