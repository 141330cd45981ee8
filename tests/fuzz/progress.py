"""How far a fuzz is: a line a minute, and a table at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

#: Seconds between two lines.
TOLD = 60


class Progress:
    """Tells now and then how many cases have been tried."""

    def __init__(self, console: Console, cases: int) -> None:
        self._console, self._cases = console, cases
        self._begun = self._told = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begun

    def tell(self, done: int, faults: object = "") -> None:
        if time.monotonic() - self._told > TOLD:
            self._told = time.monotonic()
            self._console.print(
                f"{done:,} of {self._cases:,} cases, {self.seconds:,.0f} s; faults: {faults}", markup=False
            )


def table_of(title: str, figures: Mapping[str, object]) -> Table:
    grid = Table("what", "count", title=title)
    for name, figure in figures.items():
        grid.add_row(name, f"{figure:,}" if isinstance(figure, int | float) else str(figure))
    return grid
