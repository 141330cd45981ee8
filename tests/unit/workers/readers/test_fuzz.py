"""A fixed slice of the fuzz of the parsers; `python -m tests.fuzz.parsers` reads as many files as you like."""

from __future__ import annotations

from tests.fuzz.parsers import run


def test_no_bytes_raise_anything_but_our_own_errors():
    report = run(2_000, seed=1)

    assert report.faults == {}
    assert report.cases == 2_000
    assert all(count["read"] for count in report.counts.values())
