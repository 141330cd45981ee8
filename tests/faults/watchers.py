"""Those who look on: a subscriber who comes again where his connection breaks, and what a poller was told."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from bulkql.server.client import BulkClient
from tests.acceptance.service import Service

COUNTS = ("processed", "created", "updated", "unchanged", "deleted", "failed", "skipped")
FINAL = ("COMPLETED", "CANCELED", "FAILED")


@dataclass
class Seen:
    """What a watcher was told, in order."""

    name: str
    events: list[dict[str, Any]] = field(default_factory=list)

    def problems(self, ledger: dict[str, Any]) -> list[str]:
        """Totals that went back, and an end that the ledger does not tell."""
        found = []
        for before, after in zip(self.events, self.events[1:], strict=False):
            fell = [name for name in COUNTS if after[name] < before[name]]
            if fell or (before["total"] is not None and after["total"] != before["total"]):
                found.append(f"{self.name}: totals went back: {before} then {after}")
            if before["state"] in FINAL and after["state"] != before["state"]:
                found.append(f"{self.name}: {before['state']}, then {after['state']}")
        last = self.events[-1] if self.events else {}
        told = {name: last.get(name) for name in ("state", "total", *COUNTS)}
        if told != {name: ledger[name] for name in told}:
            found.append(f"{self.name}: saw {told} last")
        return found


class Subscriber:
    """Watches an operation over a websocket, in a thread of its own, until it is told the end."""

    def __init__(self, service: Service, operation_id: str) -> None:
        self.seen = Seen("subscriber")
        #: Why the connection broke, each time.
        self.broken: list[str] = []
        self.is_over = threading.Event()
        self._left = threading.Event()
        self._service = service
        self._operation_id = operation_id
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self.is_over.is_set() and not self._left.is_set():
            try:
                for event in BulkClient(self._service.url, self._service.token).watch(self._operation_id):
                    self.seen.events.append(event)
                    if event["state"] in FINAL:
                        self.is_over.set()
                    if self._left.is_set():
                        return
            except Exception as error:  # whatever breaks it, he comes again; the judge looks at what he was told
                self.broken.append(f"{type(error).__name__}: {error}"[:200])
                time.sleep(0.2)

    def leave(self) -> None:
        self._left.set()
