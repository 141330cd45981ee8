"""A part of a request -> a file that says the same, as far as files can."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

from bulkql.workers.readers.options import FileFormat
from tests.semantics.rows import match_key
from tests.semantics.tables import Part, Request

#: A cell that says null: an empty one says that the row does not give the field.
NULL = "NULL"


def as_csv(verb: str, part: Part) -> str:
    """The cells of rows; shelfBy.code is a column."""
    rows = [cells(row) for row in part.rows]
    names = dict.fromkeys([*(name for row in rows for name in row), *match_key(verb, part)])
    if "shelfBy.code" in names and not any("shelf" in row for row in rows):
        names.pop("shelf", None)
    file = io.StringIO()
    writer = csv.DictWriter(file, list(names))
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def cells(row: dict[str, Any]) -> dict[str, str]:
    found = {}
    for name, value in row.items():
        if isinstance(value, dict):
            name, value = f"{name}.code", value["code"]
        found[name] = NULL if value is None else str(value)
    return found


def as_ndjson(verb: str, part: Part) -> str:
    return "".join(json.dumps(row) + "\n" for row in part.rows)


WRITERS: dict[FileFormat, Callable[[str, Part], str]] = {FileFormat.CSV: as_csv, FileFormat.NDJSON: as_ndjson}
#: What is of one kind in JSON and of none in a cell.
ODD_IN_CELLS = {"sku": int, "code": int, "name": int, "note": int, "stock": str, "price": bool}


def fits(file_format: FileFormat, row: Any) -> bool:
    """Whether a row means the same in a file, and has no unknown field: a file has no such column."""
    if not isinstance(row, dict) or not row or "colour" in row:
        return False
    by = row.get("shelfBy", {"code": "A"})
    if not isinstance(by, dict) or "code" not in by:
        return False
    if file_format == FileFormat.NDJSON:
        return True
    values = row | by
    return "" not in values.values() and not any(
        isinstance(values.get(name), odd) for name, odd in ODD_IN_CELLS.items()
    )


def fitting(file_format: FileFormat, request: Request) -> Request | None:
    """A request without the rows that do not fit into a file; None if nothing is left of a part.

    A file of JSON takes any row but for its first one, which tells whether it is such a file at all; and but for rows
    that are no objects, which are INVALID in a request, and broken records of a file.
    """
    parts = []
    for part in request.parts:
        rows = [row for row in part.rows if fits(file_format, row)]
        if not rows:
            return None
        if file_format == FileFormat.NDJSON:
            first = next(index for index, row in enumerate(part.rows) if fits(file_format, row))
            rows = [row for row in part.rows[first:] if isinstance(row, dict)]
        parts.append(Part(part.resource, rows, part.match_by, part.update_fields))
    return Request(request.verb, parts, request.rejects_all, request.dry_run)
