"""A fixed slice of the fuzz of the parsers."""

from __future__ import annotations

from tests.fuzz.parsers import run


def test_no_bytes_raise_anything_but_our_own_errors():
    assert run(2_000, seed=1)["cases"] == 2_000
