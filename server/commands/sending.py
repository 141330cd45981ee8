"""A file -> an upload and its operation, which is asked for as soon as the file's beginning is there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bulkql.server.client import BulkClient, RequestFailed
from bulkql.server.commands.connection import screen
from bulkql.server.commands.progress import pieces

PIPE = "-"
#: The name of what has none.
STDIN = "stdin"
#: Bytes from which the service tells what a file of text is (docs/files.md).
BEGINNING_BYTES = 8 * 1024 * 1024
#: `extensions.reason` of a refusal for a file whose beginning does not tell enough, as one with very long rows.
TOO_EARLY = "UPLOAD_INCOMPLETE"
#: How names of such files end.
TEXTS = (".csv", ".tsv", ".ndjson", ".jsonl", ".json")
CANCEL = "mutation ($id: ID!) { cancelOperation(id: $id) { id } }"


def started(client: BulkClient, file: str, start: Callable[[str], str], *, begins_early: bool) -> str:
    """Upload a file, or what comes through the pipe, and `start` an operation with the upload; gives what that gives.

    `begins_early`: a large file that is not what its options say is refused before all of it is sent.
    """
    if file == PIPE:
        return start(client.send(STDIN, pieces(sys.stdin.buffer, STDIN)))
    path = Path(file)
    size = path.stat().st_size
    is_large = size > 2 * BEGINNING_BYTES and path.name.lower().endswith(TEXTS)
    with path.open("rb") as source:

        def content_from(offset: int) -> Iterator[bytes]:
            if offset not in (0, BEGINNING_BYTES):
                screen.print(f"The connection was cut; {offset:,} bytes are stored.", style="dim", highlight=False)
            return pieces(source, path.name, size, offset)

        place = client.announce(path.name, size)
        send = partial(client.send_to, place, content_from=content_from)
        try:
            if begins_early and is_large:
                return begun_early(client, place["id"], size, send, start)
            send(size)
        except BaseException:
            # What nobody will go on with would count among the user's bytes for a day.
            client.forget(place)
            raise
        return start(place["id"])


def begun_early(client: BulkClient, upload: str, size: int, send: Any, start: Callable[[str], str]) -> str:
    """Start with the beginning, and send the rest; the operation is canceled where that does not go well."""
    send(BEGINNING_BYTES)
    try:
        operation = start(upload)
    except RequestFailed as refused:
        if TOO_EARLY not in refused.reasons:
            raise
        send(size, offset=BEGINNING_BYTES)
        return start(upload)
    try:
        send(size, offset=BEGINNING_BYTES)
    except BaseException:
        client.execute(CANCEL, id=operation)
        raise
    return operation
