"""The columns that bulkql adds to rows that failed. Readers ignore them, so the rows can be sent again as they are."""

from __future__ import annotations

from collections.abc import Iterable

ROW = "bulkql_row"
CODE = "bulkql_code"
PATH = "bulkql_path"
MESSAGE = "bulkql_message"
#: What NDJSON has for the other three.
ERRORS = "bulkql_errors"

#: The columns behind those of the sender in CSV.
COLUMNS = (ROW, CODE, PATH, MESSAGE)
NAMES = frozenset({*COLUMNS, ERRORS})


def is_returned(header: Iterable[str]) -> bool:
    """Whether a file with this header went out with failed rows before."""
    return not NAMES.isdisjoint(header)
