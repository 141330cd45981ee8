"""An operation that is over -> a table of its counts, examples of its row errors, and the file of its failed rows."""

from __future__ import annotations

import shlex
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from bulkql.server.client import BulkClient
from bulkql.server.commands.connection import output, printable
from bulkql.server.commands.options import as_typed, error_as_typed
from bulkql.server.commands.storing import fetch

COUNTS = ("created", "updated", "unchanged", "deleted", "exported", "failed", "skipped")
#: What a name says of a file's format, and of how it is packed.
ENDINGS = {
    *(".csv", ".tsv", ".txt", ".ndjson", ".jsonl", ".json", ".parquet", ".pq", ".xlsx", ".xlsm", ".ods"),
    *(".gz", ".zst"),
}
SUMMARY = f"""
query Summary($id: ID!, $first: Int!) {{
  operation(id: $id) {{
    id kind state dryRun message rowsPerSecond startedAt finishedAt failed skipped
    resources {{ resource total {" ".join(COUNTS)} }}
    cascades {{ model count }}
    reverted {{ undone changedSince impossible }}
    rowErrors(first: $first) {{
      totalCount
      edges {{ node {{ index line resource path code message data }} }}
    }}
    planUntil
    files {{ name url rows expiresAt }}
  }}
}}
"""
#: The row errors that are looked at for their kinds.
LOOKED_AT = 1_000
#: The kinds that are shown.
KINDS = 12
#: What is shown of a value.
CHARACTERS = 30


def conclude(client: BulkClient, operation_id: str, sent: Path | None = None, failed_rows: Path | None = None) -> None:
    """Tell what became of an operation; exits with 1 where it, or one of its rows, failed.

    The failed rows are written beside the file that was sent, or where `failed_rows` says.
    """
    operation = client.execute(SUMMARY, id=operation_id, first=LOOKED_AT)["operation"]
    show_counts(operation)
    show_errors(operation)
    if sent is not None or failed_rows is not None:
        for name, path, rows in fetched(client, operation, sent, failed_rows):
            text = f"{rows_of(name, rows)} {way_back(operation)}: {printable(str(path))}"
            output.print(text, highlight=False, markup=False, soft_wrap=True)
    elif operation["kind"] == "EXPORT":
        show_files(operation)
    elif failed_files(operation, ".csv"):
        text = f"`bulkql watch {operation['id']} --failed-rows FILE` stores the rows that failed."
        output.print(text, highlight=False, soft_wrap=True)
    if operation["planUntil"] is not None:
        until = told_time(operation["planUntil"])
        text = f"This is a plan: `bulkql apply {operation['id']}` carries it out, until {until}."
        output.print(text, highlight=False, soft_wrap=True)
    if operation["state"] != "COMPLETED" or operation["failed"] or operation["skipped"]:
        raise typer.Exit(1)


def rows_of(name: str, count: int) -> str:
    """1 row of cities; 1,000 rows of cities."""
    return f"{count:,} {'row' if count == 1 else 'rows'} of {name}"


def way_back(operation: dict[str, Any]) -> str:
    """What to do with failed rows: those of a sync, sent as one, would stand for all rows."""
    if operation["kind"] == "SYNC":
        return "to fix and send again, by upsert, or by sync together with all others"
    return "to fix and send again"


def show_counts(operation: dict[str, Any]) -> None:
    """A row of the table for each resource."""
    what = f"{operation['kind'].lower()}{' (dry run: nothing is written)' if operation['dryRun'] else ''}"
    title = f"{operation['state']}: {what}, operation {operation['id']}"
    shown = [name for name in COUNTS if any(one[name] for one in operation["resources"])]
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("resource")
    for column in ("rows", *shown):
        table.add_column(column, justify="right", style="red" if column == "failed" else None)
    for one in operation["resources"]:
        counts = [one["total"], *(one[name] for name in shown)]
        table.add_row(one["resource"], *("-" if count is None else f"{count:,}" for count in counts))
    output.print(title, highlight=False, markup=False, soft_wrap=True)
    if operation["message"]:
        output.print(as_typed(operation["message"]), highlight=False, markup=False, soft_wrap=True)
    output.print(table)
    for one in operation["cascades"] or ():
        output.print(f"{rows_of(one['model'], int(one['count']))} went along.", highlight=False)
    if (heaps := operation["reverted"]) is not None:
        told = f"{int(heaps['undone']):,} undone, {int(heaps['changedSince']):,} changed since and kept"
        output.print(f"{told}, {int(heaps['impossible']):,} impossible.", highlight=False)


