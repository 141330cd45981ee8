"""Rows among which unique values change hands -> written together, each wherever the end allows it.

First the values that others take are taken away from their rows, then all rows are written. If one of the former turns
out to be bad, it keeps what it had, and so whoever wanted that keeps his own: then all is rolled back, and done again
without those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import polars as pl
from django.db import IntegrityError, OperationalError, connections, transaction

from bulkql.workers.frames import GIVES_TO, row_numbers

#: A row of the operation: its input, and its index there.
Row = tuple[int, int]
T = TypeVar("T")

#: Times that rows are written before nothing is taken away any more. Two will do, but for rules that look at others.
ROUNDS = 5


@dataclass(slots=True)
class Trades:
    """Who takes what a row gives up, and which rows keep what they have after all."""

    takers: dict[Row, list[Row]] = field(default_factory=lambda: defaultdict(list))
    staying: set[Row] = field(default_factory=set)

    def add(self, input_id: int, row_start: int, raw: pl.DataFrame) -> None:
        """The trades of a chunk's rows."""
        if GIVES_TO in raw.columns:
            pairs = raw.select(row_numbers().alias("row"), GIVES_TO).explode(GIVES_TO).drop_nulls()
            for row, taker in pairs.iter_rows():
                self.takers[input_id, row + row_start].append((input_id, taker))

    def keep(self, rows: Iterable[Row]) -> None:
        """These rows stay as they are, and so do all that wait for what they have."""
        waiting = [row for row in rows if row not in self.staying]
        while waiting:
            row = waiting.pop()
            if row not in self.staying:
                self.staying.add(row)
                waiting += self.takers.get(row, ())


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was taken away from whom, and which rows turned out bad."""

    vacated: set[Row]
    failed: set[Row]
    #: Foreign keys that were taken away stood for no row meanwhile, and are to be checked.
    are_dangling: bool = False


def traded(alias: str, trades: Trades, attempt: Callable[[], tuple[T, Attempt]]) -> T:
    """Attempt to write until no row that gave up its values turns out bad; gives what the last attempt made."""
    for number in range(ROUNDS + 1):
        if number == ROUNDS:
            trades.keep(list(trades.takers))
        with transaction.atomic(using=alias):
            made, found = attempt()
            bad = found.vacated & found.failed
            # A bad row has its stand-in still, which is no foreign key of anything.
            if found.are_dangling and not bad:
                check_references(alias)
            transaction.set_rollback(bool(bad), using=alias)
        if not bad:
            break
        trades.keep(bad)
    return made


def check_references(alias: str) -> None:
    """Foreign keys whose check was put off; raises OperationalError where a target went: the next try names the row."""
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except IntegrityError as error:
        raise OperationalError("a target of a foreign key is gone") from error.__cause__
