"""`bulkql import`: a file, or what comes through a pipe, -> an operation, watched to its end."""

from __future__ import annotations

from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bulkql.server.client import BulkClient
from bulkql.server.commands.connection import INTERRUPTED, Data, Token, Url, connected, fault, output, told
from bulkql.server.commands.options import (
    SPELLINGS,
    check_names,
    check_together,
    column_of,
    enum_value,
    json_of,
    moment_of,
    names_in,
)
from bulkql.server.commands.progress import follow
from bulkql.server.commands.sending import Request, Source, opened, started
from bulkql.server.commands.storing import check_place
from bulkql.server.commands.summary import beside, conclude, ending_of

MUTATION = """
mutation Import($input: Bulk{verb}Input!, $options: BulkOptions) {{
  operation: bulk{verb}(input: $input, options: $options) {{ id state }}
}}
"""
RESOURCES = "{ bulkResources { name typeName operations } }"
FIELDS = "query Fields($name: String!) { __type(name: $name) { enumValues { name } } }"


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


ROWS, READING = "Which rows", "How the file is read"


def import_file(
    file: Annotated[str, typer.Argument(help="CSV, NDJSON, Parquet or a workbook, also as .gz and .zst; - is a pipe.")],
    resource: Annotated[str, typer.Option(help="The resource to write to, such as financialTransactions.")],
    operation: Annotated[Verb, typer.Option(help="What to do with the rows.")] = Verb.CREATE,
    match_by: Annotated[
        str | None, typer.Option(help="The fields by which rows are found: financial_account,datetime.", metavar="A,B")
    ] = None,
    update_fields: Annotated[
        str | None, typer.Option(help="The fields that upsert and sync change in existing rows.", metavar="A,B")
    ] = None,
    on_error: Annotated[
        OnError, typer.Option(help="Skip bad rows, or write nothing at all if a row is bad.")
    ] = OnError.SKIP_ROWS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write everything and roll it back.")] = False,
    label: Annotated[str | None, typer.Option(help="A name for the operation; by default the file's.")] = None,
    chunk_size: Annotated[int | None, typer.Option(min=1, help="Rows that are written in one transaction.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same command with the same key does not write twice.")
    ] = None,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="create: leave rows that exist already as they are.")
    ] = False,
    start_at: Annotated[
        str | None, typer.Option(help="Do not start before this time: 2026-01-31T02:00:00Z.", metavar="TIME")
    ] = None,
    max_rows_per_second: Annotated[int | None, typer.Option(min=1, help="Write no more rows per second.")] = None,
    webhook_url: Annotated[
        str | None, typer.Option(help="A URL to call when the operation is over.", metavar="URL")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(help="sync: the part of the table that the file replaces, as JSON.", rich_help_panel=ROWS),
    ] = None,
    delete_missing: Annotated[
        bool,
        typer.Option("--delete-missing", help="sync: delete rows that the file does not name.", rich_help_panel=ROWS),
    ] = False,
    max_deletes: Annotated[
        int | None, typer.Option(min=0, help="sync: write nothing if more rows are missing.", rich_help_panel=ROWS)
    ] = None,
    max_delete_percent: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="sync: the same as a percentage; by default 10.", rich_help_panel=ROWS),
    ] = None,
    file_format: Annotated[
        Format | None,
        typer.Option("--format", help="By default as the name shows.", case_sensitive=False, rich_help_panel=READING),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="Read a column as another field; can be repeated.", metavar="FROM=TO", rich_help_panel=READING
        ),
    ] = None,
    unknown_columns: Annotated[
        UnknownColumns | None,
        typer.Option(help="What to do with columns that are not fields.", rich_help_panel=READING),
    ] = None,
    short_records: Annotated[
        ShortRecords | None,
        typer.Option(help="What to do with records that have too few cells.", rich_help_panel=READING),
    ] = None,
    null_values: Annotated[
        list[str] | None,
        typer.Option(help="A cell that means null, such as NA; can be repeated.", rich_help_panel=READING),
    ] = None,
    empty_cells: Annotated[
        EmptyCells | None, typer.Option(help="What an empty cell means.", rich_help_panel=READING)
    ] = None,
    trim: Annotated[
        bool, typer.Option("--trim", help="Remove blanks around texts too.", rich_help_panel=READING)
    ] = False,
    decimal: Annotated[str | None, typer.Option(help="The decimal separator: , or .", rich_help_panel=READING)] = None,
    date_format: Annotated[
        str | None, typer.Option(help="The format of dates, such as DD.MM.YYYY or %d.%m.%Y.", rich_help_panel=READING)
    ] = None,
    true_values: Annotated[
        list[str] | None, typer.Option(help="A text that means true; can be repeated.", rich_help_panel=READING)
    ] = None,
    false_values: Annotated[
        list[str] | None, typer.Option(help="A text that means false; can be repeated.", rich_help_panel=READING)
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="The separator of CSV cells.", rich_help_panel=READING)] = None,
    encoding: Annotated[
        str | None, typer.Option(help="The encoding of CSV or NDJSON, such as cp1252.", rich_help_panel=READING)
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="The sheet of a workbook to read.", rich_help_panel=READING)] = None,
    header_row: Annotated[
        int | None, typer.Option(min=1, help="The row of the sheet that has the header.", rich_help_panel=READING)
    ] = None,
    failed_rows: Annotated[
        Path | None, typer.Option(help="Where failed rows are stored; by default beside the file.", metavar="FILE")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Watch the operation to its end, or print its id and exit.")
    ] = True,
    url: Url = None,
    token: Token = None,
    data: Data = None,
) -> None:
    """Import a file. Exits with 0 if all rows are written, 1 if some failed, 2 if none is, 3 if its end is unknown."""
    reading = given(
        format=file_format and file_format.upper(),
        columns=[column_of(one) for one in columns or ()] or None,
        unknownColumns=unknown_columns and unknown_columns.upper(),
        shortRecords=short_records and short_records.upper(),
        nullValues=null_values or None,
        emptyCells=empty_cells and empty_cells.upper(),
        trim=trim,
        decimal=decimal,
        dateFormat=date_format,
        trueValues=true_values or None,
        falseValues=false_values or None,
        delimiter={"\\t": "\t"}.get(delimiter or "", delimiter),
        encoding=encoding,
        sheet=sheet,
        headerRow=header_row,
    )
    keys, changed = names_in(match_by), names_in(update_fields)
    rows = given(
        matchBy=keys and [enum_value(one) for one in keys],
        updateFields=changed and [enum_value(one) for one in changed],
        where=json_of(where, "--where"),
        deleteMissing=delete_missing,
        maxDeletes=max_deletes,
        maxDeletePercent=max_delete_percent,
    )
    pace = given(maxRowsPerSecond=max_rows_per_second, dryRun=dry_run, skipExisting=skip_existing)
    check_together(operation, [*(SPELLINGS[one] for one in (*rows, *pace)), f"--on-error {on_error}"])
    with opened(file) as source:
        options = given(
            **pace,
            mode="ASYNC",
            onError=on_error.upper().replace("-", "_"),
            label=label or source.name[:100],
            chunkSize=chunk_size,
            idempotencyKey=idempotency_key,
            startAt=moment_of(start_at, "--start-at"),
            webhookUrl=webhook_url,
        )
        sent = sent_as(file, source, resource, file_format)
        if wait:
            check_failed_rows(failed_rows, sent, resource)
        client = connected(url, token, data)
        with told(client):
            check_fields(client, check_resource(client, resource, operation), resource, keys, changed)
            request = Request(
                MUTATION.format(verb=operation.title()),
                lambda upload: {
                    "input": {resource: {**rows, "file": {**reading, "uploadId": upload}}},
                    "options": options,
                },
            )
            # With a key all bytes come first: the same ones are the same input, whichever upload brings them.
            begins_early = idempotency_key is None and file_format not in (Format.PARQUET, Format.XLSX)
            started_one = started(client, source, request, begins_early=begins_early)
    if wait:
        watched(client, started_one, sent, failed_rows)
    else:
        output.print(started_one, highlight=False)


