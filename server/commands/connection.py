"""--url, --token and --data, or the environment -> a client of the service; and what is said where that fails."""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TextIO
from urllib.parse import urlsplit

import httpx
import typer
from rich.console import Console
from websockets.exceptions import WebSocketException

from bulkql.server import stack
from bulkql.server.client import BulkClient, GatewayFailed, RequestFailed
from bulkql.server.commands.options import as_typed

#: Characters of a line that no terminal breaks.
PIPE_WIDTH = 200
#: Characters that a table needs for an operation's id and what is told of it. A narrower terminal breaks the lines.
NARROWEST = 80


def complete_streams() -> None:
    """Put something in the place of standard streams that are closed (>&-), and let what is printed be printable.

    The next file that is opened would be taken for such a stream. A standard output that was closed takes nothing.
    """
    for name, flags, mode in (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode))
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A locale that is not UTF-8 has no place for most names.
        sys.stdout.reconfigure(errors="backslashreplace")


complete_streams()


class Output(Console):
    """The standard output. Where it takes nothing more, what the command did is not told, which is no success."""

    def _write_buffer(self) -> None:
        try:
            super()._write_buffer()
        except BrokenPipeError:
            # Whoever read it has seen enough.
            forsake(sys.stdout)
            raise typer.Exit(LEFT) from None
        except OSError as error:
            forsake(sys.stdout)
            raise fault(f"The output cannot be written: {error.strerror}.", LEFT) from None


class Screen(Console):
    """What people watch meanwhile: where nobody can, the command goes on."""

    def _write_buffer(self) -> None:
        try:
            super()._write_buffer()
        except OSError:
            forsake(sys.stderr)


def forsake(stream: TextIO) -> None:
    """Let nothing more of a stream go out: Python would try once more at its end, and complain."""
    # A stream of a program that runs the command within itself is no file.
    with open(os.devnull, "w") as nothing, suppress(io.UnsupportedOperation):  # noqa: PTH123
        os.dup2(nothing.fileno(), stream.fileno())


def width_of(stream: TextIO) -> int | None:
    """Characters of a line; None for those of the terminal."""
    if not stream.isatty():
        return PIPE_WIDTH
    return NARROWEST if shutil.get_terminal_size().columns < NARROWEST else None


#: What a program may read, or a log.
output = Output(width=width_of(sys.stdout))
screen = Screen(stderr=True)

#: The service did not do what it was asked, and nothing has changed.
REFUSED = 2
#: There is an operation, whose end, rows or file did not get here.
LEFT = 3
#: Ctrl-C, as shells tell it.
INTERRUPTED = 130
#: What a file says that is written, and no connection.
OF_FILES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EBADF)
#: Where `bulkql up` keeps its data, unless it is told otherwise.
HERE = Path(".bulkql")

Url = Annotated[
    str | None, typer.Option(envvar="BULKQL_URL", help="The URL of the service, such as https://bulk.example.org.")
]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="BULKQL_TOKEN",
        help="A bearer token. Other users of this machine can read it on a command line; set the variable instead.",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(help="The data directory of a service on this machine, used as its superuser admin."),
]


@dataclass(frozen=True, slots=True)
class Service:
    """Where the service is, and who speaks to it: options of every command that does (cli.py)."""

    url: Url = None
    token: Token = None
    data: Data = None


def connected(service: Service) -> BulkClient:
    """A client of the service that is named, or else of the one that runs in this directory; exits with 2."""
    url, token, data = service.url, service.token, service.data
    if data is not None and said(url, "BULKQL_URL"):
        raise fault(f"--url {url} and --data {data} both say where the service is; leave one of the two out.")
    if data is None and url is None and is_here():
        data = HERE
    if data is not None:
        # What the environment says of another service is not for this one.
        url = url_of(data)
        check_runs(url, data)
        token = said(token, "BULKQL_TOKEN") or token_of_admin(data)
    if not url:
        raise fault("Say where the service is: BULKQL_URL, --url, or --data for one that `bulkql up` runs here.")
    if not token and sys.stdin.isatty():
        token = typer.prompt(f"Token for {url}", hide_input=True, err=True)
    if not token:
        raise fault("Set BULKQL_TOKEN to a bearer token; `bulkql token USER` prints one where the service runs.")
    if not is_url(url):
        raise fault(
            f"{url} is not the URL of a service; set BULKQL_URL or --url to one such as https://bulk.example.org."
        )
    if not re.fullmatch(r"[!-~]+", token.strip()):
        raise fault("BULKQL_TOKEN or --token is not a token; `bulkql token USER` prints one where the service runs.")
    return BulkClient(url.rstrip("/").removesuffix("/graphql"), token.strip())


