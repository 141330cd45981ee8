"""Those who send operations, one after another, each over rows of their own; every operation is watched and judged."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from bulkql.server.client import RequestFailed
from tests.acceptance.subjects import Key, Table
from tests.acceptance.ways import given
from tests.faults.client import Client
from tests.faults.judge import EXPORTED, Verdict, judge, judge_export, judge_revert, rows_to_retry
from tests.faults.requests import Request, Sequel, choose
from tests.faults.watchers import FINAL, Seen, Subscriber
from tests.faults.work import RANGE, WORK, Work, where_in_range

#: What an operation is called that is none of WORK's.
SEQUELS = (*(one.value for one in Sequel), "export")
#: How many operations are followed by an export.
EXPORTS = 0.15
#: What the issue allows from a fault's end to the operation's, and what we allow the subscriber after it.
SECONDS, SUBSCRIBER_SECONDS = 60, 30


@dataclass
class Done:
    """An operation, and what is wrong with it."""

    id: str
    verb: str
    what: str
    rows: int
    started: float
    seconds: float = 0.0
    lost: int = 0
    doubled: int = 0
    is_stuck: bool = False
    #: What outcomes, totals and row errors are wrong.
    wrong: list[str] = field(default_factory=list)
    watchers: list[str] = field(default_factory=list)

    @property
    def is_fine(self) -> bool:
        return not (self.lost or self.doubled or self.is_stuck or self.wrong or self.watchers)


class Stuck(Exception):
    """An operation is not over though no fault kept it for so long."""


class Lane:
    """One sender. Its range of rows changes when an operation of it got stuck."""

    def __init__(
        self,
        number: int,
        client: Client,
        dice: random.Random,
        largest: int,
        quiet_since: Callable[[], float | None] = lambda: 0.0,
    ) -> None:
        """`quiet_since` tells when the last fault ended; None while one goes on."""
        self._client = client
        self._quiet_since = quiet_since
        self._dice = dice
        self._largest = largest
        self._directory = Path(client.service.state["directory"]) / f"lane{number}"
        self._directory.mkdir(exist_ok=True)
        self._first = number * 100 * RANGE
        self._table: Table = {}
        self._pks: dict[Key, str] = {}
        self.done: list[Done] = []
        #: What went wrong with the harness itself.
        self.failure: Exception | None = None

    def run(self, is_over: threading.Event) -> None:
        """Operation after operation, until it is told that it is enough."""
        try:
            while not is_over.is_set():
                self.step()
        except Exception as failure:
            self.failure = failure
            self._move()
            raise

    def step(self) -> None:
        """One operation, and its retry where there is one."""
        request = choose(self._dice, self._first, self._table, self._largest)
        started = time.time()
        verb = request.work.verb
        rows_given = given(self._client, verb, request.rows, request.way, self._directory)  # type: ignore[arg-type]
        inputs = {"financialTransactions": {**rows_given, **request.says}}
        try:
            operation_id = self._client.bulk(verb, request.options, inputs)
        except RequestFailed as refused:
            done = Done("", name_of(request.work), what(request), len(request.rows), started, wrong=[str(refused)])
            self.done.append(done)
            return
        before = self._table, self._pks
        outcomes = self._follow(operation_id, request, started)
        # Where it got stuck the judge has said so, and nobody knows what is there.
        if outcomes is not None and request.sequel is not None:
            sequels = {Sequel.RETRY: self._retry, Sequel.APPLY: self._apply, Sequel.REVERT: self._revert}
            sequels[request.sequel](operation_id, request, outcomes, *before)
        if self._dice.random() < EXPORTS:
            self._export()

    def _retry(self, operation_id: str, request: Request, outcomes: list[str], *_: Any) -> None:
        """Have the rows written that failed or were skipped."""
        rows = rows_to_retry(request, outcomes) if len(outcomes) == len(request.rows) else []
        if rows:
            started = time.time()
            again = Request(request.work, rows, "retry", request.options)
            self._follow(self._client.retry(operation_id), again, started)

    def _apply(self, operation_id: str, request: Request, *_: Any) -> None:
        """Have a plan carried out, unless it was canceled."""
        if self._client.operation(operation_id)["state"] == "COMPLETED":
            started = time.time()
            options = {name: value for name, value in request.options.items() if name != "dryRun"}
            applied = self._client.apply(operation_id, self._key())
            self._follow(applied, replace(request, way="apply", options=options, cancels=False), started)

    def _revert(
        self, operation_id: str, request: Request, outcomes: list[str], table: Table, pks: dict[Key, str]
    ) -> None:
        """Have all undone that an operation wrote."""
        written = Counter(one for one in outcomes if one in ("CREATED", "UPDATED", "DELETED"))
        if written:
            started = time.time()
            chunks = {"chunkSize": request.options["chunkSize"]}
            undone = self._client.revert(operation_id, {**self._key(), **chunks})
            asked = Request(request.work, request.rows, "revert", chunks)
            self._follow(
                undone, asked, started, lambda end: judge_revert(self._client, written, end, self._first, table, pks)
            )

    def _export(self) -> None:
        """Have the range written to a file."""
        started = time.time()
        where = where_in_range(self._first)
        asked = {"where": where, "format": "NDJSON", "fields": list(EXPORTED.values())}
        export = self._client.export({"financialTransactions": asked}, {"mode": "ASYNC", **self._key()})
        request = Request(WORK["Upsert"], [], "export", {"chunkSize": None})
        self._follow(
            export,
            request,
            started,
            lambda end: judge_export(self._client, end, self._first, self._table, self._pks),
        )

    def _key(self) -> dict[str, Any]:
        """Under which a request may be sent again until it is answered."""
        return {"idempotencyKey": str(UUID(int=self._dice.getrandbits(128)))}

    def _follow(
        self,
        operation_id: str,
        request: Request,
        started: float,
        judging: Callable[[dict[str, Any]], Verdict] | None = None,
    ) -> list[str] | None:
        """Watch an operation to its end and judge it; its outcomes, or None where it got stuck."""
        name = request.way if request.way in SEQUELS else name_of(request.work)
        done = Done(operation_id, name, what(request), len(request.rows), started)
        self.done.append(done)
        subscriber = Subscriber(self._client.service, operation_id)
        poller = Seen("poller")
        try:
            operation = self._poll(operation_id, request, poller)
        except Stuck:
            done.is_stuck = True
            subscriber.leave()
            self._move()
            return None
        finally:
            done.seconds = time.time() - started
        if judging is None:
            verdict = judge(self._client, request, operation, self._first, self._table, self._pks)
        else:
            verdict = judging(operation)
        self._enter(done, verdict)
        if not subscriber.is_over.wait(SUBSCRIBER_SECONDS):
            done.watchers.append(f"subscriber: was not told the end; {subscriber.broken[-1:]}")
            subscriber.leave()
        for seen in (poller, subscriber.seen):
            done.watchers += seen.problems(operation)
        return verdict.outcomes

    def _poll(self, operation_id: str, request: Request, poller: Seen) -> dict[str, Any]:
        """Ask until it is over; raises Stuck."""
        asked_at = time.time()
        cancel_after = self._dice.uniform(0, 1.5) if request.cancels else None
        pause_after = self._dice.uniform(0, 1.5) if request.pauses else None
        while True:
            operation = self._client.operation(operation_id)
            poller.events.append(operation)
            if operation["state"] in FINAL:
                return operation
            if cancel_after is not None and time.time() > asked_at + cancel_after:
                self._client.cancel(operation_id)
                cancel_after = None
            if pause_after is not None and time.time() > asked_at + pause_after:
                pause_after = None
                if self._client.pause(operation_id):
                    time.sleep(self._dice.uniform(0, 1))  # as somebody who waits for others
                    self._client.resume(operation_id)
            quiet = self._quiet_since()
            if quiet is not None and time.time() > max(quiet, asked_at) + SECONDS:
                raise Stuck
            time.sleep(0.2)  # as a script asks

    def _move(self) -> None:
        """Leave the rows to whatever may still write them."""
        self._first += RANGE
        self._table, self._pks = {}, {}

    def _enter(self, done: Done, verdict: Verdict) -> None:
        self._table, self._pks = verdict.table, verdict.pks
        done.lost, done.doubled, done.wrong = verdict.lost, verdict.doubled, verdict.told


def name_of(work: Work) -> str:
    return next(name for name, one in WORK.items() if one is work)


def what(request: Request) -> str:
    """A request in a few words."""
    words = [
        name_of(request.work),
        request.way,
        f"{len(request.rows)} rows",
        f"chunks of {request.options['chunkSize']}",
    ]
    words += [name for name, is_so in (("REJECT_ALL", request.rejects_all), ("dry run", request.dry_run)) if is_so]
    return ", ".join([*words, *(["canceled"] if request.cancels else []), *(["paused"] if request.pauses else [])])