def show_files(operation: dict[str, Any]) -> None:
    """How to fetch what an export wrote."""
    for file in operation["files"] or ():
        until = told_time(file["expiresAt"])
        output.print(f"{file['name']} can be fetched until {until}:", highlight=False, markup=False)
        place = f"{shlex.quote(file['name'])} {shlex.quote(file['url'])}"
        text = f'  curl --fail --header "Authorization: Bearer $BULKQL_TOKEN" --output {place}'
        output.print(text, highlight=False, markup=False, soft_wrap=True)


def told_time(moment: str) -> str:
    """2026-01-02 03:04 UTC."""
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def show_errors(operation: dict[str, Any]) -> None:
    """The first row error of each kind, and how many there are."""
    errors = [edge["node"] for edge in (operation["rowErrors"] or {"edges": []})["edges"]]
    if not errors:
        return
    total = operation["rowErrors"]["totalCount"]
    counts = Counter(kind_of(one) for one in errors)
    whole = "" if total <= len(errors) else f", counted in the first {len(errors):,}"
    errors_found = f"{total:,} row errors" if total != 1 else "1 row error"
    output.print(f"{errors_found}; the first of each kind{whole}:", highlight=False)
    for kind, count in counts.most_common(KINDS):
        first = next(one for one in errors if kind_of(one) == kind)
        output.print(f"[red]{count:>9,}[/]  {escaped(head_of(first))}", highlight=False, soft_wrap=True)
        output.print(f"{'':9}  [dim]{escaped(message_of(first))}[/]", highlight=False, soft_wrap=True)
    if len(counts) > KINDS:
        output.print(f"{len(counts) - KINDS:,} more kinds are in the file of failed rows.", highlight=False)


def kind_of(error: dict[str, Any]) -> tuple[str, str, str]:
    return error["resource"], error["path"] or "", error["code"]


def head_of(error: dict[str, Any]) -> str:
    """REFERENCE_NOT_FOUND financialAccountBy.name, line 109: 'Cash'."""
    place = f"row {error['index']:,}" if error["line"] is None else f"line {error['line']:,}"
    data = "" if error["data"] is None else f": {shortened(error['data'])!r}"
    return f"{error['code']} {error['path'] or error['resource']}, {place}{data}"


def message_of(error: dict[str, Any]) -> str:
    return error_as_typed(error["message"], error["path"])


def fetched(
    client: BulkClient, operation: dict[str, Any], sent: Path | None, failed_rows: Path | None
) -> list[tuple[str, Path, int]]:
    """The failed rows of each resource, stored; in the format in which they were sent, or that the file's name says."""
    found = []
    files = failed_files(operation, ending_of(failed_rows or sent))
    for name, file in files.items():
        path = failed_rows if failed_rows is not None else beside(sent, name, file["name"])
        if failed_rows is not None and len(files) > 1:
            path = path.with_name(f"{path.stem}-{name}{path.suffix}")
        found.append((name, fetch(client, file["url"], path, replaces=failed_rows is not None), int(file["rows"])))
    return found


def failed_files(operation: dict[str, Any], ending: str) -> dict[str, dict[str, Any]]:
    """The file of failed rows of each resource."""
    files = {one["name"]: one for one in operation["files"] or ()}
    wanted = {one["resource"]: f"{one['resource']}-failed{ending}" for one in operation["resources"]}
    # A workbook has no room for very many rows.
    return {
        name: files[file if file in files else f"{name}-failed.csv"]
        for name, file in wanted.items()
        if f"{name}-failed.csv" in files
    }


def ending_of(path: Path | None) -> str:
    """The format in which rows come back to whoever sent this file."""
    endings = [] if path is None else [one.lower() for one in path.suffixes]
    if {".xlsx", ".xlsm", ".ods"} & set(endings):
        return ".xlsx"
    return ".ndjson" if {".ndjson", ".jsonl", ".json", ".parquet", ".pq"} & set(endings) else ".csv"


def beside(sent: Path | None, resource: str, name: str) -> Path:
    """cities.csv.gz -> cities-failed.csv; what came through a pipe is stored here, under the resource's name."""
    if sent is None:
        return Path(name)
    stem = sent
    while stem.suffix.lower() in ENDINGS:
        stem = stem.with_suffix("")
    return sent.with_name(f"{stem.name or resource}-failed{Path(name).suffix}")


def shortened(data: str | None) -> str:
    if data is None:
        return ""
    return data if len(data) <= CHARACTERS else f"{data[: CHARACTERS - 3]}..."


def escaped(text: str) -> str:
    """A text of somebody's rows as it is: no markup, and nothing that moves a terminal's cursor."""
    return escape(printable(text))
