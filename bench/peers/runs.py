"""A peer and a stage -> how long it takes for each verb, beside the same limit as ours."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from time import perf_counter

import httpx

from bench import limit, work
from bench.environment import NotInstalled
from bench.peers.peer import Peer, PeerFailed, Write
from bench.repetitions import Repetition
from bench.request import send_file
from bench.rows import Rows
from bench.stage import Stage, Timing
from bench.work import Work

#: What a peer is first given, to warm up and to tell how many rows it can take.
TRIAL_ROWS = 1_000
#: Sizes to choose from, for peers that would take too long over all rows.
SIZES = (100_000, 50_000, 20_000, 10_000, 5_000, 2_000, 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """What is asked of every peer."""

    name: str
    work: Callable[[int, Path], Work]
    limit: Callable[[Stage], float]


VERBS = (
    Verb(name="create", work=work.create, limit=limit.copy),
    Verb(name="upsert", work=work.upsert, limit=limit.insert_on_conflict),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is asked."""

    rows: int
    repetitions: int
    #: Seconds that one run may take; a slower peer is given fewer rows.
    most_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A peer's repetitions of one verb."""

    verb: str
    rows: int
    repetitions: list[Repetition]

    @property
    def seconds(self) -> float:
        return median(one.timing.seconds for one in self.repetitions)

    @property
    def limit_seconds(self) -> float:
        return median(one.limit_seconds or 0 for one in self.repetitions)

    @property
    def ratio(self) -> float:
        return median(one.ratio or 0 for one in self.repetitions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All that was found of a peer, and what did not work, with the reason."""

    name: str
    title: str
    versions: dict[str, str] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def of_peer(peer: Peer, stage: Stage, scale: Scale, tell: Callable[[str], None]) -> Found:
    """Install, start and measure a peer."""
    tell(f"{peer.title}: installing")
    found = Found(name=peer.name, title=peer.title)
    try:
        place = peer.install(peer.name, *peer.packages)
    except NotInstalled as error:
        return replace(found, failures={"install": str(error)})
    found = replace(found, versions=place.versions())
    for verb in VERBS:
        try:
            # Each verb has a fresh start: what failed in one is not held against the other.
            with peer.start(peer, place, stage.service) as write:
                found.runs.append(measured(verb, write, stage, scale, f"{peer.title}: {verb.name}", tell))
        except (PeerFailed, SystemExit, OSError, httpx.HTTPError) as error:
            found.failures[verb.name] = str(error) or type(error).__name__
    return found


def of_ours(stage: Stage, scale: Scale, tell: Callable[[str], None]) -> Found:
    """This service, by CSV file, in the same run."""

    def write(verb: str, rows: Rows) -> None:
        # A file of the rows is what both sides are given.
        send_file(replace(stage, work=Work(sent=rows, after=None)), verb.capitalize())

    runs = [measured(verb, write, stage, scale, f"bulkql: {verb.name}", tell) for verb in VERBS]
    return Found(name="bulkql", title="bulkql, by CSV file", runs=runs)


def measured(verb: Verb, write: Write, stage: Stage, scale: Scale, title: str, tell: Callable[[str], None]) -> Run:
    """Try it with few rows, then run it between two runs of the limit, as often as asked."""
    tell(f"{title}: trying")
    with fresh(stage, verb, TRIAL_ROWS) as trial:
        row_seconds = theirs(write, verb, trial) / TRIAL_ROWS
    fitting = [size for size in SIZES if size <= scale.rows and size * row_seconds <= scale.most_seconds]
    repetitions = []
    with fresh(stage, verb, max(fitting, default=TRIAL_ROWS)) as whole:
        for number in range(scale.repetitions):
            tell(f"{title}: repetition {number + 1} of {scale.repetitions}, {whole.work.sent.count:,} rows")
            before = limited(verb, whole)
            timing = Timing(seconds=theirs(write, verb, whole))
            repetitions.append(Repetition(limit_before=before, timing=timing, limit_after=limited(verb, whole)))
        return Run(verb=verb.name, rows=whole.work.sent.count, repetitions=repetitions)


@contextmanager
def fresh(stage: Stage, verb: Verb, rows: int) -> Iterator[Stage]:
    """The stage with the verb's work."""
    with tempfile.TemporaryDirectory(prefix="bulkql-peers-") as directory:
        yield replace(stage, work=verb.work(rows, Path(directory)))


def theirs(write: Write, verb: Verb, stage: Stage) -> float:
    """One run, checked."""
    stage.database.fill(stage.work)
    started = perf_counter()
    write(verb.name, stage.work.sent)
    seconds = perf_counter() - started
    stage.database.check(stage.work)
    return seconds


def limited(verb: Verb, stage: Stage) -> float:
    """One run of the limit, checked."""
    stage.database.fill(stage.work)
    seconds = verb.limit(stage)
    stage.database.check(stage.work)
    return seconds
