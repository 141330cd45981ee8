"""A peer -> its processes, started, and a function that has them write rows."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.environment import ROOT, Environment, environment
from bench.rows import Rows
from bench.service import Service
from bulkql.server.embedded import free_port

#: Seconds for a server to answer.
START_SECONDS = 60
#: Seconds between two questions whether a task is done.
ASK_SECONDS = 0.05
#: A peer that takes longer is not waited for.
PATIENCE_SECONDS = 900

#: A verb and its rows, written and committed.
Write = Callable[[str, Rows], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A way to write many rows that people use."""

    name: str
    title: str
    packages: tuple[str, ...]
    #: Starts it in its environment; gives the function that has it write rows.
    start: Callable[[Peer, Environment, Service], Any]
    #: Its name and its packages -> its environment; raises NotInstalled.
    install: Callable[..., Environment] = environment


class PeerFailed(Exception):
    """A peer did not do what it was asked to; the message says what it said."""


@contextmanager
def in_process(peer: Peer, environment: Environment, service: Service) -> Iterator[Write]:
    """A process that reads files itself; its start is free."""
    command = [environment.command("python"), "-m", f"bench.peers.served.{peer.name}"]
    process = subprocess.Popen(
        command,
        env=variables(peer, service),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def expect(answer: str) -> None:
        assert process.stdout is not None
        if process.stdout.readline().strip() != answer:
            raise PeerFailed(last_line(process.communicate()[1]))

    def write(verb: str, rows: Rows) -> None:
        assert process.stdin is not None
        process.stdin.write(f"{verb} {rows.path}\n")
        process.stdin.flush()
        expect("done")

    try:
        expect("ready")
        yield write
    finally:
        process.kill()
        process.wait()


def last_line(text: str) -> str:
    """Of a traceback: what was wrong, without the places of this machine."""
    return text.strip().rpartition("\n")[2][:500]


@contextmanager
def rest(peer: Peer, environment: Environment, service: Service) -> Iterator[Write]:
    """Rows as JSON over HTTP; the answer comes when all is committed."""
    with web(peer, environment, service) as client:

        def write(verb: str, rows: Rows) -> None:
            method = {"create": "POST", "upsert": "PATCH"}[verb]
            expect_ok(client.request(method, "/transactions/", json=rows.frame().to_dicts()))

        yield write


@contextmanager
def queued(peer: Peer, environment: Environment, service: Service) -> Iterator[Write]:
    """Rows as JSON over HTTP; a Celery task writes them, and is asked about until it is done."""
    worker = [
        *(environment.command("python"), "-m", "celery", "-A", "bench.peers.served.celery_app", "worker"),
        *("--concurrency", "2", "--loglevel", "error"),
    ]
    with web(peer, environment, service) as client, running(peer, service, worker):

        def write(verb: str, rows: Rows) -> None:
            method = {"create": "POST", "upsert": "PATCH"}[verb]
            query = {"unique_fields": "financial_account,datetime"} if verb == "upsert" else {}
            answer = client.request(method, "/transactions/bulk/", json=rows.frame().to_dicts(), params=query)
            # django-drf-extensions takes every PATCH for a synchronous one, and answers with the rows.
            if isinstance(task := expect_ok(answer), dict):
                wait_for_task(client, task["task_id"])

        yield write


def wait_for_task(client: httpx.Client, task: str) -> None:
    """Until the task has ended without errors; raises PeerFailed."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        status = expect_ok(client.get(f"/status/{task}/"))
        if status["state"] == "SUCCESS":
            if errors := status["result"]["errors"]:
                raise PeerFailed(f"{len(errors)} rows failed, the first with {errors[0]['error']}")
            return
        if status["state"] == "FAILURE":
            raise PeerFailed(f"The task failed: {status['error']}")
        time.sleep(ASK_SECONDS)  # it can only be asked
    raise PeerFailed(f"The task was not done after {PATIENCE_SECONDS} s.")


@contextmanager
def graphql(peer: Peer, environment: Environment, service: Service) -> Iterator[Write]:
    """Rows as a variable of a mutation."""
    with web(peer, environment, service) as client:

        def write(verb: str, rows: Rows) -> None:
            post(client, f"mutation ($rows: [Row!]!) {{ {verb}(rows: $rows) }}", rows.as_json())

        yield write


def post(client: httpx.Client, query: str, rows: list[dict[str, Any]]) -> None:
    """A mutation with rows as its variable; raises PeerFailed."""
    answer = expect_ok(client.post("/graphql", json={"query": query, "variables": {"rows": rows}}))
    if answer.get("errors"):
        raise PeerFailed(answer["errors"][0]["message"])


@contextmanager
def web(peer: Peer, environment: Environment, service: Service) -> Iterator[httpx.Client]:
    """gunicorn with two workers, one for each core, and a client."""
    port = free_port()
    command = [
        *(environment.command("python"), "-m", "gunicorn", "bench.peers.served.wsgi", "--bind", f"127.0.0.1:{port}"),
        *("--workers", "2", "--timeout", str(PATIENCE_SECONDS), "--log-level", "error"),
    ]
    with answering(peer, service, command, port) as client:
        yield client


@contextmanager
def answering(peer: Peer, service: Service, command: list[str], port: int) -> Iterator[httpx.Client]:
    """A server on a port of loopback, and a client once it answers."""
    with (
        running(peer, service, command) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS) as client,
    ):
        wait_until_up(client, process)
        yield client


@contextmanager
def running(peer: Peer, service: Service, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program, until the block ends."""
    with ExitStack() as stack:
        log = stack.enter_context(log_of(peer).open("ab"))
        process = subprocess.Popen(command, env=variables(peer, service), cwd=ROOT, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def wait_until_up(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    """Until the server answers anything; raises PeerFailed."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client.get("/")
        except httpx.TransportError:
            time.sleep(ASK_SECONDS)  # it cannot call back
        else:
            return
    raise PeerFailed("Its server does not answer.")


def expect_ok(answer: httpx.Response) -> Any:
    """The answer's JSON; raises PeerFailed with the beginning of any other."""
    if answer.is_error:
        raise PeerFailed(f"HTTP {answer.status_code}: {answer.text[:500]}")
    return answer.json()


def variables(peer: Peer, service: Service) -> dict[str, str]:
    """The environment variables of a peer's processes."""
    return {
        **{name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SECRET_KEY")},
        "PEER": peer.name,
        "DATABASE_URL": service.database_url,
        "REDIS_URL": service.redis_url,
        "DJANGO_SETTINGS_MODULE": "bench.peers.served.settings",
        "NODE_ENV": "production",
    }


def log_of(peer: Peer) -> Path:
    """Where its servers write."""
    return ROOT / ".bench" / f"{peer.name}.log"
