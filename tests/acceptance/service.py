"""A running service, as a user starts it, and what a client does with it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import redis

from bulkql.server.client import BulkClient
from bulkql.server.embedded import free_port

BULK = """
mutation ($input: Bulk{verb}Input!, $options: BulkOptions) {{
  bulk{verb}(input: $input, options: $options) {{ id state total created failed message }}
}}
"""
CREATE = BULK.format(verb="Create")
OPERATION = """
query ($id: ID!) {
  operation(id: $id) {
    id state total processed created updated unchanged deleted failed skipped message dryRun onError retryOf
    cascades { model count }
    resources { resource total processed created updated unchanged deleted failed skipped }
    rowErrors(first: 1000) { totalCount edges { node { index resource path code message data } } }
  }
}
"""
RESULTS = """
query ($id: ID!, $after: String) {
  operation(id: $id) {
    results(first: 1000, after: $after) {
      totalCount
      pageInfo { hasNextPage endCursor }
      edges { node { index resource outcome pk changes { field before after } } }
    }
  }
}
"""

#: What the tests' own servers are told; the zoo, among BULKQL_APPS, has no migrations and could not be served.
OF_THE_TESTS = ("BULKQL_APPS", "DATABASE_URL", "REDIS_URL")


@dataclass(frozen=True)
class Service:
    """`bulkql up` in a process of its own."""

    process: subprocess.Popen[str]
    state: dict[str, str]
    token: str

    @property
    def url(self) -> str:
        return self.state["url"]

    @property
    def client(self) -> BulkClient:
        return BulkClient(self.url, self.token)

    def post(self, query: str, token: str | None = None, **variables: Any) -> dict[str, Any]:
        """A GraphQL request, whatever it answers."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        answer = httpx.post(
            f"{self.url}/graphql",
            json={"query": query, "variables": variables},
            headers=headers,
            timeout=60,
            verify=False,  # there is no TLS; reading the certificates would take longer than most requests
        )
        body: dict[str, Any] = answer.json()
        return body

    def bulk(self, verb: str, options: dict[str, Any] | None = None, **inputs: Any) -> dict[str, Any]:
        """A bulk mutation's answer: bulkCreate's for Create. Asserts that there is one."""
        body = self.post(BULK.format(verb=verb), input=inputs, options=options)
        assert "errors" not in body, body["errors"]
        operation: dict[str, Any] = body["data"][f"bulk{verb}"]
        return operation

    def create(self, options: dict[str, Any] | None = None, **inputs: Any) -> dict[str, Any]:
        """A bulkCreate's answer; asserts that there is one."""
        return self.bulk("Create", options, **inputs)

    def refused(self, verb: str, options: dict[str, Any] | None = None, **inputs: Any) -> tuple[str, str]:
        """The code and the message of a bulk mutation's only error; asserts that it did nothing."""
        body = self.post(BULK.format(verb=verb), input=inputs, options=options)
        (error,) = body["errors"]
        assert body.get("data") in (None, {f"bulk{verb}": None})
        return error["extensions"]["code"], error["message"]

    def operation(self, operation_id: str) -> dict[str, Any]:
        operation: dict[str, Any] = self.post(OPERATION, id=operation_id)["data"]["operation"]
        return operation

    def finished(self, operation_id: str, seconds: float = 60) -> dict[str, Any]:
        """The operation once it is over, asked for again and again, as a script without a websocket does."""
        return wait_for(lambda: over(self.operation(operation_id)), seconds, f"operation {operation_id} to be over")

    def results(self, operation_id: str) -> list[dict[str, Any]]:
        """All pages of results."""
        found: list[dict[str, Any]] = []
        after = None
        while True:
            page = self.post(RESULTS, id=operation_id, after=after)["data"]["operation"]["results"]
            found += [edge["node"] for edge in page["edges"]]
            if not page["pageInfo"]["hasNextPage"]:
                return found
            after = page["pageInfo"]["endCursor"]

    def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """A query to its database, PostgreSQL or SQLite, with %s for each parameter."""
        path = self.state["DATABASE_URL"].removeprefix("sqlite:///")
        if path != self.state["DATABASE_URL"]:
            with closing(sqlite3.connect(path, timeout=20)) as database, database:
                return database.execute(query.replace("%s", "?"), parameters).fetchall()
        with psycopg.connect(self.state["DATABASE_URL"], autocommit=True) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def sign_in_link(self, name: str = "admin") -> str:
        """A new link, as `bulkql sign-in` prints it: each works once."""
        arguments = self.process.args
        assert isinstance(arguments, list)
        data = arguments[arguments.index("--data") + 1]
        printed = subprocess.check_output([arguments[0], "sign-in", name, "--data", data], text=True)
        return printed.removeprefix("Sign in a browser: ").strip()

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.state["REDIS_URL"])

    def processes(self, words: str) -> list[psutil.Process]:
        """Its processes whose command line has these words, parents first."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if words in " ".join(command_of(child))]

    def workers(self) -> list[psutil.Process]:
        """The processes that work on messages: the forks of dramatiq's masters."""
        found = self.processes("dramatiq bulkql.server.processes.worker")
        pids = {one.pid for one in found}
        return [one for one in found if one.ppid() in pids]

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Nobody works meanwhile: what is dispatched stays in Redis."""
        stopped = self.processes("dramatiq bulkql.server.processes.worker")
        try:
            for one in stopped:
                one.suspend()
            yield
        finally:
            for one in stopped:
                with suppress(psutil.NoSuchProcess):
                    one.resume()


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def over(operation: dict[str, Any]) -> dict[str, Any] | None:
    return operation if operation["state"] in ("COMPLETED", "CANCELED", "FAILED") else None


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The first true answer; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.05)  # between two questions to another process
    raise AssertionError(f"waited {seconds} seconds for {what}")


@contextmanager
def running(data: Path, **environment: str) -> Iterator[Service]:
    """A service of its own, with its own data, stopped with Ctrl-C."""
    inherited = {name: value for name, value in os.environ.items() if name not in OF_THE_TESTS}
    command = [str(Path(sys.executable).with_name("bulkql")), "up", "--port", str(free_port()), "--data", str(data)]
    with (data.parent / "up.log").open("w") as log:
        process = subprocess.Popen(
            command, env={**inherited, **environment}, stdout=log, stderr=subprocess.STDOUT, text=True
        )
    try:
        printed = data.parent / "up.log"
        wait_for(lambda: "Ctrl-C stops it." in printed.read_text() or process.poll() is not None, 180, "the service")
        assert process.poll() is None, printed.read_text()
        state = json.loads((data / "service.json").read_text())
        asking = [command[0], "token", "admin", "--data", str(data)]
        token = subprocess.check_output(asking, text=True, env={**inherited, **environment})
        yield Service(process, state, token.strip())
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
