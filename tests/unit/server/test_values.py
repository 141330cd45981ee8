"""JSON of requests as Python values, and back."""

from __future__ import annotations

import pytest

from bulkql.server.door.values import VALUE_BYTES, decode
from bulkql.workers.errors import BadInput, LimitExceeded


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


@pytest.mark.parametrize("value", ["[]", "{}", "1", '""', r'"\"\\"', '{"a": 1}'])
@pytest.mark.parametrize("kind", [str, str.encode])
def test_more_values_than_have_room_are_refused_before_any_is_made(settings, value, kind):
    settings.BULKQL_REQUEST_BYTES = 1_000 * VALUE_BYTES
    text = f"[{', '.join([value] * 1_001)}]"

    with pytest.raises(
        LimitExceeded, match=r"^[0-9,]+ bytes of JSON, .* the limit of 32,000 \(BULKQL_REQUEST_BYTES\); "
    ):
        decode(kind(text))


@pytest.mark.parametrize("text", [",[{" * 1_000, r"\"" + ",", "\\\\"])
def test_what_stands_in_texts_is_no_value(settings, text):
    settings.BULKQL_REQUEST_BYTES = 100 * VALUE_BYTES

    assert len(decode(f'["{text}", "{text}", 1]')) == 3
