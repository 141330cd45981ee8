"""How rows are brought, and how an operation is carried out: the inputs that are the same for all resources.

And whether a field of any input is given.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import strawberry
from strawberry.file_uploads import Upload

from bulkql.schema.enums import EmptyCells, FileFormat, Mode, OnError, ShortRecords, UnknownColumns


def is_given(value: Any) -> bool:
    """Whether a field of an input has a value: it is neither left out nor null."""
    return value is not None and value is not strawberry.UNSET


@strawberry.input(description="A file's column under another name.")
class ColumnMapping:
    from_: str = strawberry.field(name="from", description="What the file calls it.")
    to: str = strawberry.field(description="The resource's field.")


# A field with a default is nullable, and null is the default: GraphiQL's editor of variables underlines an object that
# leaves out a field that is not nullable, unless it has a default other than false and 0.
@strawberry.input(description="A file of rows: sent with the request (upload), or uploaded before it (uploadId).")
class FileInput:
    upload: Upload | None = strawberry.field(default=None, description="The file, in a multipart request.")
    upload_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="An upload made by createUpload. One that is still arriving by tus can be used once 8 MiB of it "
        "are stored.",
    )
    format: FileFormat | None = strawberry.field(
        default=None,
        description="By default determined by the file's name, or by its first bytes if they are unambiguous.",
    )
    columns: list[ColumnMapping] | None = strawberry.field(
        default=None, description="Columns whose names differ from those of the resource's fields."
    )
    unknown_columns: UnknownColumns | None = strawberry.field(
        default=UnknownColumns.REJECT, description="What to do with columns that the resource does not have."
    )
    short_records: ShortRecords | None = strawberry.field(
        default=ShortRecords.REJECT, description="What to do with CSV records that have fewer cells than the header."
    )
    null_values: list[str] | None = strawberry.field(
        default=None, description="Cells that mean null, such as NA. By default none."
    )
    empty_cells: EmptyCells | None = strawberry.field(
        default=EmptyCells.MISSING, description="What an empty cell means; a quoted empty text is an empty text."
    )
    trim: bool | None = strawberry.field(
        default=False,
        description="Ignore blanks around texts and keys too; around other values they are always ignored.",
    )
    decimal: str | None = strawberry.field(
        default=None,
        description="The decimal sign of numbers: a comma or a point. If it is given, thousands may be separated by "
        "blanks, apostrophes, or the other sign. By default a point, without thousands separators.",
    )
    date_format: str | None = strawberry.field(
        default=None,
        description="The order of day, month and year, such as %d.%m.%Y or DD.MM.YYYY. By default ISO 8601.",
    )
    true_values: list[str] | None = strawberry.field(
        default=None, description="Texts that mean true, in any case, such as Yes; in addition to true, t and 1."
    )
    false_values: list[str] | None = strawberry.field(
        default=None, description="Texts that mean false, in any case, such as No; in addition to false, f and 0."
    )
    delimiter: str | None = strawberry.field(
        default=None,
        description="The character between the cells of CSV. By default as the file says in a line such as sep=; or by "
        "its ending .tsv, otherwise a comma.",
    )
    encoding: str | None = strawberry.field(
        default=None,
        description="The encoding of CSV and NDJSON, such as utf-8, utf-16 or cp1252. By default as the file's byte "
        "order mark says, otherwise utf-8.",
    )
    sheet: str | None = strawberry.field(
        default=None, description="The name of a workbook's sheet; by default the first that is not hidden."
    )
    header_row: int | None = strawberry.field(
        default=None,
        description="The row of a sheet that has the header, from 1; by default the first that has values.",
    )


@strawberry.input(description="How an operation is carried out.")
class BulkOptions:
    mode: Mode | None = strawberry.field(
        default=Mode.AUTO, description="Whether the mutation waits for its rows to be written."
    )
    on_error: OnError | None = strawberry.field(
        default=OnError.SKIP_ROWS, description="What happens to the other rows if some are bad."
    )
    dry_run: bool | None = strawberry.field(
        default=False,
        description="Write everything and roll it back: the counts and errors are the same, and nothing changes. "
        "The dry run is kept as a plan, for applyOperation.",
    )
    chunk_size: int | None = strawberry.field(
        default=None, description="Rows per transaction; by default determined by the resource."
    )
    idempotency_key: str | None = strawberry.field(
        default=None,
        description="A second request with this key, the same input and the same options returns the first one's "
        "operation; only label and mode may differ.",
    )
    label: str | None = strawberry.field(default=None, description="A name for the operation, for human readers.")
    start_at: datetime | None = strawberry.field(
        default=None,
        description="Do nothing before this time; the operation is stored now, and may be canceled. Not with mode "
        "SYNC.",
    )
    max_rows_per_second: int | None = strawberry.field(
        default=None,
        description="Most rows that all workers together write per second; chunks are sized to fit. Not with dryRun "
        "or onError: REJECT_ALL.",
    )
    webhook_url: str | None = strawberry.field(
        default=None,
        description="The URL that is notified of its end; its host must be in BULKQL_WEBHOOK_HOSTS. By default that "
        "of the resources or the service.",
    )
    skip_existing: bool | None = strawberry.field(
        default=False,
        description="For rows to create: a row whose unique key is already in the table is UNCHANGED instead of an "
        "error.",
    )


@strawberry.input(description="How a plan is carried out. The plan itself says what becomes of its rows.")
class ApplyOptions:
    mode: Mode | None = strawberry.field(
        default=Mode.AUTO, description="Whether the mutation waits for the rows to be written."
    )
    label: str | None = strawberry.field(default=None, description="A name for the operation; by default the plan's.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="A second request with this key and the same plan returns the first one's operation."
    )
