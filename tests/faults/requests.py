"""A random request over a range of transactions of which nobody else writes any."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from tests.acceptance.rows import Row
from tests.acceptance.subjects import TRANSACTIONS, Table, damaged
from tests.faults.work import RANGE, Range, Work, choose_work

#: A key outside of every range would be two requests' at once.
DAMAGES = tuple(one for one in TRANSACTIONS.damages if one != {"datetime": "1999-12-31T23:59:59Z"})


class Sequel(StrEnum):
    """What is asked of an operation that is over; of a plan, to be carried out."""

    RETRY = "retry"
    REVERT = "revert"
    APPLY = "apply"


@dataclass(frozen=True)
class Request:
    """What is asked for, and how it goes on."""

    work: Work
    rows: list[Row]
    #: inline, csv or ndjson
    way: str
    options: dict[str, Any]
    cancels: bool = False
    #: Whether it is paused on its way, and let go on.
    pauses: bool = False
    #: What is asked of it when it is over.
    sequel: Sequel | None = None
    #: What its input says beside its rows.
    says: dict[str, Any] = field(default_factory=dict)

    @property
    def rejects_all(self) -> bool:
        return self.options.get("onError") == "REJECT_ALL"

    @property
    def dry_run(self) -> bool:
        return bool(self.options.get("dryRun"))


def choose(dice: random.Random, first: int, table: Table, largest: int) -> Request:
    """A request for the transactions from the first of a range on, of which some are in the table."""
    of = range_of(first, table)
    way, count = size(dice, largest)
    work = choose_work(dice, of)
    likely, unlikely = work.likely(of), work.unlikely(of)
    is_bad = dice.random() < 0.35
    wanted = dice.sample(likely, min(count, len(likely)))
    if is_bad:
        wanted += dice.sample(unlikely, min(3, len(unlikely)))
    rows = [work.row(dice, number) for number in wanted]
    if is_bad:
        damage(dice, work, way, rows)
    options = {
        "idempotencyKey": str(UUID(int=dice.getrandbits(128))),
        "chunkSize": dice.choice((100, 200, 400, 800)),
        "mode": "AUTO" if count <= 50 else "ASYNC",
    }
    turn = dice.random()
    if turn < 0.15:
        options["onError"] = "REJECT_ALL"
    elif turn < 0.27:
        options["dryRun"] = True
    return Request(
        work,
        rows,
        way,
        options,
        cancels=count > 1000 and dice.random() < 0.2,
        pauses=count > 1000 and dice.random() < 0.2,
        sequel=choose_sequel(dice, work, is_plan="dryRun" in options),
        says=work.says(first),
    )


def choose_sequel(dice: random.Random, work: Work, *, is_plan: bool) -> Sequel | None:
    turn = dice.random()
    if is_plan:
        return Sequel.APPLY if turn < 0.7 else None
    if turn < 0.4:
        return Sequel.RETRY if work.is_retried else None
    return Sequel.REVERT if turn < 0.65 else None


def range_of(first: int, table: Table) -> Range:
    """Which transactions of a range are in its table."""
    numbers = range(first, first + RANGE)
    present = [number for number in numbers if TRANSACTIONS.key_of(TRANSACTIONS.row(number)) in table]
    return Range(first, present, sorted(set(numbers) - set(present)))


def size(dice: random.Random, largest: int) -> tuple[str, int]:
    """The way in, and how many rows take it."""
    turn = dice.random()
    if turn < 0.15:
        return "inline", dice.randint(5, 50)
    if turn < 0.45:
        return "inline", dice.randint(100, min(1_500, largest))
    return dice.choice(("csv", "ndjson")), dice.randint(min(1_000, largest // 2), largest)


def damage(dice: random.Random, work: Work, way: str, rows: list[Row]) -> None:
    """Make some rows bad ones, and give some keys twice. Whether a damaged row is bad is for the verb to say."""
    places = dice.sample(range(len(rows)), min(14, len(rows)))
    # What else is wrong with a row that a later one supersedes, the expectation does not know: those stay sound.
    superseded, others = places[:2], places[2:]
    for place in others:
        harm = dice.choice(DAMAGES)
        if way == "csv" and "colour" in harm:
            continue  # an unknown column is the whole file's mistake
        if work.is_by_key:
            harm = {name: value for name, value in harm.items() if name in rows[place]}
        else:
            rows[place] = {**TRANSACTIONS.row(0), **rows[place]}
        rows[place] = damaged(rows[place], harm)
    sound = [row for place, row in enumerate(rows) if place not in others]
    for place in superseded:
        rows[place] = {**rows[place], **TRANSACTIONS.only_key(dice.choice(sound))}
