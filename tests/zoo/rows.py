"""Rows of the zoo, as JSON has them."""

from __future__ import annotations

from typing import Any

#: A value of every field of an animal but its key, the token; its keeper is ada.
FULL: dict[str, Any] = {
    "big": 2**62,
    "binary": "AAEC",
    "boolean": False,
    "char": "full",
    "date": "2024-02-29",
    "datetime": "2024-02-29T12:00:00+02:00",
    "decimal": "1234.50",
    "duration": "1 02:03:04",
    "email": "a@b.org",
    "number": 1.5,
    "address": "::1",
    "integer": 4,
    "json": {"a": [1, None, "x"]},
    "positive": 3,
    "shout": " hey ",
    "size": "LARGE",
    "slug": "a-b",
    "plate": "AB-12",
    "text": 'line\nbreak, "quoted" \\. ',
    "time": "10:11:12",
    "keeper": "ada",
    "born": "2020-01-01T00:00:00Z",
}
