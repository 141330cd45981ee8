"""Flat rows -> what a resource's input takes: inline rows, or an uploaded file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.acceptance.rows import Row, write_csv, write_ndjson
from tests.acceptance.service import Service

WAYS = ("inline", "csv", "ndjson")


def given(service: Service, verb: str, rows: list[Row], way: str, directory: Path) -> dict[str, Any]:
    """A resource's part of a bulk input. Foreign keys are named by their targets' fields, `parentBy.name`."""
    if way == "inline":
        return {"keys" if verb == "Delete" else "rows": [inline(row) for row in rows]}
    if way == "ndjson":
        lines = [inline(row) for row in rows]
        return {"file": {"uploadId": service.client.upload(write_ndjson(directory / "t.ndjson", lines))}}
    cells = [{column(name): "NULL" if value is None else value for name, value in row.items()} for row in rows]
    upload_id = service.client.upload(write_csv(directory / "t.csv", cells))
    return {"file": {"uploadId": upload_id, "nullValues": ["NULL"]}}


def inline(row: Row) -> Row:
    """parentBy.name -> parentBy: {name: ...}."""
    nested: Row = {}
    for path, value in row.items():
        name, _, inner = path.partition(".")
        nested[name] = {inner: value} if inner else value
    return nested


def column(path: str) -> str:
    """parentBy.firstName -> parent.first_name."""
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", path.replace("By.", "."))
