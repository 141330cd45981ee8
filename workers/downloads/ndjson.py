"""The rows that an input left -> objects, one a line, with bulkql_row and bulkql_errors.

A line that was no JSON object comes as an object that gives nothing but bulkql_line, its text. The text of a cell for
which JSON has no value stands in bulkql_cells.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from bulkql.workers.columns.cells import BareText
from bulkql.workers.downloads import texts
from bulkql.workers.downloads.failed_rows import Left, Pieces, Shape, left_rows, sent_columns, shape_of
from bulkql.workers.errors import Code, RowError
from bulkql.workers.frames import INTAKE_ERRORS, OTHERS, errors_from_json
from bulkql.workers.models import Input
from bulkql.workers.readers import returned
from bulkql.workers.readers.options import FileFormat


def left_as_ndjson(stored: Input) -> Pieces:
    """The rows that an input left."""
    shape = shape_of(stored)
    encoding = codecs.lookup(shape.options.encoding).name
    is_ndjson = shape.options.format == FileFormat.NDJSON
    if is_ndjson and encoding == "utf-8-sig":
        yield codecs.BOM_UTF8
    # Most encodings of CSV have ASCII in them, and others are told by themselves.
    encoder = codecs.getincrementalencoder(encoding if is_ndjson else "ascii")()
    for left in left_rows(stored, shape):
        lines = msgspec.json.Encoder().encode_lines(objects(left, shape))
        # Sent again with the same options, it is read in the encoding that they name.
        yield lines if encoding in UTF8 else encoder.encode(NO_ASCII.sub(escaped, lines.decode()))


UTF8 = ("utf-8", "utf-8-sig")
NO_ASCII = re.compile(r"[^\x00-\x7f]")


def escaped(found: re.Match[str]) -> str:
    """A character as JSON has it in ASCII."""
    return json.dumps(found[0])[1:-1]


def objects(left: Left, shape: Shape) -> Iterator[dict[str, Any]]:
    """Left rows as objects, with all that they gave, and our own keys."""
    fields = sent_columns(left.cells)
    names = [shape.name_of(field) for field in fields]
    columns = [texts.values(left.cells[field], shape.plan.all_columns.get(field)) for field in fields]
    reasons: dict[int, list[dict[str, str | None]]] = {}
    for reason in left.reasons.iter_rows(named=True):
        reasons.setdefault(reason.pop("index"), []).append(reason)
    rows = zip(left.indexes, unknown_in(left, shape), left.malformed(), strict=True)
    for place, (index, unknown, line) in enumerate(rows):
        given = {name: column[place] for name, column in zip(names, columns, strict=True) if column[place] is not ...}
        bare = {name: str(given.pop(name)) for name, one in [*given.items()] if isinstance(one, BareText)}
        yield {
            **nested({**unknown, **given}, shape.plan.by_names),
            **({returned.CELLS: bare} if bare else {}),
            returned.ROW: index,
            returned.ERRORS: reasons.get(index, []),
            **({returned.LINE: line} if line is not None else {}),
        }


def unknown_in(left: Left, shape: Shape) -> Iterator[dict[str, Any]]:
    """What each row gave that has no cell: its errors have kept it, or it was left out."""
    known = shape.plan.names
    nothing = [None] * left.indexes.len()
    intake = left.cells[INTAKE_ERRORS] if INTAKE_ERRORS in left.cells.columns else nothing
    left_out = left.cells[OTHERS] if OTHERS in left.cells.columns else nothing
    for text, others_of_row in zip(intake, left_out, strict=True):
        found = errors_from_json(text) if text else []
        gave = {one.path: one.data for one in found if one.path and one.data}
        others = {name: data for one in found if is_of_many(one) for name, data in json.loads(one.data or "{}").items()}
        yield {
            **{path: texts.raw_json(data) or data for path, data in gave.items() if path not in known},
            **{name.encode(errors="backslashreplace").decode(): value for name, value in others.items()},
            **(msgspec.json.decode(others_of_row, type=dict[str, msgspec.Raw]) if others_of_row else {}),
        }


def is_of_many(error: RowError) -> bool:
    """Whether an error is of all the unknown fields that a row has beside those that are told one by one."""
    return error.code == Code.UNKNOWN_FIELD and error.path is None


def nested(row: dict[str, Any], by_names: frozenset[str]) -> dict[str, Any]:
    """{"accountBy.name": "Cash"} -> {"accountBy": {"name": "Cash"}}."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        outer, _, inner = name.partition(".")
        if inner and outer in by_names and isinstance(found.get(outer, {}), dict):
            found.setdefault(outer, {})[inner] = value
        else:
            found[name] = value
    return found
