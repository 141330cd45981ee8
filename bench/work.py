"""A number of rows -> what a case is to do: the table before, the file that is sent, the table after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bench.rows import ACCOUNTS, Rows, changed, cities, transactions

#: One row in so many is bad.
BAD_EVERY = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is to be done, and how to tell that it was done."""

    before: Rows | None = None
    sent: Rows
    #: Small requests beside it.
    more: Rows | None = None
    #: None for an empty table.
    after: Rows | None
    #: Rows that must fail, all with this code.
    failed: int = 0
    code: str = ""
    #: The same without the bad rows, and the table after it: what those are held against.
    clean: Work | None = None


def create(count: int, directory: Path) -> Work:
    """New rows in an empty table."""
    rows = transactions(count, directory)
    return Work(sent=rows, after=rows)


def export(count: int, directory: Path) -> Work:
    """All rows are there, and stay."""
    rows = transactions(count, directory)
    return Work(before=rows, sent=rows, after=rows)


def create_with_more(count: int, directory: Path) -> Work:
    """New rows in an empty table, and five hundred more that are sent beside them."""
    return Work(
        sent=transactions(count, directory),
        more=transactions(500, directory, first=count),
        after=transactions(count + 500, directory),
    )


def upsert(count: int, directory: Path) -> Work:
    """Every second row is there, with another amount and description."""
    rows = transactions(count, directory)
    before = changed(rows, "before", lambda frame: other(frame.gather_every(2)))
    return Work(before=before, sent=rows, after=rows)


def rewrite(count: int, directory: Path) -> Work:
    """All rows are there, each with another amount and description."""
    rows = transactions(count, directory)
    return Work(before=changed(rows, "all-other", other), sent=rows, after=rows)


def sync(count: int, directory: Path) -> Work:
    """All rows are there, and one of a hundred with another amount and description."""
    rows = transactions(count, directory)
    before = changed(
        rows, "few-other", lambda frame: pl.concat([other(frame.filter(is_bad())), frame.filter(~is_bad())])
    )
    return Work(before=before, sent=rows, after=rows)


def update(count: int, directory: Path) -> Work:
    """All rows are there; three fields of each change, by id."""
    after = transactions(count, directory)
    before = changed(after, "before", other)
    sent = changed(
        after,
        "by-id",
        lambda frame: with_ids(frame).select("id", "amount", "description", "classification_status"),
    )
    return Work(before=before, sent=sent, after=after)


def delete(count: int, directory: Path) -> Work:
    """Every second row of twice as many goes, by id."""
    before = transactions(2 * count, directory)
    sent = changed(before, "ids", lambda frame: with_ids(frame).select("id").gather_every(2))
    return Work(before=before, sent=sent, after=changed(before, "rest", lambda frame: frame.gather_every(2, 1)))


def everything_by_id(count: int, directory: Path) -> Work:
    """The six columns of the ledger: its fields, and the id."""
    rows = changed(transactions(count, directory), "six", with_ids)
    return Work(sent=rows, after=None)


def wrong_type(count: int, directory: Path) -> Work:
    """Amounts that are no numbers."""
    return spoiled(transactions(count, directory), "INVALID", amount=pl.lit("a lot"))


def missing_reference(count: int, directory: Path) -> Work:
    """Accounts that are not there."""
    return spoiled(transactions(count, directory), "REFERENCE_NOT_FOUND", financial_account=pl.lit(str(ACCOUNTS + 1)))


def check_constraint(count: int, directory: Path) -> Work:
    """Cities with fewer people than none, which only the database's check constraint forbids."""
    return spoiled(cities(count, directory), "CONSTRAINT", population=pl.lit("-1"))


def duplicate(count: int, directory: Path) -> Work:
    """Rows with the key of the row after them."""
    key = {name: pl.col(name).shift(-1) for name in ("datetime", "financial_account")}
    return spoiled(transactions(count, directory), "DUPLICATE_IN_REQUEST", **key)


def already_there(count: int, directory: Path) -> Work:
    """Rows whose key the table has."""
    rows = transactions(count, directory)
    before = changed(rows, "there", lambda frame: other(frame.filter(is_bad())))
    after = changed(
        rows, "beside-there", lambda frame: pl.concat([other(frame.filter(is_bad())), frame.filter(~is_bad())])
    )
    work = spoiled(rows, "ALREADY_EXISTS")
    return Work(before=before, sent=work.sent, after=after, failed=work.failed, code=work.code, clean=work.clean)


def spoiled(rows: Rows, code: str, **columns: pl.Expr) -> Work:
    """One row in a hundred gets these values, and fails."""
    values = [pl.when(is_bad()).then(value).otherwise(name).alias(name) for name, value in columns.items()]
    sent = changed(rows, "spoiled", lambda frame: frame.with_columns(values))
    good = changed(rows, "good", lambda frame: frame.filter(~is_bad()))
    return Work(sent=sent, after=good, failed=rows.count - good.count, code=code, clean=Work(sent=rows, after=rows))


def is_bad() -> pl.Expr:
    """In the middle of each hundred."""
    return pl.int_range(pl.len()) % BAD_EVERY == BAD_EVERY // 2


def other(frame: pl.DataFrame) -> pl.DataFrame:
    """The same keys with other values."""
    return frame.with_columns(
        amount=pl.lit("0.01"), description=pl.lit("As it was before"), classification_status=pl.lit("1")
    )


def with_ids(frame: pl.DataFrame) -> pl.DataFrame:
    """With the ids that the rows have in a table that was filled with them."""
    return frame.select(pl.int_range(1, pl.len() + 1).cast(pl.String).alias("id"), pl.all())
