"""The command `bulkql`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from importlib.metadata import version
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bulkql.server import embedded, stack
from bulkql.server.commands import exports, imports, operations, top
from bulkql.server.commands.connection import INTERRUPTED, LEFT, OF_FILES, Service, Token, Url, fault, forsake, said
from bulkql.server.commands.doctor import examine
from bulkql.server.commands.environment import load, set_up, told_plainly
from bulkql.server.commands.schema import sdl_of_service


class Commands(TyperGroup):
    """All commands, each of which ends with 130 by Ctrl-C, whatever it did just then."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            # --help is printed before any command is invoked, and typer prints the help itself.
            if error.errno not in OF_FILES or error.filename is not None:
                raise
            forsake(sys.stdout)
            sys.exit(fault(f"The output cannot be written: {error.strerror}.", LEFT).exit_code)

    def invoke(self, ctx: Any) -> Any:
        end_as_by_ctrl_c()
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, typer.Abort):
            raise fault("Interrupted.", INTERRUPTED) from None


app = typer.Typer(
    cls=Commands,
    help="A GraphQL bulk mutation API for Django.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"bulkql {version('bulkql')}")
        raise typer.Exit


@app.callback()
def with_every_command(
    is_version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=print_version, is_eager=True)
    ] = False,
) -> None:
    """The options that need no command."""


def flattened(command: Callable[..., None]) -> Callable[..., None]:
    """A command as Typer takes it: each field of a parameter that is a dataclass is an option of its own."""
    parameters = signature(command, eval_str=True).parameters.values()
    groups: dict[str, Any] = {one.name: one.annotation for one in parameters if is_dataclass(one.annotation)}

    @wraps(command)
    def with_groups(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{option.name: values.pop(option.name) for option in fields(group)})
        command(**values)

    options: list[Parameter] = []
    for one in parameters:
        options += signature(groups[one.name], eval_str=True).parameters.values() if one.name in groups else [one]
    options = [option.replace(kind=Parameter.KEYWORD_ONLY) for option in options]
    with_groups.__signature__ = Signature(options)  # type: ignore[attr-defined]
    with_groups.__annotations__ = {option.name: option.annotation for option in options}
    return with_groups


Data = Annotated[Path, typer.Option(help="Where the service on this machine keeps its data.")]

DataOfAService = Annotated[Path | None, typer.Option(help="The data directory of a service on this machine.")]


@app.command()
def up(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port on loopback; 0 takes a free one.")] = 8000,
    data: Data = Path(".bulkql"),
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 2,
    apps: Annotated[
        list[str] | None, typer.Option("--app", help="A Django app with a bulk.py; can be repeated.")
    ] = None,
) -> None:
    """Run everything on this machine until Ctrl-C."""
    # An orchestrator's stop is a Ctrl-C too: whatever has been started until then is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    port = port or embedded.free_port()
    with stack.running(data, port=port, workers=workers, apps=apps or []) as service:
        os.environ.update(service.environment)
        typer.echo(f"bulkql is up at {service.url}; its logs are in {service.data / 'log'}.")
        for line in welcome(service.url, data):
            typer.echo(line)
        typer.echo("Ctrl-C stops it.")
        sys.stdout.flush()
        wait_for_stop()
        typer.echo("Stopping.")


def ask_checks() -> None:
    """Raises SystemCheckError, as a message: in the processes a wrong registration is a traceback, again and again."""
    from django.core.management.base import BaseCommand

    BaseCommand().check(tags=["bulkql"])


def become(command: list[str]) -> None:
    """Run a command in place of this process."""
    os.execvpe(command[0], command, {**stack.SURROUNDINGS, **os.environ})  # noqa: S606


@app.command()
@told_plainly()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "0.0.0.0",  # noqa: S104  (a container's)
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
) -> None:
    """Run the web tier against DATABASE_URL and REDIS_URL."""
    set_up(None)
    ask_checks()
    become(stack.web_command(host, port, stack.drain_seconds()))


@app.command()
@told_plainly()
def work(
    processes: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 2,
) -> None:
    """Run the workers against DATABASE_URL and REDIS_URL."""
    # Without a secret they would start, and fail at the first row that is sealed with it.
    set_up(None)
    ask_checks()
    become(stack.worker_command(processes, stack.drain_seconds()))


@app.command()
@told_plainly()
def token(
    user: Annotated[str, typer.Argument(help="The user's name.")],
    data: DataOfAService = None,
    days: Annotated[
        float | None, typer.Option(min=0, help="Days for which it is good; by default BULKQL_TOKEN_DAYS.")
    ] = None,
) -> None:
    """Print a bearer token."""
    set_up(data)
    from bulkql.server.auth import token_for

    typer.echo(token_for(find_user(user), days))


