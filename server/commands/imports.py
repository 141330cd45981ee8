"""`bulkql import`: a file, or what comes through a pipe, -> an operation, watched to its end."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bulkql.server.client import BulkClient
from bulkql.server.commands.connection import Data, Token, Url, connected, fault, output, screen, told
from bulkql.server.commands.progress import follow
from bulkql.server.commands.sending import PIPE, STDIN, started
from bulkql.server.commands.summary import conclude

MUTATION = """
mutation Import($input: Bulk{verb}Input!, $options: BulkOptions) {{
  operation: bulk{verb}(input: $input, options: $options) {skipped}{{ id state }}
}}
"""
RESOURCES = "{ bulkResources { name operations } }"


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
    resource: Annotated[str, typer.Option(help="Whose rows they are, such as financialTransactions.")],
    operation: Annotated[Verb, typer.Option(help="What is done with them.")] = Verb.CREATE,
    match_by: Annotated[
        str | None, typer.Option(help="The fields by which rows are found: financial_account,datetime.", metavar="A,B")
    ] = None,
    update_fields: Annotated[
        str | None, typer.Option(help="What upsert and sync change in rows that are there.", metavar="A,B")
    ] = None,
    on_error: Annotated[
        OnError, typer.Option(help="What bad rows do to the others: nothing, or nothing at all is written.")
    ] = OnError.SKIP_ROWS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write everything and roll it back.")] = False,
    label: Annotated[str | None, typer.Option(help="A name for the operation; by default the file's.")] = None,
    chunk_size: Annotated[int | None, typer.Option(min=1, help="Rows that are written in one transaction.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same command with the same key does not write twice.")
    ] = None,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="create: rows that the table has already are unchanged, no errors.")
    ] = False,
    start_at: Annotated[
        str | None, typer.Option(help="Begin not before: 2026-01-31T02:00:00Z.", metavar="TIME")
    ] = None,
    max_rows_per_second: Annotated[int | None, typer.Option(min=1, help="Be kind to others.")] = None,
    webhook_url: Annotated[str | None, typer.Option(help="Where its end is told.", metavar="URL")] = None,
    where: Annotated[
        str | None, typer.Option(help="sync: the part of the table to make equal, as JSON.", rich_help_panel=ROWS)
    ] = None,
    delete_missing: Annotated[
        bool,
        typer.Option("--delete-missing", help="sync: delete rows that the file does not name.", rich_help_panel=ROWS),
    ] = False,
    max_deletes: Annotated[
        int | None, typer.Option(help="sync: write nothing if more rows are missing.", rich_help_panel=ROWS)
    ] = None,
    max_delete_percent: Annotated[
        float | None, typer.Option(help="sync: the same in percent; 10 unless said.", rich_help_panel=ROWS)
    ] = None,
    file_format: Annotated[
        Format | None, typer.Option("--format", help="By default as the name says.", rich_help_panel=READING)
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="A column under another name; several times.", metavar="FROM=TO", rich_help_panel=READING
        ),
    ] = None,
    unknown_columns: Annotated[
        UnknownColumns | None, typer.Option(help="Columns that are no fields.", rich_help_panel=READING)
    ] = None,
    short_records: Annotated[
        ShortRecords | None, typer.Option(help="Records with too few cells.", rich_help_panel=READING)
    ] = None,
    null_values: Annotated[
        list[str] | None,
        typer.Option(help="A cell that means null, such as NA; several times.", rich_help_panel=READING),
    ] = None,
    empty_cells: Annotated[EmptyCells | None, typer.Option(help="Empty cells.", rich_help_panel=READING)] = None,
    trim: Annotated[
        bool, typer.Option("--trim", help="Leave out blanks around texts too.", rich_help_panel=READING)
    ] = False,
    decimal: Annotated[
        str | None, typer.Option(help="The sign before a number's fraction: , or .", rich_help_panel=READING)
    ] = None,
    date_format: Annotated[
        str | None, typer.Option(help="Such as DD.MM.YYYY or %d.%m.%Y.", rich_help_panel=READING)
    ] = None,
    true_values: Annotated[
        list[str] | None, typer.Option(help="A text that means true; several times.", rich_help_panel=READING)
    ] = None,
    false_values: Annotated[
        list[str] | None, typer.Option(help="A text that means false; several times.", rich_help_panel=READING)
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="Between cells of CSV.", rich_help_panel=READING)] = None,
    encoding: Annotated[str | None, typer.Option(help="Such as cp1252.", rich_help_panel=READING)] = None,
    sheet: Annotated[str | None, typer.Option(help="A workbook's sheet.", rich_help_panel=READING)] = None,
    header_row: Annotated[
        int | None, typer.Option(min=1, help="The sheet's row that has the header.", rich_help_panel=READING)
    ] = None,
    failed_rows: Annotated[
        Path | None, typer.Option(help="Where failed rows are stored; by default beside the file.", metavar="FILE")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Watch it to its end, or print its id and leave.")
    ] = True,
    url: Url = None,
    token: Token = None,
    data: Data = None,
) -> None:
    """Import a file: 0 where all rows are written, 1 where some failed, 2 where the service refused."""
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
    rows = given(
        matchBy=fields_of(match_by),
        updateFields=fields_of(update_fields),
        where=json_of(where, "--where"),
        deleteMissing=delete_missing,
        maxDeletes=max_deletes,
        maxDeletePercent=max_delete_percent,
    )
    options = given(
        mode="ASYNC",
        onError=on_error.upper().replace("-", "_"),
        dryRun=dry_run,
        label=label or (STDIN if file == PIPE else Path(file).name)[:100],
        chunkSize=chunk_size,
        idempotencyKey=idempotency_key,
        skipExisting=skip_existing,
        startAt=start_at,
        maxRowsPerSecond=max_rows_per_second,
        webhookUrl=webhook_url,
    )
    client = connected(url, token, data)
    with told(client):
        check_resource(client, resource, operation)
        # All of it is checked before gigabytes are sent: the mutation itself is skipped.
        mutate(client, operation, {resource: {**rows, "file": {**reading, "uploadId": "later"}}}, options, skip=True)

        def start(upload: str) -> str:
            return mutate(client, operation, {resource: {**rows, "file": {**reading, "uploadId": upload}}}, options)

        # With a key all bytes come first: the same ones are the same input, whichever upload brings them.
        begins_early = idempotency_key is None and file_format not in (Format.PARQUET, Format.XLSX)
        started_one = started(client, file, start, begins_early=begins_early)
        if not wait:
            output.print(started_one, highlight=False)
            return
        # What came through a pipe is named after the resource.
        sent = Path(f"{resource}.{file_format or Format.CSV}") if file == PIPE else Path(file)
        watched(client, started_one, sent, failed_rows)


def watched(client: BulkClient, operation_id: str, sent: Path | None = None, failed_rows: Path | None = None) -> None:
    """Draw an operation's progress and tell its end; Ctrl-C leaves it to itself."""
    try:
        follow(client, operation_id)
    except KeyboardInterrupt:
        text = f"It goes on: `bulkql watch {operation_id}` shows it again, `bulkql cancel {operation_id}` stops it."
        raise fault(text, 130) from None
    conclude(client, operation_id, sent, failed_rows)


