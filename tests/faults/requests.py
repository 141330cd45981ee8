"""A random request over a range of transactions of which nobody else writes any."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.acceptance.rows import Row
from tests.acceptance.subjects import TRANSACTIONS, Table, damaged

VERBS = ("Create", "Update", "Replace", "Upsert", "Delete")
#: Numbers of transactions in a range.
RANGE = 8_000
#: A key outside of every range would be two requests' at once.
DAMAGES = tuple(one for one in TRANSACTIONS.damages if one != {"datetime": "1999-12-31T23:59:59Z"})


@dataclass(frozen=True)
class Request:
    """What is asked for, and how it goes on."""

    verb: str
    rows: list[Row]
    #: inline, csv or ndjson
    way: str
    options: dict[str, Any]
    cancels: bool
    retries: bool

    @property
    def rejects_all(self) -> bool:
        return self.options.get("onError") == "REJECT_ALL"

    @property
    def dry_run(self) -> bool:
        return bool(self.options.get("dryRun"))


def choose(dice: random.Random, first: int, table: Table, largest: int) -> Request:
    """A request for the transactions from the first of a range on, of which some are in the table."""
    numbers = range(first, first + RANGE)
    present = [number for number in numbers if TRANSACTIONS.key_of(TRANSACTIONS.row(number)) in table]
    absent = sorted(set(numbers) - set(present))
    way, count = size(dice, largest)
    verb = dice.choice(VERBS) if len(present) > RANGE // 10 else "Create"
    if verb == "Create" and len(absent) < RANGE // 10:
        verb = "Delete"
    likely, unlikely = (absent, present) if verb == "Create" else (present, absent)
    if verb == "Upsert":
        likely, unlikely = list(numbers), []
    is_bad = dice.random() < 0.35
    wanted = dice.sample(likely, min(count, len(likely)))
    if is_bad:
        wanted += dice.sample(unlikely, min(3, len(unlikely)))
    rows = [row(dice, verb, number) for number in wanted]
    if is_bad:
        damage(dice, verb, way, rows)
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
    return Request(verb, rows, way, options, cancels=count > 1000 and dice.random() < 0.2, retries=dice.random() < 0.5)


def size(dice: random.Random, largest: int) -> tuple[str, int]:
    """The way in, and how many rows take it."""
    turn = dice.random()
    if turn < 0.15:
        return "inline", dice.randint(5, 50)
    if turn < 0.45:
        return "inline", dice.randint(100, min(1_500, largest))
    return dice.choice(("csv", "ndjson")), dice.randint(min(1_000, largest // 2), largest)


def row(dice: random.Random, verb: str, number: int) -> Row:
    """A good row: its key, and what it changes."""
    key = TRANSACTIONS.only_key(TRANSACTIONS.row(number))
    if verb == "Delete":
        return key
    values = {**TRANSACTIONS.row(number + dice.choice((0, 7, 13))), **key}
    if verb == "Update":
        return {**key, **{name: values[name] for name in ("amount", "description") if dice.random() < 0.7}}
    return values


def damage(dice: random.Random, verb: str, way: str, rows: list[Row]) -> None:
    """Make some rows bad ones, and give some keys twice. Whether a damaged row is bad is for the verb to say."""
    places = dice.sample(range(len(rows)), min(14, len(rows)))
    # What else is wrong with a row that a later one supersedes, the expectation does not know: those stay sound.
    superseded, others = places[:2], places[2:]
    for place in others:
        harm = dice.choice(DAMAGES)
        if way == "csv" and "colour" in harm:
            continue  # an unknown column is the whole file's mistake
        if verb == "Delete":
            harm = {name: value for name, value in harm.items() if name in rows[place]}
        else:
            rows[place] = {**TRANSACTIONS.row(0), **rows[place]}
        rows[place] = damaged(rows[place], harm)
    sound = [row for place, row in enumerate(rows) if place not in others]
    for place in superseded:
        rows[place] = {**rows[place], **TRANSACTIONS.only_key(dice.choice(sound))}
