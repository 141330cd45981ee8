"""Each verb, the rows that it is given, and what they must come to. A new one is an entry of WORK."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from tests.acceptance.expectation import Expectation, expect
from tests.acceptance.rows import START, Row
from tests.acceptance.subjects import TRANSACTIONS, Table

#: Numbers of transactions in a range.
RANGE = 8_000


@dataclass(frozen=True)
class Range:
    """The transactions of which nobody else writes any: the numbers in the table, and those that are not."""

    first: int
    present: list[int]
    absent: list[int]

    @property
    def all(self) -> list[int]:
        return list(range(self.first, self.first + RANGE))


def whole(dice: random.Random, number: int) -> Row:
    """A row of all fields, of values of three kinds, so that some of them change."""
    return {**TRANSACTIONS.row(number + dice.choice((0, 7, 13))), **only_key(dice, number)}


def partial(dice: random.Random, number: int) -> Row:
    values = whole(dice, number)
    some = {name: values[name] for name in ("amount", "description") if dice.random() < 0.7}
    return {**only_key(dice, number), **some}


def only_key(dice: random.Random, number: int) -> Row:
    return TRANSACTIONS.only_key(TRANSACTIONS.row(number))


def rows_alone(first: int) -> dict[str, Any]:
    return {}


def where_in_range(first: int) -> dict[str, Any]:
    """A filter for the rows of a range."""
    begin, end = (START + timedelta(minutes=number) for number in (first, first + RANGE))
    return {"datetime": {"gte": begin.isoformat(), "lt": end.isoformat()}}


def within_range(first: int) -> dict[str, Any]:
    """A sync of all that is in a range; nobody is kept from deleting most of it."""
    return {"where": where_in_range(first), "deleteMissing": True, "maxDeletePercent": 100}


def as_verb(verb: str) -> Callable[[Table, list[Row]], Expectation]:
    return lambda table, rows: expect(verb, TRANSACTIONS, table, rows)


def with_missing(table: Table, rows: list[Row]) -> Expectation:
    """An upsert, and behind its rows those of the table that no row names; none where a row's key cannot be read."""
    expected = expect("Upsert", TRANSACTIONS, table, rows)
    keys = [TRANSACTIONS.key_of(row) for row in rows]
    if None in keys:
        return expected
    missing = [key for key in table if key not in set(keys)]
    return replace(
        expected,
        table={key: row for key, row in expected.table.items() if key not in set(missing)},
        outcomes=[*expected.outcomes, *["DELETED"] * len(missing)],
        keys=[*expected.keys, *missing],
    )


@dataclass(frozen=True, kw_only=True)
class Work:
    """A verb, as the mixed work has it."""

    #: As in bulkCreate.
    verb: str
    row: Callable[[random.Random, int], Row]
    #: The numbers that its rows are likely to name, and a few beside them that make some verbs' rows bad ones.
    likely: Callable[[Range], list[int]]
    unlikely: Callable[[Range], list[int]] = lambda _: []
    #: What its input says beside its rows; it is told the first number of the range.
    says: Callable[[int], dict[str, Any]] = rows_alone
    #: A table and rows -> what becomes of both.
    expected: Callable[[Table, list[Row]], Expectation]
    #: Whether the fields of a row are its key alone.
    is_by_key: bool = False
    #: Whether a retry does the same with the rows that it takes up.
    is_retried: bool = True


WORK = {
    "Create": Work(
        verb="Create",
        row=whole,
        likely=lambda of: of.absent,
        unlikely=lambda of: of.present,
        expected=as_verb("Create"),
    ),
    "Update": Work(
        verb="Update",
        row=partial,
        likely=lambda of: of.present,
        unlikely=lambda of: of.absent,
        expected=as_verb("Update"),
    ),
    "Replace": Work(
        verb="Replace",
        row=whole,
        likely=lambda of: of.present,
        unlikely=lambda of: of.absent,
        expected=as_verb("Replace"),
    ),
    "Upsert": Work(verb="Upsert", row=whole, likely=lambda of: of.all, expected=as_verb("Upsert")),
    "Delete": Work(
        verb="Delete",
        row=only_key,
        likely=lambda of: of.present,
        unlikely=lambda of: of.absent,
        expected=as_verb("Delete"),
        is_by_key=True,
    ),
    "Sync": Work(verb="Sync", row=whole, likely=lambda of: of.all, expected=as_verb("Upsert")),
    "Sync, deleteMissing": Work(
        verb="Sync",
        row=whole,
        likely=lambda of: of.all,
        says=within_range,
        expected=with_missing,
        # It deletes what was missing then, and looks for no others.
        is_retried=False,
    ),
}


def choose_work(dice: random.Random, of: Range) -> Work:
    """Any, but for those that find too little to do."""
    name = dice.choice(list(WORK)) if len(of.present) > RANGE // 10 else "Create"
    return WORK["Delete" if name == "Create" and len(of.absent) < RANGE // 10 else name]
