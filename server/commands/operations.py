"""`bulkql watch`, `operations`, and what is done to one: `cancel`, `pause`, `resume`, `retry`, `revert`, `apply`."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.table import Table

from bulkql.server.client import BulkClient
from bulkql.server.commands.connection import Service, begun, connected, output, screen, told
from bulkql.server.commands.imports import resource_named, watched
from bulkql.server.commands.progress import OPERATION
from bulkql.server.commands.storing import check_place
from bulkql.server.commands.summary import escaped

LIST = """
query List($filters: OperationFilter, $first: Int!) {
  operations(filters: $filters, first: $first) {
    totalCount
    edges { node {
      id kind state dryRun label createdBy createdAt total processed failed
      resources { resource }
    } }
  }
}
"""
REVERT = """
mutation Revert($id: ID!, $force: Boolean!, $dryRun: Boolean) {
  operation: revertOperation(id: $id, force: $force, options: { dryRun: $dryRun }) { id state }
}
"""
ACTION = "mutation Act($id: ID!) {{ operation: {name}(id: $id) {{ id state }} }}"

ID_WIDTH = 36


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELING = "canceling"
    CANCELED = "canceled"
    COMPLETED = "completed"
    FAILED = "failed"


class Kind(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    UPSERT = "upsert"
    DELETE = "delete"
    SYNC = "sync"
    EXPORT = "export"
    REVERT = "revert"


Id = Annotated[str, typer.Argument(help="The operation's id.")]
FailedRows = Annotated[Path | None, typer.Option(help="Where failed rows are stored.", metavar="FILE")]
Wait = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Watch the operation to its end, or print its id and exit.")
]


def watch(
    *,
    operation_id: Id,
    failed_rows: FailedRows = None,
    service: Service,
) -> None:
    """Show an operation's progress to its end, and its result; exits with 1 if some of its rows failed."""
    if failed_rows is not None:
        check_place(failed_rows, "--failed-rows")
    client = connected(service)
    with told(client):
        # Whether it is there; what goes wrong from here on leaves it there.
        client.execute(OPERATION, id=operation_id)
    watched(client, operation_id, failed_rows=failed_rows)


def operations(
    *,
    state: Annotated[
        list[State] | None, typer.Option(help="Only in this state; can be repeated.", case_sensitive=False)
    ] = None,
    kind: Annotated[
        list[Kind] | None, typer.Option(help="Only of this kind; can be repeated.", case_sensitive=False)
    ] = None,
    resource: Annotated[str | None, typer.Option(help="Only with rows of this resource.")] = None,
    label: Annotated[str | None, typer.Option(help="Only with this text in the label.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    service: Service,
) -> None:
    """List your operations, the newest first."""
    client = connected(service)
    filters: dict[str, Any] = {
        "state": [one.upper() for one in state] if state else None,
        "kind": [one.upper() for one in kind] if kind else None,
        "resource": resource,
        "labelContains": label,
    }
    with told(client):
        page = client.execute(LIST, filters=filters, first=limit)["operations"]
        if resource is not None and not page["totalCount"]:
            # A resource that the service had once may have operations all the same.
            resource_named(client, resource)
    found = [edge["node"] for edge in page["edges"]]
    output.print(table_of(found))
    if page["totalCount"] > len(found):
        output.print(f"{len(found):,} of {page['totalCount']:,}; --limit shows more.", highlight=False)


def cancel(operation_id: Id, service: Service) -> None:
    """Stop an operation at its next chunk: what is written stays."""
    act(connected(service), "cancelOperation", operation_id)


def pause(operation_id: Id, service: Service) -> None:
    """Pause an operation at its next chunk, until it is resumed."""
    act(connected(service), "pauseOperation", operation_id)


def resume(operation_id: Id, service: Service) -> None:
    """Continue a paused operation."""
    act(connected(service), "resumeOperation", operation_id)


def act(client: BulkClient, mutation: str, operation_id: str) -> None:
    """Steer an operation, and print its state."""
    with told(client):
        operation = begun(client, ACTION.format(name=mutation), id=operation_id)
    output.print(f"{operation['id']} {operation['state']}", highlight=False)


def retry(
    *,
    operation_id: Id,
    failed_rows: FailedRows = None,
    wait: Wait = True,
    service: Service,
) -> None:
    """Write the rows that an operation left failed or skipped, as a new operation."""
    begin(connected(service), ACTION.format(name="retryOperation"), operation_id, failed_rows, wait=wait)


def apply(
    *,
    operation_id: Annotated[str, typer.Argument(help="The id of a dry run.")],
    failed_rows: FailedRows = None,
    wait: Wait = True,
    service: Service,
) -> None:
    """Carry out a dry run, once and exactly as it was shown."""
    begin(connected(service), ACTION.format(name="applyOperation"), operation_id, failed_rows, wait=wait)


def revert(
    *,
    operation_id: Id,
    force: Annotated[
        bool, typer.Option("--force", help="Also undo rows that have changed since; those changes are lost.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Undo everything and roll it back.")] = False,
    failed_rows: FailedRows = None,
    wait: Wait = True,
    service: Service,
) -> None:
    """Undo what an operation wrote, as a new operation; exits with 1 if some rows are kept as they are."""
    client = connected(service)
    begin(client, REVERT, operation_id, failed_rows, wait=wait, force=force, dryRun=dry_run)


def begin(
    client: BulkClient, mutation: str, operation_id: str, failed_rows: Path | None, *, wait: bool, **variables: Any
) -> None:
    """A new operation of what another one did: watched to its end, or left."""
    if wait and failed_rows is not None:
        check_place(failed_rows, "--failed-rows")
    with told(client):
        operation = begun(client, mutation, id=operation_id, **variables)
    if not wait:
        output.print(operation["id"], highlight=False)
        return
    screen.print(f"Operation {operation['id']}", style="dim", highlight=False)
    watched(client, operation["id"], failed_rows=failed_rows)


def table_of(found: list[dict[str, Any]]) -> Table:
    """Two lines for each operation: a terminal of 80 characters has no room for one."""
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("operation", no_wrap=True, max_width=max(output.width - 44, ID_WIDTH))
    for column in ("kind", "state", "rows", "failed"):
        table.add_column(column, no_wrap=True, justify="right" if column in ("rows", "failed") else "left")
    for one in found:
        details = details_of(one, ago(one["createdAt"]))
        rows = f"{one['processed']:,}" if one["total"] in (None, one["processed"]) else shares(one)
        failed = f"{one['failed']:,}" if one["failed"] else ""
        table.add_row(f"{one['id']}\n[dim]{details}[/]", one["kind"].lower(), one["state"], rows, failed)
    return table


def details_of(one: dict[str, Any], *words: str) -> str:
    """What else there is to say of an operation: dry run, cities, cities.csv, admin."""
    names = dict.fromkeys(part["resource"] for part in one["resources"] or ())
    told = (*words, "dry run" if one["dryRun"] else "", *names, one["label"], one["createdBy"])
    return escaped(", ".join(word for word in told if word))


def shares(one: dict[str, Any]) -> str:
    return f"{one['processed']:,}/{one['total']:,}"


def ago(moment: str) -> str:
    """How long it is since then, in one unit."""
    seconds = max((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds(), 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
