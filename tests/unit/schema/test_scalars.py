"""What scalars take, and how they refuse the rest."""

from __future__ import annotations

import pytest

from bulkql.schema.scalars import parse_big_int


@pytest.mark.parametrize(
    ("given", "number"), [(5, 5), ("5", 5), ("-5", -5), (5.0, 5), (str(2**63 - 1), 2**63 - 1), (-(2**63), -(2**63))]
)
def test_a_whole_number_is_one_however_it_is_written(given, number):
    assert parse_big_int(given) == number


NO_NUMBERS = [
    1.5,
    1e18,
    float("inf"),
    float("nan"),
    True,
    [],
    "",
    "5.0",
    "1e3",
    "1_000",
    " 5",
    "5\n",
    "\u0665",
    "9" * 5_000,
]


@pytest.mark.parametrize("given", NO_NUMBERS)
def test_what_is_no_whole_number_is_told_what_one_is(given):
    with pytest.raises(ValueError, match=r"^BigInt cannot represent .{1,100}: it is a whole number, such as 12"):
        parse_big_int(given)


@pytest.mark.parametrize("given", [2**63, -(2**63) - 1, str(2**63)])
def test_a_whole_number_has_64_bits(given):
    with pytest.raises(ValueError, match=rf"^BigInt cannot represent {given}: it has 64 bits$"):
        parse_big_int(given)
