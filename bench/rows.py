"""A number -> that many of the ledger's transactions, as a file and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

ACCOUNTS = 100
STATUSES = 5
SHOPS = ("Corner Shop", "Energy, Gas & Water", 'The "Blue" Café', "Rent", "Salary", "Train ticket", "Books, used")


@dataclass(frozen=True, slots=True)
class Rows:
    """`frame`: amount, description, datetime, financial_account and classification_status, all as text."""

    frame: pl.DataFrame
    #: The rows as a CSV file with a header.
    path: Path

    @property
    def count(self) -> int:
        return self.frame.height

    def as_json(self) -> list[dict[str, str]]:
        """The rows under their GraphQL names."""
        names = {"financial_account": "financialAccount", "classification_status": "classificationStatus"}
        return self.frame.rename(names).to_dicts()


def transactions(count: int, directory: Path) -> Rows:
    """The same rows for the same count. An account has one transaction a second: the ledger's unique key."""
    number = pl.int_range(count, dtype=pl.Int64)
    cents = number * 7_919 % 2_000_003 - 1_000_001
    moment = pl.datetime(2026, 1, 1) + pl.duration(seconds=number // ACCOUNTS)
    frame = pl.select(
        amount=(cents.cast(pl.Decimal(12, 2)) / 100).cast(pl.String),
        description=pl.format("{} {}", pl.lit(pl.Series(SHOPS)).gather(number % len(SHOPS)), number),
        datetime=moment.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        financial_account=(number % ACCOUNTS + 1).cast(pl.String),
        classification_status=(number // 3 % STATUSES + 1).cast(pl.String),
    )
    path = directory / f"transactions-{count}.csv"
    frame.write_csv(path)
    return Rows(frame, path)
