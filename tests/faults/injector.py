"""Faults, one after another, at named points of the pipeline and at random; each is recorded."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.faults import Faults
from tests.faults.points.apps import POINTS
from tests.faults.stack import Stack

#: How often a kind is chosen, beside the others; those that stand still for long are few.
WEIGHTS = {"stop worker 35 s": 1, "stop Redis 10 s": 2, "kill web": 4, "stall worker-database 4 s": 3,
           "stall worker-Redis 4 s": 3, "kill worker master": 5, "kill worker": 6,
           "disk full": 3, "clock off by an hour": 4}  # fmt: skip
WEIGHT = 6
#: Kinds that go on beside those that follow.
LONG = ("stop worker 35 s", "clock off by an hour")
#: Seconds for which a process is waited for at a point, and any worker.
PATIENCE, WORKER_PATIENCE = 1.5, 4


@dataclass
class Fault:
    """One that was injected."""

    number: int
    kind: str
    #: "random" or the name of a point.
    point: str
    started: float
    ended: float = 0.0
    told: str = ""
    #: What was in somebody's hands, or in a queue: (actor, id).
    in_hand: set[tuple[str, str]] = field(default_factory=set)


class Injector:
    """Injects faults, and knows since when there is none."""

    def __init__(self, stack: Stack, dice: random.Random) -> None:
        self._stack = stack
        self._dice = dice
        self._faults = Faults(stack, dice)
        self._long: list[threading.Thread] = []
        self.done: list[Fault] = []
        self.failures: list[str] = []

    def quiet_since(self) -> float | None:
        """The end of the last fault; None while one goes on."""
        ends = [fault.ended for fault in self.done]
        return max(ends, default=0.0) if all(ends) else None

    @property
    def left_out(self) -> dict[str, str]:
        return self._faults.left_out

    @property
    def kinds(self) -> list[str]:
        return list(self._faults.kinds)

    def choose(self) -> str:
        return self._dice.choices(self.kinds, [WEIGHTS.get(kind, WEIGHT) for kind in self.kinds])[0]

    def inject(self, kind: str | None = None, point: str | None = None) -> Fault:
        """A fault; one that takes long goes on beside the others that follow."""
        kind = kind or self.choose()
        if point is None and self._dice.random() < 0.6:
            point = self._dice.choice(list(POINTS))
        self._wait_for_worker()
        held = self._wait_at(point) if point is not None else None
        fault = Fault(len(self.done) + 1, kind, point if held and point else "random", time.time())
        self.done.append(fault)
        fault.in_hand = self._faults.in_hand()
        if kind in LONG:
            thread = threading.Thread(target=self._do, args=(fault, held))
            self._long.append(thread)
            thread.start()
            time.sleep(0.1)  # it is stopped where it is held
            if held:
                held.unlink(missing_ok=True)
        else:
            self._do(fault, held)
            if held:
                held.unlink(missing_ok=True)
        return fault

    def wait(self) -> None:
        """Until all faults have ended."""
        for thread in self._long:
            thread.join()
        self._long.clear()

    def _do(self, fault: Fault, held: Path | None) -> None:
        try:
            fault.told = self._faults.kinds[fault.kind](int(held.suffix[1:]) if held else None)
        except AssertionError as failure:  # a server that did not come back
            fault.told = f"failed: {failure}"
            self.failures.append(f"fault {fault.number}, {fault.kind}: {failure}")
        finally:
            fault.ended = time.time()

    def _wait_for_worker(self) -> None:
        """Where no worker is left from the faults before, there is little to disturb."""
        deadline = time.monotonic() + WORKER_PATIENCE
        while not self._stack.workers() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _wait_at(self, point: str) -> Path | None:
        """The file of the process that came to a point."""
        armed = self._stack.points / point
        armed.touch()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if not armed.exists():
                for held in self._stack.points.glob(f"{point}.*"):
                    return held
            time.sleep(0.005)
        armed.unlink(missing_ok=True)
        # It may have come in the very last moment.
        return next(self._stack.points.glob(f"{point}.*"), None)
