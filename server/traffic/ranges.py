"""A request for a part of a file -> which bytes, as RFC 9110 has it (sections 13 and 14). One range, or all of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

#: bytes=0-99, bytes=100- or bytes=-50; of several ranges in one request, which may be ignored, all bytes are sent.
ONE_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))", re.IGNORECASE)


class Unsatisfiable(Exception):
    """The range begins behind the last byte."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes from `start` to before `end`."""

    start: int
    end: int


def range_of(headers: Mapping[str, str], size: int, etag: str) -> ByteRange | None:
    """The part that is asked for; None for all of it. Raises Unsatisfiable."""
    asked = ONE_RANGE.fullmatch(headers.get("Range", "").replace(" ", ""))
    condition = headers.get("If-Range", "").strip()
    # A file of another time would be put together with this one. No date is strong enough a sign.
    if asked is None or (condition and condition != etag):
        return None
    first, last, final = asked.groups()
    if final is not None:
        start, end = max(0, size - int(final)), size
    else:
        start, end = int(first), size if last is None else min(int(last) + 1, size)
        if last is not None and int(last) < start:
            return None  # no range at all
    if start >= size or start >= end:
        raise Unsatisfiable
    return ByteRange(start, end)


def is_known(headers: Mapping[str, str], etag: str) -> bool:
    """Whether the client has this very file already."""
    tags = [tag.removeprefix("W/") for tag in tags_of(headers, "If-None-Match")]
    return etag in tags or tags == ["*"]


def is_meant(headers: Mapping[str, str], etag: str) -> bool:
    """Whether this is a file that the client wants, who may want any."""
    tags = tags_of(headers, "If-Match")
    return not tags or etag in tags or tags == ["*"]


def tags_of(headers: Mapping[str, str], name: str) -> list[str]:
    """The entity tags of a condition."""
    return [tag.strip() for tag in headers.get(name, "").split(",") if tag.strip()]
