"""Rounds of faults: operations run, faults come, then all must end well."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field

from tests.acceptance.conftest import create_parents
from tests.faults.client import Client
from tests.faults.injector import Fault, Injector
from tests.faults.lanes import Done, Lane
from tests.faults.stack import Stack

#: Faults of a round, but for each third, which has one: there one sees how long a recovery takes.
FAULTS = 10
LANES = 4
#: Seconds between two faults.
PAUSES = (0.2, 1.5)


@dataclass
class Run:
    """All that happened."""

    faults: list[Fault] = field(default_factory=list)
    operations: list[Done] = field(default_factory=list)
    #: Kind -> seconds from a fault's end until all that was in hand was done, where no other fault came in between.
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    strange: dict[str, int] = field(default_factory=dict)
    orphans: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def is_fine(self) -> bool:
        return not self.failures and not self.orphans and all(one.is_fine for one in self.operations)


class Rounds:
    """The senders and the injector, round after round."""

    def __init__(self, stack: Stack, seed: int, largest: int = 6_000) -> None:
        dice = random.Random(seed)
        self._stack = stack
        self._dice = dice
        self.injector = Injector(stack, random.Random(dice.random()))
        self.client = Client(stack.service)
        create_parents(stack.service)
        self._lanes = [
            Lane(number, self.client, self.injector, random.Random(dice.random()), largest) for number in range(LANES)
        ]
        self.run = Run()

    def play(self, faults: int, kinds: list[str] | None = None) -> None:
        """One round, to the end of all of its operations."""
        is_over = threading.Event()
        senders = [threading.Thread(target=lane.run, args=(is_over,), daemon=True) for lane in self._lanes]
        before = len(self.injector.done)
        for sender in senders:
            sender.start()
        time.sleep(self._dice.uniform(0.5, 2))  # until they are at work
        for number in range(faults):
            self.injector.inject(kinds[number] if kinds else None)
            time.sleep(self._dice.uniform(*PAUSES))
        is_over.set()
        self.injector.wait()
        for sender in senders:
            sender.join()
        self._stack.end_orphans()
        self._measure(self.injector.done[before:])
        self._collect()

    def _collect(self) -> None:
        self.run.faults = self.injector.done
        self.run.operations = sorted((one for lane in self._lanes for one in lane.done), key=lambda one: one.started)
        self.run.strange = dict(self.client.strange)
        self.run.orphans = self._stack.orphans
        for lane in self._lanes:
            if lane.failure is not None:
                self.run.failures.append(repr(lane.failure))
                lane.failure = None

    def _measure(self, faults: list[Fault]) -> None:
        """How long it took until what a fault found in hand was done."""
        hurt: set[tuple[str, str]] = set()
        for fault, following in zip(faults, [*faults[1:], None], strict=True):
            fresh = fault.in_hand - hurt
            hurt |= fault.in_hand
            if not fresh:
                continue
            done = max(self._done_at(actor, identifier) for actor, identifier in fresh)
            if following is None or done <= following.started:
                self.run.recoveries.setdefault(fault.kind, []).append(max(done - fault.ended, 0.0))

    def _done_at(self, actor: str, identifier: str) -> float:
        """When it was done, in seconds of the clock; the end of time where it is not."""
        table, column = {
            "write_chunk": ("bulkql_chunk", "recorded_at"),
            "read_input": ("bulkql_input", "read_at"),
            "write_operation": ("bulkql_operation", "finished_at"),
        }[actor]
        query = f"SELECT extract(epoch FROM {column})::float FROM {table} WHERE id::text = %s"
        ((at,),) = self.client.sql(query, identifier)
        return float("inf") if at is None else float(at)
