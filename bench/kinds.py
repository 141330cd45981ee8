"""What it takes to check values of each kind, a column at a time, in a process without a database.

`python -m bench.kinds --values 100000`: a line for each spelling of a field, with the microseconds a value.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from statistics import median
from time import perf_counter
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

START = datetime(2020, 1, 1)
STEP = timedelta(seconds=61)
REPETITIONS = 3

#: A field, how its values are spelled, and the value of each row.
SPELLINGS: tuple[tuple[str, str, Callable[[int], str]], ...] = (
    ("TextField", "a text", lambda row: f"text {row}"),
    ("EmailField", "an address", lambda row: f"user.{row}@example.com"),
    ("URLField", "https", lambda row: f"https://www.example.com/{row}?a=1"),
    ("SlugField", "a slug", lambda row: f"slug-{row}"),
    ("RegexValidator", r"^[A-Z]{2}-\d+$", lambda row: f"AB-{row}"),
    ("IntegerField", "7", str),
    ("IntegerField", "7.0", lambda row: f"{row}.0"),
    ("DecimalField", "1.25", lambda row: f"{row}.25"),
    ("FloatField", "1.25", lambda row: f"{row}.25"),
    ("BooleanField", "true", lambda row: "true" if row % 2 else "false"),
    ("DateField", "2020-01-01", lambda row: (START + row % 3_000 * timedelta(days=1)).date().isoformat()),
    ("TimeField", "10:11:12.000013", lambda row: f"10:11:12.{row:06}"),
    ("DateTimeField", "2020-01-01T10:11:12Z", lambda row: f"{(START + row * STEP).isoformat()}Z"),
    ("DateTimeField", "2020-01-01 10:11:12+00:00", lambda row: f"{START + row * STEP}+00:00"),
    ("DateTimeField", "2020-01-01 10:11:12", lambda row: str(START + row * STEP)),
    ("DurationField", "1 02:03:04", lambda row: f"{row % 30} 02:03:{row % 60:02}.{row:06}"),
    ("UUIDField", "with dashes", lambda row: str(UUID(int=row))),
    ("UUIDField", "without", lambda row: UUID(int=row).hex),
    ("GenericIPAddressField", "10.0.0.1", lambda row: f"10.{row // 65_536}.{row // 256 % 256}.{row % 256}"),
    ("GenericIPAddressField", "::1", lambda row: f"2001:db8::{row % 65_536:x}:{row // 65_536 + 1:x}"),
    ("JSONField", "an object", lambda row: f'{{"score": {row}, "tags": ["a", "b"]}}'),
)


def main(values: Annotated[int, typer.Option(help="Distinct values of each kind.")] = 100_000) -> None:
    """Check them, and print what a value takes: the median of three times."""
    os.environ |= {"SECRET_KEY": "none is needed", "DJANGO_SETTINGS_MODULE": "bulkql.server.settings"}
    import django

    django.setup()

    table = Table("field", "spelled", "ms", "µs a value", title=f"{values:,} values of each kind")
    for name, spelling, seconds in measured(values):
        table.add_row(name, spelling, f"{seconds * 1e3:.1f}", f"{seconds / values * 1e6:.2f}")
    Console().print(table)


def measured(values: int) -> Iterator[tuple[str, str, float]]:
    """A field, its spelling and the seconds that its values took."""
    import polars as pl

    from bulkql.workers.columns.column import column_for
    from bulkql.workers.validation.values import parsed

    for name, spelling, spell in SPELLINGS:
        field = field_of(name)
        field.set_attributes_from_name("value")
        column, frame = column_for(field), pl.DataFrame({"value": list(map(spell, range(values)))})
        times = []
        for _ in range(REPETITIONS):
            started = perf_counter()
            _, errors = parsed([column], frame)
            times.append(perf_counter() - started)
            if not errors.is_empty():
                raise SystemExit(f"{name} refuses {errors['message'][0]}")
        yield name, spelling, median(times)


def field_of(name: str) -> Any:
    """A field as models have it."""
    from django.core.validators import RegexValidator
    from django.db import models

    if name == "RegexValidator":
        return models.CharField(validators=[RegexValidator(r"^[A-Z]{2}-\d+$")])
    options = {"DecimalField": {"max_digits": 12, "decimal_places": 2}}.get(name, {})
    return getattr(models, name)(**options)


if __name__ == "__main__":
    typer.run(main)
