"""A file -> an upload and its operation, which is asked for as soon as the file's beginning is there."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import httpx
import typer

from bulkql.server.client import BulkClient, RequestFailed
from bulkql.server.commands.connection import INTERRUPTED, begun, fault, printable, screen, told
from bulkql.server.commands.progress import pieces

PIPE = "-"
#: The name of what has none.
STDIN = "stdin"
#: Bytes from which the service tells what a file of text is (docs/files.md).
BEGINNING_BYTES = 8 * 1024 * 1024
#: `extensions.reason` of a refusal for a file that has not come yet, or whose beginning does not tell enough.
TOO_EARLY = "UPLOAD_INCOMPLETE"
CANCEL = "mutation ($id: ID!) { cancelOperation(id: $id) { id } }"


@dataclass(slots=True)
class Source:
    """What is sent."""

    file: IO[bytes]
    name: str
    #: None for a pipe, whose bytes come once.
    size: int | None
    sent: int = 0

    def content_from(self, offset: int) -> Iterator[bytes]:
        """Its bytes from an offset on, with a bar."""
        if offset not in (0, BEGINNING_BYTES):
            screen.print(f"The connection was cut; {offset:,} bytes are stored.", style="dim", highlight=False)
        self.sent = offset
        for piece in pieces(self.file, self.name, self.size, offset):
            self.sent += len(piece)
            yield piece
        if self.size is None and not self.sent:
            raise nothing_in(self.name)


@dataclass(frozen=True, slots=True)
class Request:
    """The mutation that is asked for, whichever upload brings its rows."""

    mutation: str
    variables: Callable[[str], dict[str, Any]]


@contextmanager
def opened(file: str) -> Iterator[Source]:
    """A file, or a pipe; exits with 2 where there is none, or nothing in it."""
    if file == PIPE:
        yield Source(sys.stdin.buffer, STDIN, None)
        return
    try:
        with open(file, "rb") as source:  # noqa: PTH123  (a path would lose what a shell makes of <(zcat a.gz))
            told = os.fstat(source.fileno())
            size = told.st_size if stat.S_ISREG(told.st_mode) else None
            if size == 0:
                raise nothing_in(file)
            yield Source(source, name_of(file), size)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        advice = " Give one of its files." if error.errno == errno.EISDIR else ""
        raise fault(f"{printable(file) or repr(file)}: {error.strerror}.{advice}") from None


def nothing_in(name: str) -> typer.Exit:
    """A line about a file, or a pipe, without a byte, and the exit to raise."""
    return fault(f"{printable(name)} is empty: it has neither rows nor a header.")


def name_of(file: str) -> str:
    """The name of a file as a text, whatever bytes it has."""
    return os.fsencode(os.path.basename(file)).decode(errors="replace")  # noqa: PTH119


def started(client: BulkClient, source: Source, request: Request, *, begins_early: bool) -> str:
    """Upload a file, and start its operation; gives that one's id.

    What the service can know before it has the file is refused before the first byte. `begins_early`: a large file that
    is not what its options say is refused before all of it is sent.
    """
    place = client.announce(source.name, source.size)
    with given_up(client, place, source):
        check(client, request, place["id"])
        if source.size is None:
            client.put(place, source.content_from(0))
        elif begins_early and source.size > 2 * BEGINNING_BYTES:
            return begun_early(client, place, source, source.size, request)
        else:
            client.send_to(place, source.size, source.content_from)
    return start(client, request, place["id"])


def check(client: BulkClient, request: Request, upload: str) -> None:
    """Ask for the operation while its upload is empty: raises RequestFailed for anything that is wrong besides."""
    try:
        client.execute(request.mutation, **request.variables(upload))
    except RequestFailed as refused:
        if TOO_EARLY not in refused.reasons:
            raise


def start(client: BulkClient, request: Request, upload: str) -> str:
    """Ask for the operation; raises RequestFailed."""
    operation = str(begun(client, request.mutation, **request.variables(upload))["id"])
    screen.print(f"Operation {operation}", style="dim", highlight=False)
    return operation


def begun_early(client: BulkClient, place: dict[str, Any], source: Source, size: int, request: Request) -> str:
    """Start with the beginning, and send the rest; the operation is canceled where that does not go well."""
    client.send_to(place, BEGINNING_BYTES, source.content_from)
    try:
        operation = start(client, request, place["id"])
    except RequestFailed as refused:
        if TOO_EARLY not in refused.reasons:
            raise
        client.send_to(place, size, source.content_from, offset=BEGINNING_BYTES)
        return start(client, request, place["id"])
    try:
        client.send_to(place, size, source.content_from, offset=BEGINNING_BYTES)
    except BaseException as error:
        if cancel(client, operation):
            raise
        way_out = f"it waits for the rest of its file, and `bulkql cancel {operation}` ends it"
        if isinstance(error, KeyboardInterrupt):
            fault(f"Operation {operation} was accepted: {way_out}.")
        with told(client, operation, way_out):
            raise
    return operation


def cancel(client: BulkClient, operation: str) -> bool:
    """End an operation whose file will not come; whether the service did, which may be away."""
    try:
        client.execute(CANCEL, id=operation)
    except (RequestFailed, httpx.TransportError):
        return False
    fault(f"Operation {operation}, which waited for the rest, is canceled; nothing of it is written.")
    return True


@contextmanager
def given_up(client: BulkClient, place: dict[str, Any], source: Source) -> Iterator[None]:
    """Where it is not sent to its end, nobody will go on with it: it would count among the user's bytes for a day."""
    try:
        yield
    except BaseException as error:
        is_gone = client.forget(place)
        if not isinstance(error, KeyboardInterrupt):
            raise
        sent = f"{source.sent:,}{'' if source.size is None else f' of {source.size:,}'} bytes"
        kept = "have been deleted" if is_gone else f"stay as upload {place['id']} until it expires"
        text = f"Interrupted: {sent} of {printable(source.name)} were sent, and {kept}."
        raise fault(f"{text} No rows were written. The same command starts over.", INTERRUPTED) from None
