"""One input of an export -> what is to be read, and written into which file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl
from django.db.models import QuerySet

from bulkql.workers.exports.fields import ExportField, fields_for
from bulkql.workers.exports.orm import frames_of_rows
from bulkql.workers.exports.postgres import CopyQuery, may_be_blank
from bulkql.workers.exports.rows import may_stand_for_more, rows_to_export
from bulkql.workers.intake.requests import FileCompression
from bulkql.workers.models import Input
from bulkql.workers.readers.options import FileFormat
from bulkql.workers.readers.returned import are_blank
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.resources.wheres import thawed

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(kw_only=True)
class Job:
    """The export of one resource."""

    stored: Input
    user: User | None
    alias: str
    fields: list[ExportField]
    rows: QuerySet[Any]
    #: Known when the rows have been counted.
    total: int | None = None
    #: Whether some text may be a formula, and some row have only cells that say nothing, as far as counting tells.
    has_formulas: bool = True
    has_blanks: bool = True
    #: Rows that have been read into the file.
    exported: int = 0

    @property
    def format(self) -> FileFormat:
        return FileFormat(self.stored.export.format)

    @property
    def compression(self) -> FileCompression:
        return FileCompression(self.stored.export.compression)

    @cached_property
    def copied(self) -> CopyQuery | None:
        """The query for COPY, where its way is open."""
        return CopyQuery.of(self.alias, self.fields, self.rows, self.user)

    @cached_property
    def hiding(self) -> frozenset[int]:
        """The places of columns whose nulls are not to be sent back as such."""
        return frozenset(
            place
            for place, one in enumerate(self.fields)
            # A null of JSON is the database's or JSON's own; rows are sent with that of the database alone.
            if one.column.as_json or may_stand_for_more(one, self.user)
        )

    def count(self) -> None:
        """Count the rows, and look whether they have what files need to know first."""
        if self.copied is None:
            self.total = self.rows.order_by().count()
        else:
            self.total, self.has_formulas, self.has_blanks = self.copied.examined()

    def look_for_blanks(self) -> None:
        """Read the rows until one has only cells that say nothing, unless it is known that none has."""
        if self.copied is None:
            frames = self._frames() if may_be_blank(self.fields) else ()
            self.has_blanks = any(frame.select(are_blank().any()).item() for frame in frames)

    def frames(self) -> Iterator[pl.DataFrame]:
        """The rows as frames of texts, with columns called 0, 1, ...; null is null."""
        for frame in self._frames():
            self.exported += frame.height
            yield frame

    def _frames(self) -> Iterator[pl.DataFrame]:
        if self.copied is None:
            yield from frames_of_rows(self.alias, self.fields, self.rows, self.user)
            return
        names = [str(place) for place in range(len(self.fields) + 1)]
        for block, _ in self.copied.blocks(mark=True):
            yield pl.read_csv(block, has_header=False, new_columns=names, infer_schema=False).drop(names[-1])


def job_of(stored: Input) -> Job:
    """The job of an input, with its user's rights and scope as they are now; raises BadInput, Forbidden."""
    resource, user = resource_named(stored.resource), stored.operation.created_by
    where = None if stored.scope is None else thawed(resource.model, stored.scope)
    return Job(
        stored=stored,
        user=user,
        alias=resource.database,
        fields=fields_for(resource, stored.export.fields, user),
        rows=rows_to_export(resource, where, user),
    )
