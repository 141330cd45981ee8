"""Bytes on their way, and an operation's events -> a line that moves."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

import httpx
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from websockets.exceptions import WebSocketException

from bulkql.server.client import PIECE_BYTES, TOTALS, BulkClient, RequestFailed
from bulkql.server.commands.connection import printable, screen
from bulkql.server.commands.options import as_typed

OPERATION = f"query Watch($id: ID!) {{ operation(id: $id) {{ {TOTALS} }} }}"
FINAL = ("COMPLETED", "CANCELED", "FAILED")
#: Seconds between two questions, where the websocket cannot be used.
POLL_SECONDS = 1
#: Seconds for which a service may be away meanwhile: one that is restarted is back by then.
AWAY_SECONDS = 120


def pieces(file: IO[bytes], name: str, size: int | None = None, offset: int = 0) -> Iterator[bytes]:
    """A file's bytes from an offset on, and a bar that tells how many of them are on their way."""
    if size is not None:
        file.seek(offset)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen) as bar:
        task = bar.add_task(f"Sending {printable(name)}", total=size, completed=offset)
        while piece := file.read(PIECE_BYTES):
            # Whoever has all bytes of a file does not ask for more: the bar would stay where it is.
            bar.advance(task, len(piece))
            yield piece
        # Of a pipe it is known now.
        bar.update(task, total=bar.tasks[0].completed)


def follow(client: BulkClient, operation_id: str) -> dict[str, Any]:
    """Draw an operation's progress until it is over; gives its last event. Raises RequestFailed."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    told = events(client, operation_id)
    # Nothing is drawn of an operation that is not there.
    event = next(told)
    heard = heard_of(event, "")
    with Progress(*columns, console=screen) as bar:
        task = bar.add_task(line_of(event), total=event["total"], completed=event["processed"])
        for event in told:
            heard = heard_of(event, heard)
            bar.update(task, description=line_of(event), completed=event["processed"], total=event["total"])
    return event


def heard_of(event: dict[str, Any], heard: str) -> str:
    """What an operation waits for, printed once however long it waits; its end is told by others."""
    message = event["message"] or ""
    if message and event["state"] not in FINAL and without_numbers(message) != without_numbers(heard):
        screen.print(printable(as_typed(message)), style="dim", highlight=False, markup=False, soft_wrap=True)
    return message or heard


def without_numbers(message: str) -> str:
    """The same text for a lock that is held for 42 s, and for 43 s."""
    return re.sub(r"\d+", "", message)


def line_of(event: dict[str, Any]) -> str:
    """The state, the speed, and what is wrong so far."""
    speed = f"{event['rowsPerSecond']:,.0f} rows/s" if event["rowsPerSecond"] else ""
    return f"{event['state']:<9} {speed:>14}  {event['failed']:,} failed"


def events(client: BulkClient, operation_id: str) -> Iterator[dict[str, Any]]:
    """What the service tells of an operation, to the last: pushed, or asked for where no websocket gets through."""
    with suppress(WebSocketException, OSError, TimeoutError):
        for event in client.watch(operation_id):
            yield event
            if event["state"] in FINAL:
                return
    yield from polled(client, operation_id)


def polled(client: BulkClient, operation_id: str) -> Iterator[dict[str, Any]]:
    """The same by a query a second. The operation goes on without us: a service that is away is waited for."""
    deadline = time.monotonic() + AWAY_SECONDS
    while True:
        try:
            event = client.execute(OPERATION, id=operation_id)["operation"]
        except (httpx.TransportError, RequestFailed) as error:
            if not is_outage(error) or time.monotonic() > deadline:
                raise
        else:
            deadline = time.monotonic() + AWAY_SECONDS
            yield event
            if event["state"] in FINAL:
                return
        time.sleep(POLL_SECONDS)


def is_outage(error: Exception) -> bool:
    """Whether it may be otherwise in a moment."""
    if not isinstance(error, RequestFailed):
        return True
    codes = [(one.get("extensions") or {}).get("code") for one in error.errors]
    return all(code in (None, "UNAVAILABLE") for code in codes)
