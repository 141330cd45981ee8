"""`bulkql top`: the operations that are not over, live."""

from __future__ import annotations

import time
from typing import Annotated, Any

import httpx
import typer
from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bulkql.server.client import BulkClient, RequestFailed
from bulkql.server.commands.connection import Service, connected, output, told
from bulkql.server.commands.operations import ID_WIDTH, details_of, shares
from bulkql.server.commands.progress import is_outage

UNFINISHED = """
query Top($states: [OperationState!], $first: Int!) {
  operations(filters: { state: $states }, first: $first) {
    totalCount
    edges { node {
      id kind state dryRun label createdBy total processed failed percentage rowsPerSecond etaSeconds message
      resources { resource }
    } }
  }
}
"""
STATES = ["QUEUED", "RUNNING", "PAUSED", "CANCELING"]
#: Operations that are shown where no screen bounds them, and the lines of a screen that have none.
MOST, OTHER_LINES = 30, 6


def top(
    *,
    seconds: Annotated[float, typer.Option(min=0.2, help="Seconds between two updates.")] = 1,
    once: Annotated[bool, typer.Option("--once", help="Print what runs now, and exit.")] = False,
    service: Service,
) -> None:
    """Show the operations that are not over, until Ctrl-C."""
    client = connected(service)
    with told(client):
        if once or not output.is_terminal:
            output.print(looked(client))
            return
        try:
            with Live(looked(client), console=output, screen=True, auto_refresh=False) as live:
                while True:
                    time.sleep(seconds)
                    live.update(seen(client), refresh=True)
        except KeyboardInterrupt:
            return


def seen(client: BulkClient) -> RenderableType:
    """The same; a service that is away is waited for."""
    try:
        return looked(client)
    except (httpx.TransportError, RequestFailed) as error:
        if not is_outage(error):
            raise
        return Text(f"{client.url} does not answer; looking again.", style="red")


def looked(client: BulkClient) -> RenderableType:
    """One look: a line for each operation that runs or waits."""
    room = (output.height - OTHER_LINES) // 2 if output.is_terminal else MOST
    page = client.execute(UNFINISHED, states=STATES, first=max(room, 1))["operations"]
    found = [edge["node"] for edge in page["edges"]]
    speed = sum(one["rowsPerSecond"] or 0 for one in found)
    what = "operation is" if page["totalCount"] == 1 else "operations are"
    head = Text(f"{page['totalCount']:,} {what} not over, {speed:,.0f} rows/s", style="bold")
    if not found:
        return head
    more = page["totalCount"] - len(found)
    return Group(head, table_of(found), *([Text(f"and {more:,} more")] if more else []))


def table_of(found: list[dict[str, Any]]) -> Table:
    """Two lines for each operation: a terminal of 80 characters has no room for one."""
    table = Table(box=SIMPLE, padding=0, pad_edge=False)
    table.add_column("operation", no_wrap=True, min_width=ID_WIDTH, max_width=max(output.width - 44, ID_WIDTH))
    table.add_column("state\nfailed", no_wrap=True)
    table.add_column("progress\nrows", no_wrap=True)
    table.add_column("rows/s\nleft", no_wrap=True, justify="right")
    for one in found:
        bar = ProgressBar(total=one["total"] or 1, completed=one["processed"] if one["total"] else 0, width=20)
        rows = f"{one['processed']:,}" if one["total"] is None else shares(one)
        failed = f"{one['failed']:,}" if one["failed"] else ""
        speed = f"{one['rowsPerSecond']:,.0f}" if one["rowsPerSecond"] else ""
        left = f"{one['etaSeconds']:,.0f} s" if one["etaSeconds"] is not None else ""
        table.add_row(
            f"{one['id']}\n[dim]{details_of(one, one['kind'].lower())}[/]",
            f"{one['state']}\n{failed}",
            # The bar does not end its line.
            Group(bar, Text(f"\n{rows}")),
            f"{speed}\n{left}",
        )
    return table
