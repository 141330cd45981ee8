"""JSON of requests as Python values."""

from __future__ import annotations

import pytest

from bulkql.server.graphql import decode


@pytest.mark.parametrize("beside", ["null", "NaN", r'"\ud800"', "1" * 5_000])
def test_numbers_keep_their_digits_whatever_stands_beside_them(beside):
    (number, _) = decode(f"[1234567890123456.78, {beside}]")

    assert number.text == "1234567890123456.78"
