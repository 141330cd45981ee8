"""The peers: what each needs, how it is started, and how it is asked to write rows."""

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

from bench.environment import ROOT, Environment
from bench.rows import Rows
from bench.service import Service
from server.embedded import free_port

#: Seconds for a server to answer.
START_SECONDS = 60
#: Seconds between two questions whether a task is done.
ASK_SECONDS = 0.05
#: A peer that takes longer is not waited for.
PATIENCE_SECONDS = 900

#: A verb and its rows, written and committed.
Write = Callable[[str, Rows], None]

DJANGO = ("django==5.2.19", "dj-database-url==3.1.2", "psycopg[binary]==3.3.9")
HTTP = ("gunicorn==27.0.1", "djangorestframework==3.18.3")
CELERY = ("celery[redis]==5.7.0", "django-redis==7.0.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A way to write many rows that people use."""

    name: str
    title: str
    packages: tuple[str, ...]
    #: Starts it in its environment; gives the function that has it write rows.
    start: Callable[[Peer, Environment, Service], Any]


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
        "-m",
        "celery",
        "-A",
        "bench.peers.served.celery_app",
        "worker",
        "--concurrency",
        "2",
        "--loglevel",
        "error",
    ]
    with web(peer, environment, service) as client, running(peer, environment, service, worker):

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
        time.sleep(ASK_SECONDS)
    raise PeerFailed(f"The task was not done after {PATIENCE_SECONDS} s.")


@contextmanager
def graphql(peer: Peer, environment: Environment, service: Service) -> Iterator[Write]:
    """Rows as a variable of a mutation."""
    with web(peer, environment, service) as client:

        def write(verb: str, rows: Rows) -> None:
            query = f"mutation ($rows: [Row!]!) {{ {verb}(rows: $rows) }}"
            answer = expect_ok(client.post("/graphql", json={"query": query, "variables": {"rows": rows.as_json()}}))
            if answer.get("errors"):
                raise PeerFailed(answer["errors"][0]["message"])

        yield write


@contextmanager
def web(peer: Peer, environment: Environment, service: Service) -> Iterator[httpx.Client]:
    """gunicorn with two workers, one for each core, and a client."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [
        *("-m", "gunicorn", "bench.peers.served.wsgi", "--bind", f"127.0.0.1:{port}"),
        *("--workers", "2", "--timeout", str(PATIENCE_SECONDS), "--log-level", "error"),
    ]
    with (
        running(peer, environment, service, command) as process,
        httpx.Client(base_url=url, timeout=PATIENCE_SECONDS) as client,
    ):
        wait_until_up(client, process)
        yield client


@contextmanager
def running(
    peer: Peer, environment: Environment, service: Service, arguments: list[str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A program of the environment, until the block ends."""
    with ExitStack() as stack:
        log = stack.enter_context(log_of(peer).open("ab"))
        command = [environment.command("python"), *arguments]
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
            time.sleep(ASK_SECONDS)
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
    }


def log_of(peer: Peer) -> Path:
    """Where its servers write."""
    return ROOT / ".bench" / f"{peer.name}.log"


PEERS = (
    Peer(
        name="plain_django",
        title="Django bulk_create, in-process, no validation",
        packages=DJANGO,
        start=in_process,
    ),
    Peer(
        name="bulk_drf",
        title="django-bulk-drf 0.2.91, synchronous",
        packages=(*DJANGO, *HTTP, "django-bulk-drf==0.2.91"),
        start=rest,
    ),
    Peer(
        name="import_export",
        title="django-import-export 4.4.3, use_bulk, in-process",
        packages=(*DJANGO, "django-import-export==4.4.3"),
        start=in_process,
    ),
    Peer(
        name="strawberry_by_hand",
        title="Strawberry by hand, full_clean and save",
        packages=(*DJANGO, "gunicorn==27.0.1", "strawberry-graphql==0.341.2"),
        start=graphql,
    ),
    Peer(
        name="bulk_drf_celery",
        title="django-bulk-drf 0.1.16, on Celery",
        packages=(*DJANGO, *HTTP, *CELERY, "django-bulk-drf==0.1.16"),
        start=queued,
    ),
    Peer(
        name="drf_extensions",
        title="django-drf-extensions 0.1.68, on Celery",
        packages=(*DJANGO, *HTTP, *CELERY, "django-drf-extensions==0.1.68"),
        start=queued,
    ),
)
