"""Bytes that nobody meant -> the readers of every format: rows, or an error of ours, soon, and in little memory.

    python -m tests.fuzz.parsers --cases 1000000 --seed 1 --processes 2

The cases are read by processes (reading.py), which are started again where one dies or stands still. A case is its seed
and its number: `--first 4711 --cases 1` reads it again. Prints what went wrong, and a table at the end; exits with 1
where anything did.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.fuzz.cases import KINDS
from tests.fuzz.progress import Progress
from tests.fuzz.tally import OUTCOMES, Tally

#: Seconds without progress after which a process hangs: long, for it may be alone with many others on one core.
HANGS = 60
#: Seconds in which a process imports all that it needs.
STARTS = 300
#: Bytes of memory of a process that reads, which decodes here what has a process of its own otherwise.
MOST_BYTES = 1_400_000_000
#: The outcomes of which each case has one.
CASES = ("read", "refused", "died", "faults")


@dataclass
class Report:
    """What became of the cases."""

    #: Kind -> outcome -> how many.
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    #: What went wrong -> the first cases that show it.
    faults: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    slowest_seconds: float = 0.0
    peak_bytes: int = 0
    child_peak_bytes: int = 0

    def total(self, *outcomes: str) -> int:
        return sum(count[outcome] for count in self.counts.values() for outcome in outcomes)

    @property
    def cases(self) -> int:
        return self.total(*CASES)

    def add_fault(self, fault: dict[str, Any]) -> None:
        self.faults.setdefault(fault["what"], []).append(fault)


class Reader:
    """The cases of one share, read by one process after another."""

    def __init__(self, seed: int, first: int, last: int, directory: Path) -> None:
        self._seed, self._first, self._last = seed, first, last
        self._path = directory / f"{first}.tally"
        self._printed = directory / f"{first}.faults"
        self._printed.touch()
        self._said = directory / f"{first}.said"
        self.tally = Tally(self._path)
        self._process: subprocess.Popen[bytes] | None = None
        self._start(first)

    def look(self, report: Report) -> bool:
        """Whether it goes on; starts another process where the last has died or hangs."""
        assert self._process is not None
        number = self.tally.number
        if (place := (number, self.tally.has_begun)) != self._seen:
            self._seen, self._seen_at = place, time.monotonic()
        code = self._process.poll()
        if code is None and time.monotonic() - self._seen_at < (HANGS if self.tally.has_begun else STARTS):
            return True
        if code == 0:
            return False
        if code is None:
            self._process.kill()
            self._process.wait()
        kind = self.tally.kind
        if code is not None and self.tally.is_decoding:
            self.tally.count(kind, "died")  # as a process of its own would have: its sender is told of memory
        else:
            self.tally.count(kind, "faults")
            what = f"{kind} hangs" if code is None else f"{kind}: the process ended with {code}"
            said = self._said.read_text(errors="replace").splitlines()[-1:]
            report.add_fault({"what": what, "case": number, "decoding": self.tally.is_decoding, "said": said})
        if number + 1 >= self._last:
            return False
        self._start(number + 1)
        return True

    def faults(self) -> Iterator[dict[str, Any]]:
        """What its processes have printed."""
        for line in self._printed.read_text().splitlines():
            yield json.loads(line)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self.tally.__exit__()

    def _start(self, first: int) -> None:
        self.tally.is_decoding = 0
        self.tally.number, self.tally.has_begun = first, 0
        self._seen, self._seen_at = (first, 0), time.monotonic()
        command = [sys.executable, "-m", "tests.fuzz.reading", *map(str, (self._seed, first, self._last, self._path))]
        with self._printed.open("ab") as printed, self._said.open("wb") as said:
            self._process = subprocess.Popen(command, stdout=printed, stderr=said)


def run(cases: int, seed: int, processes: int = 1, first: int = 0, progress: Progress | None = None) -> Report:
    """Read so many cases."""
    report = Report()
    bounds = [first + cases * number // processes for number in range(processes + 1)]
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bulkql-fuzz-")))
        readers = [Reader(seed, start, end, directory) for start, end in pairwise(bounds)]
        for reader in readers:
            stack.callback(reader.close)
        going = list(readers)
        while going:
            time.sleep(0.05)  # the processes do not call back
            going = [reader for reader in going if reader.look(report)]
            if progress:
                found = Counter(fault["what"] for reader in readers for fault in reader.faults())
                found.update({what: len(shown) for what, shown in report.faults.items()})
                done = sum(reader.tally.of(kind, name) for reader in readers for kind in KINDS for name in CASES)
                progress.tell(done, dict(found))
        for reader in readers:
            collect(report, reader)
    return report


def collect(report: Report, reader: Reader) -> None:
    tally = reader.tally
    for kind in KINDS:
        count = report.counts.setdefault(kind, Counter())
        count.update({outcome: tally.of(kind, outcome) for outcome in OUTCOMES})
    for fault in reader.faults():
        report.add_fault(fault)
    report.slowest_seconds = max(report.slowest_seconds, tally.slowest_us / 1e6)
    report.peak_bytes = max(report.peak_bytes, tally.peak_bytes)
    report.child_peak_bytes = max(report.child_peak_bytes, tally.child_peak_bytes)
    if tally.peak_bytes > MOST_BYTES:
        report.add_fault({"what": "memory", "bytes": tally.peak_bytes})


def table_of(report: Report) -> Table:
    grid = Table("kind", "cases", *OUTCOMES, title="Files that were read")
    for kind, count in report.counts.items():
        grid.add_row(kind, f"{sum(count[name] for name in ('read', 'refused', 'died', 'faults')):,}",
                     *(f"{count[name]:,}" for name in OUTCOMES))  # fmt: skip
    grid.add_row("all", f"{report.cases:,}", *(f"{report.total(name):,}" for name in OUTCOMES))
    return grid


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    console = Console(width=130)
    progress = Progress(console, given.cases)
    report = run(given.cases, given.seed, given.processes, given.first, progress)
    for what, shown in report.faults.items():
        console.print(f"\n== {what}, {len(shown)} times", markup=False)
        for fault in shown[:3]:
            console.print(fault, markup=False)
    console.print(table_of(report))
    console.print(
        f"seed {given.seed}, {progress.seconds:,.0f} s; slowest {report.slowest_seconds:.2f} s; memory at most"
        f" {report.peak_bytes / 1e6:,.0f} MB, {report.child_peak_bytes / 1e6:,.0f} MB in a process that decodes;"
        f" {len(report.faults)} kinds of faults"
    )
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