@app.command(name="sign-in")
@told_plainly()
def sign_in(
    user: Annotated[str, typer.Argument(help="The user's name.")] = "admin",
    data: DataOfAService = None,
    url: Annotated[
        str | None, typer.Option(help="Where the service is; by default, as its data directory says.")
    ] = None,
) -> None:
    """Print a link that signs a browser in, once and for ten minutes (BULKQL_SIGN_IN_SECONDS)."""
    url = url or (stack.state_of(data)["url"] if data is not None else "http://localhost:8000")
    set_up(data)
    for line in sign_in_lines(url, find_user(user)):
        typer.echo(line)


app.command("import")(flattened(imports.import_file))
for client_command in (
    *(operations.watch, operations.operations, operations.cancel, operations.pause, operations.resume),
    *(operations.retry, operations.revert, operations.apply, exports.export, top.top),
):
    app.command()(flattened(client_command))


@app.command()
@told_plainly()
def schema(url: Url = None, token: Token = None, data: DataOfAService = None) -> None:
    """Print the SDL of a service, or without --url, BULKQL_URL and --data that of the apps in BULKQL_APPS."""
    if url is not None or data is not None:
        typer.echo(sdl_of_service(Service(url, token, data)))
        return
    os.environ.setdefault("SECRET_KEY", "none is needed to print a schema")
    set_up(None)
    from bulkql.schema.schema import schema as build

    typer.echo(build().as_str())


@app.command()
@told_plainly()
def check(
    deploy: Annotated[
        bool, typer.Option("--deploy", help="Whether the settings are safe for production, too.")
    ] = False,
) -> None:
    """Check settings and registrations, and print how each resource is written; exits with 1 if something is wrong."""
    set_up(None)
    from django.core.management import execute_from_command_line

    from bulkql.workers.resources.lane_checks import lane_lines

    execute_from_command_line(["bulkql", "check", *(["--deploy", "--fail-level", "WARNING"] if deploy else [])])
    for line in lane_lines():
        typer.echo(line)


@app.command()
@told_plainly()
def doctor(url: Url = None, data: DataOfAService = None) -> None:
    """Examine a deployment from where it runs, and say what to do; exits with 1 if something is wrong."""
    if data is not None:
        # What the environment says of another service is not for this one.
        url = said(url, "BULKQL_URL") or stack.state_of(data)["url"]
    examine(load, data, url)


@app.command()
@told_plainly()
def migrate() -> None:
    """Bring the database's tables up to date."""
    set_up(None)
    from django.core.management import call_command

    # What it migrates is asked whether it is PostgreSQL.
    call_command("migrate", skip_checks=False)


@app.command()
@told_plainly()
def purge() -> None:
    """Delete operations and uploads that are past BULKQL_RETENTION_DAYS; the workers do it every hour."""
    set_up(None)
    from bulkql.workers.errors import counted
    from bulkql.workers.ledger.retention import purge as perform

    operations, uploads = perform()
    typer.echo(f"Deleted {counted(operations, 'operation')} and {counted(uploads, 'upload')}.")


@app.command(hidden=True)
def demo() -> None:
    """The main job on real input, as `make demo` runs it."""
    from bulkql.server.demo import story

    story.run()


def end_as_by_ctrl_c() -> None:
    """Let an orchestrator's stop, or a terminal that is closed, do what Ctrl-C does: what was begun is put in order."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # nohup ignores the last. The first is set again, for polars sets its own, which wakes nobody who waits.
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, signal.default_int_handler)


def wait_for_stop() -> None:
    """Until Ctrl-C. The handlers are set here, for polars sets its own when it is imported."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    stopping.wait()


def find_user(name: str) -> Any:
    """A user by name; exits where there is none."""
    from django.contrib.auth import get_user_model

    users = get_user_model()._default_manager
    found = users.filter(**{get_user_model().USERNAME_FIELD: name}).first()
    if found is None:
        raise SystemExit(f"There is no user {name}; create one in the admin, or with `django-admin createsuperuser`.")
    return found


def welcome(url: str, data: Path) -> list[str]:
    """How to sign in as the superuser admin, or what to do where the project's user model does not allow for one."""
    set_up(None)
    from bulkql.server.preparation import AdminNotCreated, admin

    try:
        user = admin()
    except AdminNotCreated as missing:
        return [f"{missing} Its DATABASE_URL is in {data / stack.STATE}."]
    return [*sign_in_lines(url, user), f"For scripts: bulkql token admin --data {data}"]


def sign_in_lines(url: str, user: Any) -> list[str]:
    """A link that signs a browser in; none where the project's URLs have no /sign-in."""
    from django.urls import Resolver404, resolve

    from bulkql.server.authority.links import sign_in_query

    try:
        resolve("/sign-in")
    except Resolver404:
        return []
    return [f"Sign in a browser: {url}/sign-in{sign_in_query(user)}"]
