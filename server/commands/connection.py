"""--url, --token and --data, or the environment -> a client of the service; and what is said where that fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from websockets.exceptions import WebSocketException

from bulkql.server import stack
from bulkql.server.client import BulkClient, RequestFailed

#: Characters of a line that no terminal breaks.
PIPE_WIDTH = 200
#: What a program may read, or a log.
output = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
#: What people watch meanwhile.
screen = Console(stderr=True)

#: The service did not do what it was asked, and nothing has changed.
REFUSED = 2
#: Where `bulkql up` keeps its data, unless it is told otherwise.
HERE = Path(".bulkql")

Url = Annotated[
    str | None, typer.Option(envvar="BULKQL_URL", help="Where the service is, such as https://bulk.example.org.")
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
    typer.Option(help="The data directory of a service on this machine, which is asked as its superuser admin."),
]


def connected(url: str | None, token: str | None, data: Path | None) -> BulkClient:
    """A client of the service that is named, or else of the one that runs in this directory."""
    if data is None and url is None and (HERE / stack.STATE).exists():
        data = HERE
    if data is not None:
        # What the environment says of another service is not for this one.
        url = url_of(data)
        check_runs(url, data)
        token = token_of_admin(data)
    if url is None:
        raise fault("Say where the service is: BULKQL_URL, --url, or --data for one that `bulkql up` runs here.")
    if token is None and sys.stdin.isatty():
        token = typer.prompt(f"Token for {url}", hide_input=True, err=True)
    if token is None:
        raise fault("Set BULKQL_TOKEN to a bearer token; `bulkql token USER` prints one where the service runs.")
    return BulkClient(url.rstrip("/").removesuffix("/graphql"), token.strip())


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
        raise fault(f"The service in {data} does not run; start it with `bulkql up --data {data}`.") from None
    except httpx.TransportError:
        return  # it is busy: whatever is asked of it next says so


def token_of_admin(data: Path) -> str:
    """A token for the superuser, made with the secret of the data directory; it is good for an hour."""
    os.environ.update(stack.state_of(data))
    os.environ["DJANGO_SETTINGS_MODULE"] = stack.settings_module()
    import django

    django.setup()
    from bulkql.server.auth import token_for
    from bulkql.server.preparation import admin

    return token_for(admin(), days=1 / 24)


def fault(message: str, code: int = REFUSED) -> typer.Exit:
    """A line for people, and the exit to raise."""
    screen.print(message, style="red", highlight=False, markup=False, soft_wrap=True)
    return typer.Exit(code)


@contextmanager
def told(client: BulkClient) -> Iterator[None]:
    """Refusals and outages as a line each, and exit status 2."""
    try:
        yield
    except RequestFailed as refused:
        for error in refused.errors:
            told_error(error)
        raise typer.Exit(REFUSED) from None
    except (httpx.TransportError, httpx.InvalidURL, WebSocketException, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise fault(f"{error.filename}: {error.strerror}.") from None
        raise fault(f"{client.url} cannot be reached: {error or type(error).__name__}.") from None


def told_error(error: dict[str, object]) -> None:
    """A request-level error: its code, its message, and where more is said of it."""
    extensions = error.get("extensions")
    details = extensions if isinstance(extensions, dict) else {}
    code = f"{details['code']}: " if "code" in details else ""
    fault(f"{code}{error.get('message')}")
    if "documentation" in details:
        screen.print(f"  {details['documentation']}", style="dim", highlight=False, markup=False, soft_wrap=True)
