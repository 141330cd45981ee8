"""A number -> that many rows of a table, as a CSV file; the same for the same number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

ACCOUNTS = 100
STATUSES = 5
SHOPS = ("Corner Shop", "Energy, Gas & Water", 'The "Blue" Café', "Rent", "Salary", "Train ticket", "Books, used")
COUNTRIES = ("AT", "CH", "DE", "FR", "IT")
#: Rows that are made at a time: ten million need no more memory than one.
SLICE_ROWS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table, and what the files call its columns."""

    name: str
    #: The GraphQL name of its resource.
    resource: str
    #: Field -> column of the database.
    columns: dict[str, str]


TRANSACTIONS = Table(
    name="ledger_financialtransaction",
    resource="financialTransactions",
    columns={
        "amount": "amount",
        "description": "description",
        "datetime": "datetime",
        "financial_account": "financial_account_id",
        "classification_status": "classification_status_id",
    },
)
CITIES = Table(
    name="places_city",
    resource="cities",
    columns={
        "geoname_id": "geoname_id",
        "name": "name",
        "country": "country_id",
        "latitude": "latitude",
        "longitude": "longitude",
        "population": "population",
        "timezone": "timezone",
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A CSV file with a header of fields."""

    table: Table
    path: Path
    count: int
    #: The header: fields of the table, and `id` where rows are found by it.
    fields: tuple[str, ...]

    def frame(self) -> pl.DataFrame:
        """The rows, all as text."""
        return pl.read_csv(self.path, infer_schema=False)

    def as_json(self) -> list[dict[str, Any]]:
        """The rows of the ledger under their GraphQL names."""
        names = {"financial_account": "financialAccount", "classification_status": "classificationStatus"}
        return self.frame().rename(names, strict=False).to_dicts()

    def as_ndjson(self) -> Path:
        """The rows as a file of JSON lines."""
        path = self.path.with_suffix(".ndjson")
        if not path.exists():
            self.frame().write_ndjson(path)
        return path


def transactions(count: int, directory: Path, *, first: int = 0) -> Rows:
    """The ledger's transactions from a number on. An account has one a second: the ledger's unique key."""
    return stored(
        TRANSACTIONS, f"transactions-{first}", count, directory, lambda start: some_transactions(start + first)
    )


def some_transactions(number: pl.Expr) -> dict[str, pl.Expr]:
    """The columns of the transactions of these numbers."""
    cents = number * 7_919 % 2_000_003 - 1_000_001
    moment = pl.datetime(2026, 1, 1) + pl.duration(seconds=number // ACCOUNTS)
    return {
        "amount": (cents.cast(pl.Decimal(12, 2)) / 100).cast(pl.String),
        "description": pl.format("{} {}", pl.lit(pl.Series(SHOPS)).gather(number % len(SHOPS)), number),
        "datetime": moment.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "financial_account": (number % ACCOUNTS + 1).cast(pl.String),
        "classification_status": (number // 3 % STATUSES + 1).cast(pl.String),
    }


def cities(count: int, directory: Path) -> Rows:
    """As many cities, of which no two have the same geoname_id."""
    return stored(CITIES, "cities", count, directory, some_cities)


def some_cities(number: pl.Expr) -> dict[str, pl.Expr]:
    """The columns of the cities of these numbers."""
    return {
        "geoname_id": (number + 1).cast(pl.String),
        "name": pl.format("City {}", number),
        "country": pl.lit(pl.Series(COUNTRIES)).gather(number % len(COUNTRIES)),
        "latitude": (number % 179 - 89).cast(pl.String),
        "longitude": (number % 359 - 179).cast(pl.String),
        "population": (number * 37 % 1_000_003).cast(pl.String),
        "timezone": pl.lit("Europe/Vienna"),
    }


def stored(
    table: Table, name: str, count: int, directory: Path, columns: Callable[[pl.Expr], dict[str, pl.Expr]]
) -> Rows:
    """The rows as a file, a slice at a time."""
    path = directory / f"{name}-{count}.csv"
    with path.open("wb") as file:
        for start in range(0, count, SLICE_ROWS):
            number = pl.int_range(start, min(start + SLICE_ROWS, count), dtype=pl.Int64)
            pl.select([column.alias(name) for name, column in columns(number).items()]).write_csv(
                file, include_header=start == 0
            )
    return Rows(table=table, path=path, count=count, fields=tuple(table.columns))


def changed(rows: Rows, name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Rows:
    """Other rows, made of these."""
    frame = change(rows.frame())
    path = rows.path.with_name(f"{rows.path.stem}-{name}.csv")
    frame.write_csv(path)
    return Rows(table=rows.table, path=path, count=frame.height, fields=tuple(frame.columns))


def slices(rows: Rows, size: int) -> Iterator[list[dict[str, Any]]]:
    """The rows as JSON, so many at a time."""
    everything = rows.as_json()
    yield from (everything[start : start + size] for start in range(0, len(everything), size))
