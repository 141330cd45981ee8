"""JSON of requests -> Python values, and what is answered -> JSON."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from typing import Any

import msgspec

from bulkql.workers.columns.cells import ExactFloat
from bulkql.workers.conf import limits
from bulkql.workers.errors import BadInput
from bulkql.workers.intake.checks import exceeds
from bulkql.workers.readers.bounds import quoted_names

#: Python reads no whole numbers of more digits: reading them takes a time that grows with their square.
DIGITS = 4_000
#: Characters of a value that a message quotes.
SHOWN = 50
#: Bytes that a value counts as at least: the three of `[],` become sixty in memory.
VALUE_BYTES = 32
#: A text whose own quotation marks have been taken out, or the beginning of one that does not end.
TEXT = re.compile('"[^"]*"?')


def decode(data: str | bytes) -> object:
    """JSON, whose numbers keep their digits.

    Raises json.JSONDecodeError, BadInput for a name that comes twice, LimitExceeded for more values than have room.
    """
    check_count(data)
    try:
        try:
            return json.loads(data, object_pairs_hook=with_names_once, parse_float=ExactFloat)
        except ValueError:  # perhaps a whole number that is too long for Python's own reader
            return json.loads(data, object_pairs_hook=with_names_once, parse_float=ExactFloat, parse_int=whole_number)
    except (ValueError, RecursionError) as error:
        raise json.JSONDecodeError(str(error), "", 0) from None


def check_count(data: str | bytes) -> None:
    """Bytes are limited, and a few of them may be a value; raises LimitExceeded."""
    most = limits().request_bytes // VALUE_BYTES
    if begun(data) <= most:
        return
    text = data.decode("latin1") if isinstance(data, bytes) else data
    text = text.replace("\\\\", "").replace('\\"', "")
    # Each text is a value or the name of one. To take millions of them out would stop the event loop for seconds.
    count = text.count('"') // 4
    if count <= most:
        count = begun(TEXT.sub("", text))
    what = f"bytes of JSON, in which each of {count:,} values counts as {VALUE_BYTES},"
    exceeds("request_bytes", what, count * VALUE_BYTES, "send the rows as a file")


def weight(text: str) -> int:
    """The bytes that a frame's text and its values take in memory, roughly."""
    return max(sys.getsizeof(text), begun(text) * VALUE_BYTES)


def begun(data: str | bytes) -> int:
    """The values that begin at a comma or a bracket; those of texts are counted too."""
    marks: Any = (",", "[", "{") if isinstance(data, str) else (b",", b"[", b"{")
    return sum(data.count(mark) for mark in marks)


def with_names_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Of two values under one name, decoders keep the last, and nobody knows which is meant."""
    found = dict(pairs)
    if len(found) != len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        values = " and ".join(f"{value!r:.{SHOWN}}" for other, value in pairs if other == name)
        text = f"An object has {quoted_names([name])} more than once, with {values:.300}; leave all but one out."
        raise BadInput(text)
    return found


def whole_number(digits: str) -> int | float:
    """A number of any length: the row that gives one of thousands of digits is told so, and its neighbours are not."""
    return int(digits) if len(digits) <= DIGITS else ExactFloat(digits)


def encode(data: object) -> bytes:
    """JSON, fast; what is quoted of a client's may hold half a surrogate pair, which only Python's own writer takes."""
    try:
        return msgspec.json.encode(data)
    except UnicodeEncodeError:
        return json.dumps(data).encode()
