"""A client that asks again where the service is away, as clients must; what else it is told, it remembers."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import psycopg

from bulkql.server.client import BulkClient, RequestFailed
from tests.acceptance.service import BULK, OPERATION, RESULTS, Service

#: Seconds after which a service that does not answer is down for good.
PATIENCE = 120
RETRY = "mutation ($id: ID!) { retryOperation(id: $id) { id } }"
CANCEL = "mutation ($id: ID!) { cancelOperation(id: $id) { id state } }"
PAUSE = "mutation ($id: ID!) { pauseOperation(id: $id) { id state } }"
RESUME = "mutation ($id: ID!) { resumeOperation(id: $id) { id state } }"
REVERT = "mutation ($id: ID!, $options: BulkOptions) { revertOperation(id: $id, options: $options) { id } }"
APPLY = "mutation ($id: ID!, $options: ApplyOptions) { applyOperation(id: $id, options: $options) { id } }"
EXPORT = """mutation ($input: BulkExportInput!, $options: BulkOptions) {
  bulkExport(input: $input, options: $options) { id }
}"""
FILES = "query ($id: ID!) { operation(id: $id) { files { name url rows } } }"


class Down(Exception):
    """The service does not answer any more."""


class Client:
    """The public API, and the database's own view for the judge."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {service.token}"}, timeout=20, verify=False, trust_env=False
        )
        #: What was told while faults went on, beside UNAVAILABLE and a connection that broke.
        self.strange: Counter[str] = Counter()
        #: For tests.acceptance.ways, which uploads through a service's client.
        self.client = self

    def close(self) -> None:
        self._http.close()

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of a query or mutation that may be sent again; raises Down, and RequestFailed for BAD_INPUT."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer = self._http.post(f"{self.service.url}/graphql", json={"query": query, "variables": variables})
                body = answer.json()
            except httpx.HTTPError:
                body = {}
            except ValueError:
                self.strange[f"HTTP {answer.status_code}, no JSON"] += 1
                body = {}
            if errors := body.get("errors"):
                self._note(errors)
            elif body:
                data: dict[str, Any] = body["data"]
                return data
            if time.monotonic() > deadline:
                raise Down(f"no answer for {PATIENCE} seconds, at last {body}")
            time.sleep(0.1)  # it cannot call back

    def _note(self, errors: list[dict[str, Any]]) -> None:
        codes = {error.get("extensions", {}).get("code") for error in errors}
        if codes & {"BAD_INPUT", "NOT_FOUND", "FORBIDDEN", "IDEMPOTENCY_CONFLICT", "LIMIT_EXCEEDED", None}:
            raise RequestFailed(errors)
        for code in codes - {"UNAVAILABLE"}:
            self.strange[str(code)] += 1

    def bulk(self, verb: str, options: dict[str, Any], inputs: dict[str, Any]) -> str:
        """Ask for an operation, under a key that makes it one however often it is asked for; gives its id."""
        data = self.ask(BULK.format(verb=verb), input=inputs, options=options)
        return str(data[f"bulk{verb}"]["id"])

    def cancel(self, operation_id: str) -> None:
        self.ask(CANCEL, id=operation_id)

    def pause(self, operation_id: str) -> bool:
        """Whether it is paused now; what is over, or written in one transaction, is not."""
        try:
            self.ask(PAUSE, id=operation_id)
        except RequestFailed:
            return False
        return True

    def resume(self, operation_id: str) -> None:
        """Let it go on; it may have been canceled meanwhile."""
        with suppress(RequestFailed):
            self.ask(RESUME, id=operation_id)

    def revert(self, operation_id: str, options: dict[str, Any]) -> str:
        return str(self.ask(REVERT, id=operation_id, options=options)["revertOperation"]["id"])

    def apply(self, operation_id: str, options: dict[str, Any]) -> str:
        return str(self.ask(APPLY, id=operation_id, options=options)["applyOperation"]["id"])

    def export(self, inputs: dict[str, Any], options: dict[str, Any]) -> str:
        return str(self.ask(EXPORT, input=inputs, options=options)["bulkExport"]["id"])

    def file(self, operation_id: str) -> bytes:
        """The bytes of an export's file."""
        deadline = time.monotonic() + PATIENCE
        while True:
            (file,) = self.ask(FILES, id=operation_id)["operation"]["files"]
            with suppress(httpx.HTTPError):
                answer = self._http.get(urljoin(self.service.url, file["url"]))
                if answer.is_success:
                    return answer.content
            if time.monotonic() > deadline:
                raise Down(f"no file for {PATIENCE} seconds")
            time.sleep(0.1)

    def retry(self, operation_id: str) -> str:
        """Ask for a retry. There is no key for this: who was not answered looks whether it was done."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                answer = self._http.post(
                    f"{self.service.url}/graphql", json={"query": RETRY, "variables": {"id": operation_id}}
                ).json()
                if not answer.get("errors"):
                    return str(answer["data"]["retryOperation"]["id"])
                self._note(answer["errors"])
            except (httpx.HTTPError, ValueError):
                pass
            time.sleep(0.5)
            if done := self.sql("SELECT id FROM bulkql_operation WHERE retry_of_id = %s", operation_id):
                return str(done[0][0])
        raise Down(f"no retry for {PATIENCE} seconds")

    def upload(self, path: Path) -> str:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return BulkClient(self.service.url, self.service.token).upload(path)
            except (httpx.HTTPError, ValueError):
                pass
            except RequestFailed as refused:
                self._note(refused.errors)
            if time.monotonic() > deadline:
                raise Down(f"no upload for {PATIENCE} seconds")
            time.sleep(0.1)

    def operation(self, operation_id: str) -> dict[str, Any]:
        operation: dict[str, Any] = self.ask(OPERATION, id=operation_id)["operation"]
        return operation

    def results(self, operation_id: str) -> list[dict[str, Any]]:
        """All pages of results."""
        found: list[dict[str, Any]] = []
        after = None
        while True:
            page = self.ask(RESULTS, id=operation_id, after=after)["operation"]["results"]
            found += [edge["node"] for edge in page["edges"]]
            if not page["pageInfo"]["hasNextPage"]:
                return found
            after = page["pageInfo"]["endCursor"]

    def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What the database answers, once it is there."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.service.sql(query, *parameters)
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
