"""`python -m tests.faults.soak`: mixed work, subscribers who come and go, a worker killed every 20 seconds.

Prints what the processes hold at the start, in between and at the end, and exits with 1 where it grew."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console
from rich.table import Table as Grid

from tests.acceptance.conftest import create_parents
from tests.faults.client import Client
from tests.faults.held import Held, grown, look
from tests.faults.lanes import Done, Lane
from tests.faults.stack import Stack, running
from tests.faults.watchers import Subscriber

LANES, VISITORS = 4, 8
#: Seconds between two kills of a worker, and at most between a visitor's coming and going.
KILL, VISIT = 20, 10
#: The part of the time after which everything is warm: growth counts from there.
WARM = 0.2
SAMPLES = 12


class Soak:
    """The work, the visitors and the killer, until the time is over."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self._stack = stack
        self._dice = random.Random(seed)
        self._is_over = threading.Event()
        self.client = Client(stack.service)
        create_parents(stack.service)
        self.lanes = [Lane(number, self.client, random.Random(seed + number), 6_000) for number in range(LANES)]
        self.kills = self.visits = 0

    def close(self) -> None:
        self.client.close()

    def run(self, seconds: float) -> list[Held]:
        """What was held, from the beginning to the end."""
        threads = [threading.Thread(target=lane.run, args=(self._is_over,), daemon=True) for lane in self.lanes]
        threads += [threading.Thread(target=self._visit, daemon=True) for _ in range(VISITORS)]
        threads.append(threading.Thread(target=self._kill, daemon=True))
        began = time.monotonic()
        for thread in threads:
            thread.start()
        samples = []
        for number in range(SAMPLES + 1):
            time.sleep(max(began + seconds * number / SAMPLES - time.monotonic(), 0))
            samples.append(look(self._stack, time.monotonic() - began, sum(len(lane.done) for lane in self.lanes)))
        self._is_over.set()
        for thread in threads:
            thread.join()
        self._stack.end_orphans()
        return samples

    def wrong(self) -> list[Done]:
        return [one for lane in self.lanes for one in lane.done if not one.is_fine]

    def _visit(self) -> None:
        """Watch some operation for a while, again and again."""
        dice = random.Random(self._dice.random())
        while not self._is_over.is_set():
            known = [one.id for lane in self.lanes for one in lane.done[-2:] if one.id]
            if known:
                visitor = Subscriber(self._stack.service, dice.choice(known))
                self.visits += 1
                visitor.is_over.wait(dice.uniform(0.1, VISIT))
                visitor.leave()
            self._is_over.wait(0.5)

    def _kill(self) -> None:
        """Kill any worker but the eldest, which is to show whether it grows."""
        while not self._is_over.wait(KILL):
            workers = sorted(self._stack.workers(), key=psutil.Process.create_time)
            if len(workers) > 1:
                with suppress(psutil.NoSuchProcess):
                    self._dice.choice(workers[1:]).kill()
                    self.kills += 1


def main(minutes: Annotated[float, typer.Option()] = 30, seed: Annotated[int, typer.Option()] = 1) -> None:
    console = Console(width=130)
    home = Path(tempfile.mkdtemp(prefix="bulkql-soak-"))
    home.chmod(0o755)
    console.print(f"seed {seed}; logs are in {home}")
    with running(home / "data") as stack, closing(Soak(stack, seed)) as soak:
        samples = soak.run(minutes * 60)
    console.print(table_of(samples))
    operations = [one for lane in soak.lanes for one in lane.done]
    console.print(
        f"{len(operations)} operations, {sum(one.rows for one in operations):,} rows; {soak.kills} workers killed;"
        f" {soak.visits} visits of subscribers; {len(soak.wrong())} operations wrong"
    )
    for one in soak.wrong()[:10]:
        console.print(f"  {one.id} ({one.what}): stuck {one.is_stuck}, {one.wrong[:3]}, {one.watchers[:2]}")
    growth = grown(samples[int(len(samples) * WARM) :])
    for line in growth:
        console.print(f"[red]{line}[/]")
    failures = [lane.failure for lane in soak.lanes if lane.failure]
    raise typer.Exit(1 if growth or soak.wrong() or failures or not operations else 0)


def table_of(samples: list[Held]) -> Grid:
    grid = Grid("seconds", "operations", *samples[0].figures, title="Held: memory in MB, open files, connections, keys")
    for held in samples:
        grid.add_row(f"{held.seconds:.0f}", str(held.operations), *(f"{one:,.0f}" for one in held.figures.values()))
    return grid


if __name__ == "__main__":
    typer.run(main)