def said(value: str | None, variable: str) -> str | None:
    """An option that stands on the command line; None where only the environment says it."""
    return None if value == os.environ.get(variable) else value


def is_here() -> bool:
    """Whether a service has its data in this directory; one that belongs to another user is there too."""
    try:
        return (HERE / stack.STATE).exists()
    except PermissionError:
        return True


def is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def url_of(data: Path) -> str:
    """Where the service of a data directory is, or was; exits with 2."""
    try:
        return stack.state_of(data)["url"]
    except SystemExit as missing:
        raise fault(str(missing)) from None


def check_runs(url: str, data: Path) -> None:
    """Whether the service of a data directory runs now; exits with 2."""
    try:
        httpx.get(url, timeout=10)
    except httpx.ConnectError:
        raise fault(f"The service in {data} is not running; start it with `bulkql up --data {data}`.") from None
    except httpx.TransportError:
        return  # it is busy: whatever is asked of it next says so


def token_of_admin(data: Path) -> str:
    """A token for the superuser, made with the secret of the data directory."""
    os.environ.update(stack.state_of(data))
    os.environ["DJANGO_SETTINGS_MODULE"] = stack.settings_module()
    import django

    django.setup()
    from bulkql.server.auth import token_for
    from bulkql.server.preparation import admin

    # A file of many gigabytes is sent and watched for hours.
    return token_for(admin())


def printable(text: str) -> str:
    """A text of somebody's as it is, but for what moves a terminal's cursor."""
    return "".join(one if one.isprintable() else "?" for one in text)


def fault(message: str, code: int = REFUSED) -> typer.Exit:
    """A line for people, and the exit to raise."""
    screen.print(message, style="red", highlight=False, markup=False, soft_wrap=True)
    return typer.Exit(code)


@contextmanager
def told(client: BulkClient, operation_id: str | None = None, then: str = "") -> Iterator[None]:
    """Refusals and outages as a line each, and exit status 2.

    With an operation, which is there all the same, it is 3, and `then` is what one can do about it.
    """
    try:
        yield
    except RequestFailed as refused:
        for error in refused.errors:
            told_error(error)
    except (httpx.TransportError, httpx.InvalidURL, WebSocketException, OSError) as error:
        if isinstance(error, BrokenPipeError):
            # Whoever read it has seen enough.
            forsake(sys.stdout)
            raise typer.Exit(LEFT) from None
        fault(reason_of(error, client.url))
    else:
        return
    if operation_id is None:
        raise typer.Exit(REFUSED)
    raise fault(f"Operation {operation_id} was accepted all the same: {then}.", LEFT)


def reason_of(error: Exception, url: str) -> str:
    """What was in the way, a file or the network, as a line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    if isinstance(error, OSError) and error.errno in OF_FILES:
        return f"Not everything could be written: {error.strerror}."
    return f"{url} cannot be reached: {str(error).rstrip('.') or type(error).__name__}."


def begun(client: BulkClient, mutation: str, **variables: Any) -> dict[str, Any]:
    """The operation that a mutation begins or steers. Where no answer comes nobody knows whether it did: exits with 3.

    Raises RequestFailed, and httpx.ConnectError for what never got there.
    """
    text = "was asked, and no answer came; `bulkql operations` shows whether it did anything"
    try:
        operation: dict[str, Any] = client.execute(mutation, **variables)["operation"]
    except (httpx.ConnectError, httpx.ConnectTimeout):
        raise
    except (httpx.TransportError, GatewayFailed) as error:
        raise fault(f"{client.url} {text} ({str(error).rstrip('.') or type(error).__name__}).", LEFT) from None
    except KeyboardInterrupt:
        raise fault(f"{client.url} {text}.", INTERRUPTED) from None
    return operation


def told_error(error: dict[str, object]) -> None:
    """A request-level error: its code, its message, and where more is said of it."""
    extensions = error.get("extensions")
    details = extensions if isinstance(extensions, dict) else {}
    code = f"{details['code']}: " if "code" in details else ""
    fault(f"{code}{as_typed(str(error.get('message')))}")
    if "documentation" in details:
        screen.print(f"  {details['documentation']}", style="dim", highlight=False, markup=False, soft_wrap=True)
