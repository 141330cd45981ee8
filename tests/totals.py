"""Whether what a subscriber was told of an operation grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

#: The states in their order. All rows may be told before the end is: one worker writes the last chunk, another ends.
ORDER = ["QUEUED", "RUNNING", "COMPLETED"]


def grow(events: Sequence[Mapping[str, Any]]) -> bool:
    """Whether each event tells more rows than the one before, or a later state; and none fewer, or an earlier one.

    `events` as the API tells them: `{"state": "RUNNING", "processed": 500, ...}`.
    """
    told = [(event["processed"], ORDER.index(event["state"])) for event in events]
    return all(
        rows <= rows_then and state <= state_then and (rows, state) != (rows_then, state_then)
        for (rows, state), (rows_then, state_then) in pairwise(told)
    )
