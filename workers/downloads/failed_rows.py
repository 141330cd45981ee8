"""Chunks -> their failed rows in the shape in which they were sent, and why they failed: CSV or NDJSON, as bytes.

What comes out can be mended and sent again with the same options. Rows that a later one superseded
(DUPLICATE_IN_REQUEST) failed too, and are among them. Sent again as they are, a create refuses them, for the later row
is in the table; an update or an upsert would undo the later row: give them another key, or take them out.
A line that was no JSON object comes as an object that gives nothing.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import polars as pl
from django.db.models import QuerySet

from bulkql.workers.downloads import texts
from bulkql.workers.enums import Outcome
from bulkql.workers.errors import Code, RowError
from bulkql.workers.frames import INTAKE_ERRORS, RECORDED_ERRORS, errors_from_json, unpack
from bulkql.workers.ledger.results import result_rows
from bulkql.workers.models import Chunk, Input
from bulkql.workers.readers import returned
from bulkql.workers.readers.formulas import neutralised
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.plan import Plan, plan_of

#: A file while it is written; closed when nobody reads on.
Pieces: TypeAlias = Generator[bytes, None, None]

#: What a CSV record has behind the cells of the header.
OVERFLOW = "__overflow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How the rows of an input were sent."""

    is_file: bool
    options: FileOptions
    plan: Plan
    #: Field -> what the file calls it, where that is known.
    names: dict[str, str]

    def name_of(self, field: str) -> str:
        """What the sender calls a field."""
        column = self.plan.all_columns.get(field)
        return self.names.get(field, field) if self.is_file or column is None else column.graphql_name


@dataclass(frozen=True, slots=True)
class Failed:
    """The failed rows of a chunk: cells, indexes in the input, and the errors of each: index, path, code, message."""

    cells: pl.DataFrame
    indexes: pl.Series
    errors: pl.DataFrame


def as_csv(stored: Input) -> Pieces:
    """The failed rows of an input with a header and bulkql's columns, in the options' delimiter and encoding."""
    shape = shape_of(stored)
    fields = csv_fields(stored, shape)
    # The cells came in this encoding; only messages may have characters that it lacks.
    encoder = codecs.getincrementalencoder(shape.options.encoding)("replace")
    header = [*map(shape.name_of, fields), *returned.COLUMNS]
    yield encoder.encode(csv_records(pl.DataFrame({str(place): name for place, name in enumerate(header)}), shape))
    for chunk in each(failed_chunks(stored)):
        yield encoder.encode(csv_of(failed_in(chunk), fields, shape))
    yield encoder.encode("", final=True)


def as_ndjson(stored: Input) -> Pieces:
    """The failed rows of an input as objects, with bulkql_row and bulkql_errors."""
    shape = shape_of(stored)
    for chunk in each(failed_chunks(stored)):
        yield msgspec.json.Encoder().encode_lines(objects(failed_in(chunk), shape))


def failed_chunks(stored: Input) -> QuerySet[Chunk]:
    return stored.chunks.filter(failed__gt=0).order_by("number")


def each(chunks: QuerySet[Chunk]) -> Iterator[Chunk]:
    """Chunks one by one: a cursor would hold a transaction open for as long as the client takes to read."""
    for pk in list(chunks.values_list("pk", flat=True)):
        yield chunks.get(pk=pk)


def shape_of(stored: Input) -> Shape:
    """How an input was sent. A file calls a field as its header does, or as its options say, or as we do."""
    options = options_of(stored)
    return Shape(
        is_file=stored.file_options is not None,
        options=options,
        plan=plan_of(stored),
        names={
            **{field: name.strip() for name, field in options.columns.items()},
            **{field: name for name, field in stored.header or [] if field is not None},
        },
    )


def options_of(stored: Input) -> FileOptions:
    """How a file of these rows is read: as the sender's was; inline rows make a plain one."""
    return FileOptions.from_json(stored.file_options or FileOptions(format=FileFormat.CSV).as_json())


def csv_fields(stored: Input, shape: Shape) -> list[str]:
    """The columns of the CSV. A CSV file's header names all that rows give; elsewhere a later row may give more."""
    seen = [field for _, field in stored.header or [] if field is not None]
    if seen and shape.options.format == FileFormat.CSV:
        return seen
    given = (field for chunk in each(failed_chunks(stored)) for field in fields_in(unpack(chunk.payload)))
    return list(dict.fromkeys([*seen, *given]))


