"""How rows are brought, and how an operation is carried out: the inputs that are the same for all resources."""

from __future__ import annotations

from datetime import datetime

import strawberry
from strawberry.file_uploads import Upload

from bulkql.schema.enums import EmptyCells, FileFormat, Mode, OnError, ShortRecords, UnknownColumns


@strawberry.input(description="A file's column under another name.")
class ColumnMapping:
    from_: str = strawberry.field(name="from", description="What the file calls it.")
    to: str = strawberry.field(description="The resource's field.")


# A field with a default is nullable, and null is the default: GraphiQL's editor of variables underlines an object that
# leaves out a field that is not nullable, unless it has a default other than false and 0.
@strawberry.input(description="A file of rows: sent with the request (upload), or uploaded before (uploadId).")
class FileInput:
    upload: Upload | None = strawberry.field(default=None, description="The file, in a multipart request.")
    upload_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="An upload made by createUpload; one that is still coming by tus will do with 8 MiB of it.",
    )
    format: FileFormat | None = strawberry.field(
        default=None, description="By default what the file's name says, else its first bytes where these are certain."
    )
    columns: list[ColumnMapping] | None = strawberry.field(
        default=None, description="Columns whose names are not the resource's."
    )
    unknown_columns: UnknownColumns | None = strawberry.field(
        default=UnknownColumns.REJECT, description="What becomes of columns that the resource does not have."
    )
    short_records: ShortRecords | None = strawberry.field(
        default=ShortRecords.REJECT, description="What becomes of CSV records with fewer cells than the header."
    )
    null_values: list[str] | None = strawberry.field(
        default=None, description="Cells that mean null, such as NA. By default none."
    )
    empty_cells: EmptyCells | None = strawberry.field(
        default=EmptyCells.MISSING, description="What an empty cell says; a quoted empty text is a text."
    )
    trim: bool | None = strawberry.field(
        default=False,
        description="Blanks around texts and keys do not count either; around other values they never do.",
    )
    decimal: str | None = strawberry.field(
        default=None,
        description="What stands before a number's fraction: a comma or a point. Given, thousands may be separated: "
        "by blanks, apostrophes, or the other of the two. By default a point, and no thousands.",
    )
    date_format: str | None = strawberry.field(
        default=None,
        description="The order of day, month and year, such as %d.%m.%Y or DD.MM.YYYY. By default as ISO 8601 has it.",
    )
    true_values: list[str] | None = strawberry.field(
        default=None, description="Texts that mean true, in any case, such as Yes; beside true, t and 1."
    )
    false_values: list[str] | None = strawberry.field(
        default=None, description="Texts that mean false, in any case, such as No; beside false, f and 0."
    )
    delimiter: str | None = strawberry.field(
        default=None,
        description="Between the cells of CSV: one character. By default what the file says in a line such as sep=; or "
        "by its ending .tsv, else a comma.",
    )
    encoding: str | None = strawberry.field(
        default=None,
        description="Of CSV and NDJSON, such as utf-8, utf-16 or cp1252. By default what the file's byte order mark "
        "says, else utf-8.",
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
        default=OnError.SKIP_ROWS, description="What bad rows do to the others."
    )
    dry_run: bool | None = strawberry.field(
        default=False,
        description="Write everything and roll it back: the same counts and errors, and nothing changes. It is "
        "kept as a plan, for applyOperation.",
    )
    chunk_size: int | None = strawberry.field(
        default=None, description="Rows that are written in one transaction; by default as the resource says."
    )
    idempotency_key: str | None = strawberry.field(
        default=None,
        description="A second request with this key, the same input and the same options returns the first one's "
        "operation; only label and mode may differ.",
    )
    label: str | None = strawberry.field(default=None, description="A name for the operation, for people.")
    start_at: datetime | None = strawberry.field(
        default=None,
        description="Nothing of it is begun before; it is stored now, and may be canceled. Not for mode SYNC.",
    )
    max_rows_per_second: int | None = strawberry.field(
        default=None,
        description="Rows that all workers together write in a second; chunks are made to fit. Not for dry runs.",
    )
    webhook_url: str | None = strawberry.field(
        default=None,
        description="Where its end is told: a URL of a host in BULKQL_WEBHOOK_HOSTS. By default as the resources "
        "or the service say.",
    )
    skip_existing: bool | None = strawberry.field(
        default=False,
        description="For rows to create: one whose unique key the table has already is UNCHANGED, and no error.",
    )


@strawberry.input(description="How a plan is carried out. What its rows become, the plan says.")
class ApplyOptions:
    mode: Mode | None = strawberry.field(
        default=Mode.AUTO, description="Whether the mutation waits for the rows to be written."
    )
    label: str | None = strawberry.field(default=None, description="A name for the operation; by default the plan's.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="A second request with this key and the same plan returns the first one's operation."
    )