def check_resource(client: BulkClient, resource: str, verb: Verb) -> None:
    """Whether the service has the resource, and the resource the verb; exits with 2."""
    offered = offered_verbs(client, resource)
    if verb.upper() not in offered:
        raise fault(f"{resource} does not offer {verb}; it offers {', '.join(one.lower() for one in offered)}.")


def offered_verbs(client: BulkClient, resource: str) -> list[str]:
    """What a resource offers; exits with 2 where the service does not have it."""
    offered = {one["name"]: one["operations"] for one in client.execute(RESOURCES)["bulkResources"]}
    if resource not in offered:
        like = get_close_matches(resource, offered, n=1)
        doubt = f" Did you mean {like[0]}?" if like else ""
        raise fault(f"There is no resource {resource}.{doubt} There are {', '.join(sorted(offered))}.")
    verbs: list[str] = offered[resource]
    return verbs


def mutate(client: BulkClient, verb: Verb, rows: dict[str, Any], options: dict[str, Any], *, skip: bool = False) -> str:
    """The id of the operation; with `skip` the service looks at the variables alone."""
    text = MUTATION.format(verb=verb.title(), skipped="@skip(if: true) " if skip else "")
    answer = client.execute(text, input=rows, options=options)
    if skip:
        return ""
    operation_id = str(answer["operation"]["id"])
    screen.print(f"Operation {operation_id}", style="dim", highlight=False)
    return operation_id


def given(**values: Any) -> dict[str, Any]:
    """The values that are given: what is left out has its default in the service."""
    # maxDeletes: 0 is given, and equal to False.
    return {name: value for name, value in values.items() if value is not None and value is not False}


def fields_of(names: str | None) -> list[str] | None:
    """financial_account,datetime -> [FINANCIAL_ACCOUNT, DATETIME]; camelCase is taken too."""
    found = names_in(names)
    return found and [re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper() for name in found]


def names_in(names: str | None) -> list[str] | None:
    """a,b -> [a, b]."""
    return None if names is None else [name.strip() for name in names.split(",") if name.strip()]


def column_of(mapping: str) -> dict[str, str]:
    """Betrag=amount -> {from: Betrag, to: amount}."""
    source, equals, target = mapping.rpartition("=")
    if not equals or not source or not target:
        raise typer.BadParameter(f"{mapping!r} is not FROM=TO, such as Betrag=amount.", param_hint="--map")
    return {"from": source, "to": target}


def json_of(text: str | None, option: str) -> Any:
    """An option that is JSON, and None where it is left out; raises BadParameter."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"This is not JSON: {error}.", param_hint=option) from None
    if not isinstance(found, dict | list):
        # A null or a false would be taken for an option that is left out.
        raise typer.BadParameter(f"{text} is neither an object nor a list.", param_hint=option)
    return found
