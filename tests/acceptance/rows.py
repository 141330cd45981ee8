"""Transactions for the acceptance tests."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

Row = dict[str, Any]

START = datetime(2020, 1, 1, tzinfo=UTC)


def transactions(count: int, start: int = 0) -> list[Row]:
    """Good rows, each with a key of its own, as inline rows give them."""
    return [
        {
            "amount": f"{number % 1000}.{number % 100:02d}",
            "description": f'Transaction {number}, "quoted"',
            "datetime": (START + timedelta(minutes=number)).isoformat().replace("+00:00", "Z"),
            "financialAccount": str(number % 100 + 1),
            "classificationStatus": str(number % 3 + 1),
        }
        for number in range(start, start + count)
    ]


def write_csv(path: Path, rows: Iterable[Row]) -> Path:
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_ndjson(path: Path, rows: Iterable[Row]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def write_parquet(path: Path, rows: Iterable[Row]) -> Path:
    pl.DataFrame(list(rows)).write_parquet(path)
    return path
