"""The options of `bulkql import` in groups -> the parts of the mutation's variables that they are.

Each group is a dataclass whose fields Typer takes for options (cli.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from bulkql.server.commands.options import column_of, enum_value, given, json_of, moment_of, names_in

ROWS, READING = "Which rows", "How the file is read"


class Verb(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    UPSERT = "upsert"
    DELETE = "delete"
    SYNC = "sync"


class OnError(StrEnum):
    SKIP_ROWS = "skip-rows"
    REJECT_ALL = "reject-all"


class Format(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    XLSX = "xlsx"


class UnknownColumns(StrEnum):
    REJECT = "reject"
    IGNORE = "ignore"


class ShortRecords(StrEnum):
    REJECT = "reject"
    FILL = "fill"


class EmptyCells(StrEnum):
    MISSING = "missing"
    NULL = "null"


@dataclass(frozen=True, slots=True)
class Writing:
    """How rows are written."""

    match_by: Annotated[
        str | None, typer.Option(help="The fields by which rows are found: financial_account,datetime.", metavar="A,B")
    ] = None
    update_fields: Annotated[
        str | None, typer.Option(help="The fields that upsert and sync change in existing rows.", metavar="A,B")
    ] = None
    on_error: Annotated[OnError, typer.Option(help="Skip bad rows, or write nothing at all if a row is bad.")] = (
        OnError.SKIP_ROWS
    )
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write everything and roll it back.")] = False
    label: Annotated[str | None, typer.Option(help="A name for the operation; by default the file's.")] = None
    chunk_size: Annotated[int | None, typer.Option(min=1, help="Rows that are written in one transaction.")] = None
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same command with the same key does not write twice.")
    ] = None
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="create: leave rows that exist already as they are.")
    ] = False
    start_at: Annotated[
        str | None, typer.Option(help="Do not start before this time: 2026-01-31T02:00:00Z.", metavar="TIME")
    ] = None
    max_rows_per_second: Annotated[int | None, typer.Option(min=1, help="Write no more rows per second.")] = None
    webhook_url: Annotated[
        str | None, typer.Option(help="A URL to call when the operation is over.", metavar="URL")
    ] = None

    @property
    def keys(self) -> list[str] | None:
        """The names in --match-by, as they are typed."""
        return names_in(self.match_by)

    @property
    def changed(self) -> list[str] | None:
        """The names in --update-fields, as they are typed."""
        return names_in(self.update_fields)

    def rows(self) -> dict[str, Any]:
        """What the resource's input says besides the file."""
        keys, changed = self.keys, self.changed
        return given(
            matchBy=keys and [enum_value(one) for one in keys],
            updateFields=changed and [enum_value(one) for one in changed],
        )

    def pace(self) -> dict[str, Any]:
        """Those of BulkOptions that do not go with every other one."""
        return given(maxRowsPerSecond=self.max_rows_per_second, dryRun=self.dry_run, skipExisting=self.skip_existing)

    def options(self, name: str) -> dict[str, Any]:
        """BulkOptions of an import from a file of this name; raises BadParameter."""
        return given(
            **self.pace(),
            mode="ASYNC",
            onError=self.on_error.upper().replace("-", "_"),
            label=self.label or name[:100],
            chunkSize=self.chunk_size,
            idempotencyKey=self.idempotency_key,
            startAt=moment_of(self.start_at, "--start-at"),
            webhookUrl=self.webhook_url,
        )


@dataclass(frozen=True, slots=True)
class Syncing:
    """What sync compares the file with, and what it may delete."""

    where: Annotated[
        str | None,
        typer.Option(help="sync: the part of the table that the file replaces, as JSON.", rich_help_panel=ROWS),
    ] = None
    delete_missing: Annotated[
        bool,
        typer.Option("--delete-missing", help="sync: delete rows that the file does not name.", rich_help_panel=ROWS),
    ] = False
    max_deletes: Annotated[
        int | None, typer.Option(min=0, help="sync: write nothing if more rows are missing.", rich_help_panel=ROWS)
    ] = None
    max_delete_percent: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="sync: the same as a percentage; by default 10.", rich_help_panel=ROWS),
    ] = None

    def rows(self) -> dict[str, Any]:
        """What the resource's input says besides the file; raises BadParameter."""
        return given(
            where=json_of(self.where, "--where"),
            deleteMissing=self.delete_missing,
            maxDeletes=self.max_deletes,
            maxDeletePercent=self.max_delete_percent,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """How the file is read."""

    file_format: Annotated[
        Format | None,
        typer.Option("--format", help="By default as the name shows.", case_sensitive=False, rich_help_panel=READING),
    ] = None
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="Read a column as another field; can be repeated.", metavar="FROM=TO", rich_help_panel=READING
        ),
    ] = None
    unknown_columns: Annotated[
        UnknownColumns | None,
        typer.Option(help="What to do with columns that are not fields.", rich_help_panel=READING),
    ] = None
    short_records: Annotated[
        ShortRecords | None,
        typer.Option(help="What to do with records that have too few cells.", rich_help_panel=READING),
    ] = None
    null_values: Annotated[
        list[str] | None,
        typer.Option(help="A cell that means null, such as NA; can be repeated.", rich_help_panel=READING),
    ] = None
    empty_cells: Annotated[
        EmptyCells | None, typer.Option(help="What an empty cell means.", rich_help_panel=READING)
    ] = None
    trim: Annotated[bool, typer.Option("--trim", help="Remove blanks around texts too.", rich_help_panel=READING)] = (
        False
    )
    decimal: Annotated[str | None, typer.Option(help="The decimal separator: , or .", rich_help_panel=READING)] = None
    date_format: Annotated[
        str | None, typer.Option(help="The format of dates, such as DD.MM.YYYY or %d.%m.%Y.", rich_help_panel=READING)
    ] = None
    true_values: Annotated[
        list[str] | None, typer.Option(help="A text that means true; can be repeated.", rich_help_panel=READING)
    ] = None
    false_values: Annotated[
        list[str] | None, typer.Option(help="A text that means false; can be repeated.", rich_help_panel=READING)
    ] = None
    delimiter: Annotated[str | None, typer.Option(help="The separator of CSV cells.", rich_help_panel=READING)] = None
    encoding: Annotated[
        str | None, typer.Option(help="The encoding of CSV or NDJSON, such as cp1252.", rich_help_panel=READING)
    ] = None
    sheet: Annotated[str | None, typer.Option(help="The sheet of a workbook to read.", rich_help_panel=READING)] = None
    header_row: Annotated[
        int | None, typer.Option(min=1, help="The row of the sheet that has the header.", rich_help_panel=READING)
    ] = None

    def file(self) -> dict[str, Any]:
        """The file of the resource's input, but for its upload; raises BadParameter."""
        return given(
            format=self.file_format and self.file_format.upper(),
            columns=[column_of(one) for one in self.columns or ()] or None,
            unknownColumns=self.unknown_columns and self.unknown_columns.upper(),
            shortRecords=self.short_records and self.short_records.upper(),
            nullValues=self.null_values or None,
            emptyCells=self.empty_cells and self.empty_cells.upper(),
            trim=self.trim,
            decimal=self.decimal,
            dateFormat=self.date_format,
            trueValues=self.true_values or None,
            falseValues=self.false_values or None,
            delimiter={"\\t": "\t"}.get(self.delimiter or "", self.delimiter),
            encoding=self.encoding,
            sheet=self.sheet,
            headerRow=self.header_row,
        )
