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

#: Faults of a round: first those of which each is recovered from before the next comes, then those that come together.
CALM, STORM = 5, 20
LANES = 5
#: Seconds for which the end of a recovery is waited for.
RECOVERY = 40
#: Seconds between two faults.
PAUSES = (0.1, 1.0)


#: Actor -> where the ledger says when its work was done.
LEDGER = {
    "write_chunk": ("bulkql_chunk", "recorded_at", "bigint"),
    "read_input": ("bulkql_input", "read_at", "bigint"),
    "write_operation": ("bulkql_operation", "finished_at", "uuid"),
}


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
    #: Kinds of faults that this machine does not allow, and why.
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def is_fine(self) -> bool:
        return not (self.failures or self.orphans or self.strange) and all(one.is_fine for one in self.operations)


class Rounds:
    """The senders and the injector, round after round."""

    def __init__(self, stack: Stack, seed: int, largest: int = 6_000, lanes: int = LANES) -> None:
        dice = random.Random(seed)
        self._stack = stack
        self._dice = dice
        self.injector = Injector(stack, random.Random(dice.random()))
        self.client = Client(stack.service)
        create_parents(stack.service)
        self._lanes = [
            Lane(number, self.client, random.Random(dice.random()), largest, self.injector.quiet_since)
            for number in range(lanes)
        ]
        self._deck: list[str] = []
        self.run = Run(left_out=self.injector.left_out)

    def close(self) -> None:
        self.client.close()

    def play(self, calm: int = CALM, storm: int = STORM, kinds: list[str] | None = None) -> None:
        """One round, to the end of all of its operations. Faults are of these kinds, or of all."""
        is_over = threading.Event()
        senders = [threading.Thread(target=lane.run, args=(is_over,), daemon=True) for lane in self._lanes]
        before = len(self.injector.done)
        for sender in senders:
            sender.start()
        time.sleep(self._dice.uniform(0.5, 2))  # until they are at work
        for _ in range(calm):
            fault = self.injector.inject(self._next_of(kinds))
            self._wait_for_recovery(fault)
        for _ in range(storm):
            self.injector.inject(self._next_of(kinds) if kinds else None)
            time.sleep(self._dice.uniform(*PAUSES))
        is_over.set()
        self.injector.wait()
        for sender in senders:
            sender.join()
        self._stack.end_orphans()
        self._measure(self.injector.done[before:])
        self._collect()

    def _next_of(self, kinds: list[str] | None) -> str:
        """Each kind once, in any order, before any comes again."""
        if not self._deck:
            self._deck = list(kinds or self.injector.kinds)
            self._dice.shuffle(self._deck)
        return self._deck.pop()

    def _wait_for_recovery(self, fault: Fault) -> None:
        """Until all is done that a fault found in hand."""
        deadline = time.monotonic() + RECOVERY
        while not fault.ended or self._done_at(fault.in_hand) is None:
            if time.monotonic() > deadline:
                return
            time.sleep(0.2)  # the ledger does not call back

    def _collect(self) -> None:
        self.run.faults = self.injector.done
        self.run.operations = sorted((one for lane in self._lanes for one in lane.done), key=lambda one: one.started)
        self.run.strange = dict(self.client.strange)
        self.run.orphans = self._stack.orphans
        self.run.failures += self.injector.failures
        self.injector.failures = []
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
            done = self._done_at(fresh) if fresh else None
            if done is not None and (following is None or done <= following.started):
                self.run.recoveries.setdefault(fault.kind, []).append(max(done - fault.ended, 0.0))

    def _done_at(self, in_hand: set[tuple[str, str]]) -> float | None:
        """When the last of it was done, in seconds of the clock; None where not all is."""
        done = 0.0
        for actor, (table, column, kind) in LEDGER.items():
            ids = [identifier for name, identifier in in_hand if name == actor]
            query = f"SELECT extract(epoch FROM max({column}))::float, count(*) - count({column}) FROM {table}"
            ((at, left),) = self.client.sql(f"{query} WHERE id = ANY(%s::{kind}[])", ids)
            if left:
                return None
            done = max(done, at or 0.0)
        return done
