"""JSON of requests as Python values, and back."""

from __future__ import annotations

import pytest

from bulkql.server.door.values import decode
from bulkql.workers.errors import BadInput


@pytest.mark.parametrize("beside", ["null", "NaN", r'"\ud800"', "1" * 5_000])
def test_numbers_keep_their_digits_whatever_stands_beside_them(beside):
    (number, _) = decode(f"[1234567890123456.78, {beside}]")

    assert number.text == "1234567890123456.78"


@pytest.mark.parametrize("text", ['{"a": 1, "a": %s}', '[{"b": [{"a": 1, "c": 2, "a": %s}]}]'])
@pytest.mark.parametrize("beside", ["2", "NaN", "1" * 5_000])
def test_a_name_that_an_object_has_twice_is_refused(text, beside):
    with pytest.raises(
        BadInput, match=r"^An object has 'a' more than once, with 1 and .{1,60}; leave all but one out\.$"
    ):
        decode(text % beside)


def test_a_name_may_come_in_several_objects():
    assert decode('[{"a": {"a": 1}}, {"a": "\\": a"}]') == [{"a": {"a": 1}}, {"a": '": a'}]