def sent_as(file: str, source: Source, resource: str, file_format: Format | None) -> Path:
    """What failed rows are stored beside: of a pipe, which is named after the resource, here. Exits with 2."""
    if source.size is not None:
        return Path(file)
    if file_format is None:
        raise fault(f"{file} is a pipe, and has no name that shows its format; give --format: {', '.join(Format)}.")
    return Path(f"{resource}.{file_format}")


def check_failed_rows(failed_rows: Path | None, sent: Path, resource: str) -> None:
    """Whether failed rows can be stored, before anything is sent; exits with 2."""
    if failed_rows is not None and failed_rows.exists() and sent.exists() and failed_rows.samefile(sent):
        raise fault(f"{failed_rows} is the file that is sent; give --failed-rows another one.")
    check_place(failed_rows or beside(sent, resource, f"{resource}{ending_of(sent)}"), "--failed-rows")


def watched(client: BulkClient, operation_id: str, sent: Path | None = None, failed_rows: Path | None = None) -> None:
    """Draw an operation's progress and tell its end; Ctrl-C leaves it to itself."""
    again = f"`bulkql watch {operation_id}` shows it again"
    with told(client, operation_id, f"{again}, and stores its failed rows with --failed-rows FILE"):
        try:
            follow(client, operation_id)
        except KeyboardInterrupt:
            raise fault(
                f"The operation continues: {again}, `bulkql cancel {operation_id}` stops it.", INTERRUPTED
            ) from None
        try:
            conclude(client, operation_id, sent, failed_rows)
        except KeyboardInterrupt:
            raise fault(f"Operation {operation_id} is over: {again}.", INTERRUPTED) from None


def check_resource(client: BulkClient, resource: str, verb: Verb) -> str:
    """Whether the service has the resource, and the resource the verb; exits with 2. Gives the name of its type."""
    found = resource_named(client, resource)
    offered = found["operations"]
    if verb.upper() not in offered:
        raise fault(f"{resource} does not offer {verb}; it offers {', '.join(one.lower() for one in offered)}.")
    return str(found["typeName"])


def resource_named(client: BulkClient, name: str) -> dict[str, Any]:
    """What the service tells of a resource; exits with 2 where it does not have it."""
    found = {one["name"]: one for one in client.execute(RESOURCES)["bulkResources"]}
    if name not in found:
        like = get_close_matches(name, found, n=1)
        doubt = f" Did you mean {like[0]}?" if like else ""
        raise fault(f"There is no resource {name}.{doubt} The resources are {', '.join(sorted(found))}.")
    told_of: dict[str, Any] = found[name]
    return told_of


def check_fields(
    client: BulkClient, type_name: str, resource: str, keys: list[str] | None, changed: list[str] | None
) -> None:
    """Whether the resource has the fields that options name; raises BadParameter."""
    if keys is None and changed is None:
        return
    values = client.execute(FIELDS, name=f"{type_name}Field")["__type"]["enumValues"]
    known = [one["name"] for one in values]
    check_names("--match-by", keys, known, resource)
    check_names("--update-fields", changed, known, resource)


def given(**values: Any) -> dict[str, Any]:
    """The values that are given: what is left out has its default in the service."""
    # maxDeletes: 0 is given, and equal to False.
    return {name: value for name, value in values.items() if value is not None and value is not False}
