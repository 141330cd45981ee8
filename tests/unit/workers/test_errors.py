"""What the log says of an exception: its kind and its place, never its message."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from bulkql.workers.errors import counted, place_of, tracebacks
from bulkql.workers.frames import unpack


def raised_by(call) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011  (whatever it is, its place is asked for)
        call()
    return caught.value


def test_place_in_a_library_names_the_line_of_ours_that_led_there():
    error = raised_by(lambda: unpack(b"secret"))

    where, ours = place_of(error).split(", from ")

    assert where.startswith("ComputeError at polars/")
    line = unpack.__code__.co_firstlineno + 2
    assert ours == f"bulkql/workers/frames.py:{line}"


def test_place_of_ours_stands_alone():
    error = raised_by(lambda: next(tracebacks(None)))

    assert place_of(error) == f"AttributeError at bulkql/workers/errors.py:{tracebacks.__code__.co_firstlineno + 2}"


def test_package_is_named_by_its_init_file():
    error = raised_by(lambda: json.loads(timedelta()))

    assert place_of(error).startswith("TypeError at json/__init__.py:")


def test_exception_that_was_never_raised_has_no_place():
    assert place_of(KeyError("secret")) == "KeyError at nowhere"


@pytest.mark.parametrize(("count", "text"), [(0, "0 bytes"), (1, "1 byte"), (2, "2 bytes"), (1234, "1,234 bytes")])
def test_what_is_counted_is_one_or_many(count, text):
    assert counted(count, "byte") == text
