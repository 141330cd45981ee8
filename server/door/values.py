"""JSON of requests -> Python values, and what is answered -> JSON."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec

from bulkql.workers.columns.cells import ExactFloat
from bulkql.workers.errors import BadInput
from bulkql.workers.readers.bounds import quoted_names

#: Python reads no whole numbers of more digits: reading them takes a time that grows with their square.
DIGITS = 4_000
#: Characters of a value that a message quotes.
SHOWN = 50


def decode(data: str | bytes) -> object:
    """JSON, whose numbers keep their digits; raises json.JSONDecodeError, BadInput for a name that comes twice."""
    try:
        try:
            return json.loads(data, object_pairs_hook=with_names_once, parse_float=ExactFloat)
        except ValueError:  # perhaps a whole number that is too long for Python's own reader
            return json.loads(data, object_pairs_hook=with_names_once, parse_float=ExactFloat, parse_int=whole_number)
    except (ValueError, RecursionError) as error:
        raise json.JSONDecodeError(str(error), "", 0) from None


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