def fields_in(raw: pl.DataFrame) -> list[str]:
    """The sender's columns of a raw frame; the others are ours."""
    return [name for name in raw.columns if not name.startswith("__")]


def failed_in(chunk: Chunk) -> Failed:
    """The failed rows of a chunk that has some."""
    results = result_rows(chunk)
    is_failed = results["outcome"] == Outcome.FAILED.value
    errors = unpack(chunk.errors) if chunk.errors is not None else pl.DataFrame(schema=RECORDED_ERRORS)
    return Failed(unpack(chunk.payload).filter(is_failed), results["index"].filter(is_failed), errors)


def csv_of(failed: Failed, fields: list[str], shape: Shape) -> str:
    """Failed rows as records of CSV; one that had too many cells has so still, behind our own columns."""
    null = next(iter(shape.options.null_values), None)
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, failed.indexes.len())
    cells = [texts.texts(failed.cells[name], null) if name in failed.cells.columns else nothing for name in fields]
    columns = [*cells, *error_columns(failed)]
    frame = pl.DataFrame([series.alias(str(place)) for place, series in enumerate(columns)])
    frame = frame.with_columns(overflow(failed, shape).alias(OVERFLOW))
    runs = frame.with_columns(run=pl.col(OVERFLOW).is_null().rle_id())
    parts = runs.partition_by("run", maintain_order=True, include_key=False)
    trimmed = (part if part[OVERFLOW].null_count() == 0 else part.drop(OVERFLOW) for part in parts)
    return "".join(csv_records(part, shape) for part in trimmed)


def error_columns(failed: Failed) -> list[pl.Series]:
    """bulkql's columns: a row's index, and its errors."""
    named = [pl.col("code"), pl.col("path").fill_null(""), pl.col("message")]
    joined = failed.errors.group_by("index").agg(column.str.join("; ") for column in named)
    rows = pl.DataFrame({"index": failed.indexes}).join(joined, on="index", how="left", maintain_order="left")
    # The whole row has no path: an empty cell, and no empty text.
    return rows.select(
        pl.col("index").cast(pl.String), "code", pl.col("path").replace("", None), "message"
    ).get_columns()


def overflow(failed: Failed, shape: Shape) -> pl.Series:
    """The cell too many of each record that had one."""
    found: list[str | None] = [None] * failed.indexes.len()
    if INTAKE_ERRORS in failed.cells.columns and shape.is_file and shape.options.format == FileFormat.CSV:
        found = [text and errors_from_json(text)[0].data for text in failed.cells[INTAKE_ERRORS]]
    return pl.Series(found, dtype=pl.String)


def csv_records(frame: pl.DataFrame, shape: Shape) -> str:
    """A frame of texts as CSV, harmless to spreadsheets; null is an empty cell, and an empty text a quoted one."""
    return frame.select(neutralised(pl.all())).write_csv(include_header=False, separator=shape.options.delimiter)


def objects(failed: Failed, shape: Shape) -> Iterator[dict[str, Any]]:
    """Failed rows as objects, with all that they gave, and our own two keys."""
    fields = fields_in(failed.cells)
    names = [shape.name_of(field) for field in fields]
    columns = [texts.values(failed.cells[field], shape.plan.all_columns.get(field)) for field in fields]
    errors: dict[int, list[dict[str, str | None]]] = {}
    for error in failed.errors.select("index", "path", "code", "message").iter_rows(named=True):
        errors.setdefault(error.pop("index"), []).append(error)
    for place, (index, unknown) in enumerate(zip(failed.indexes, unknown_in(failed, shape), strict=True)):
        given = {name: column[place] for name, column in zip(names, columns, strict=True) if column[place] is not ...}
        yield {
            **nested({**unknown, **given}, shape.plan.by_names),
            returned.ROW: index,
            returned.ERRORS: errors.get(index, []),
        }


def unknown_in(failed: Failed, shape: Shape) -> Iterator[dict[str, Any]]:
    """What each row gave that has no cell; its errors have kept it."""
    known = shape.plan.names
    intake = failed.cells[INTAKE_ERRORS] if INTAKE_ERRORS in failed.cells.columns else [None] * failed.indexes.len()
    for text in intake:
        found = errors_from_json(text) if text else []
        gave = {one.path: one.data for one in found if one.path and one.data}
        others = {name: data for one in found if is_of_many(one) for name, data in json.loads(one.data or "{}").items()}
        yield {
            **{path: texts.as_json(data) or data for path, data in gave.items() if path not in known},
            **{name.encode(errors="backslashreplace").decode(): value for name, value in others.items()},
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
