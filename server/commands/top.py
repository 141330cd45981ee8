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
from bulkql.server.commands.connection import Data, Token, Url, connected, output, told
from bulkql.server.commands.operations import shares
from bulkql.server.commands.progress import is_outage
from bulkql.server.commands.summary import escaped

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
#: A screen's.
LINES = 30


def top(
    seconds: Annotated[float, typer.Option(min=0.2, help="Between two looks.")] = 1,
    once: Annotated[bool, typer.Option("--once", help="Print what runs now, and leave.")] = False,
    url: Url = None,
    token: Token = None,
    data: Data = None,
) -> None:
    """Show the operations that are not over, until Ctrl-C."""
    client = connected(url, token, data)
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
    page = client.execute(UNFINISHED, states=STATES, first=LINES)["operations"]
    found = [edge["node"] for edge in page["edges"]]
    speed = sum(one["rowsPerSecond"] or 0 for one in found)
    head = Text(f"{page['totalCount']:,} operations are not over, {speed:,.0f} rows/s", style="bold")
    if not found:
        return head
    more = page["totalCount"] - len(found)
    return Group(head, table_of(found), *([Text(f"and {more:,} more")] if more else []))


def table_of(found: list[dict[str, Any]]) -> Table:
    table = Table(box=SIMPLE, pad_edge=False)
    for column in ("operation", "kind", "state", "resources", "label", "by"):
        table.add_column(column, no_wrap=True)
    table.add_column("progress", min_width=20)
    for column in ("rows", "rows/s", "left", "failed"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in found:
        names = ", ".join(dict.fromkeys(part["resource"] for part in one["resources"] or ()))
        bar = ProgressBar(total=one["total"] or 1, completed=one["processed"] if one["total"] else 0, width=20)
        table.add_row(
            one["id"][:8],
            f"{one['kind'].lower()}{' (dry run)' if one['dryRun'] else ''}",
            one["state"],
            names,
            escaped(one["label"] or ""),
            escaped(one["createdBy"] or ""),
            bar,
            f"{one['processed']:,}" if one["total"] is None else shares(one),
            f"{one['rowsPerSecond']:,.0f}" if one["rowsPerSecond"] else "",
            f"{one['etaSeconds']:,.0f} s" if one["etaSeconds"] is not None else "",
            f"{one['failed']:,}" if one["failed"] else "",
        )
    return table
