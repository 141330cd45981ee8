"""Figures -> whether they are as good as we aim at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """At most, or at least, so much of one measure."""

    #: ratio, seconds, rows_per_second, seconds_per_row, events_per_second, peak_bytes, or the name of a part.
    measure: str
    most: float | None = None
    least: float | None = None
    #: The case of whose own figure it is a multiple.
    beside: str = ""

    @property
    def text(self) -> str:
        """<= 1.3 x limit."""
        if self.most is not None:
            return f"<= {self.shown(self.most)}"
        return f">= {self.shown(self.least or 0)}"

    def is_met(self, value: float) -> bool:
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    def shown(self, value: float) -> str:
        """A value of the measure, with its unit."""
        if self.beside:
            return f"{value:.2f} x {NAMES.get(self.measure, self.measure)} of {self.beside}"
        return UNITS.get(self.measure, seconds)(value)


def seconds(value: float) -> str:
    """Milliseconds where seconds would say nothing."""
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.0f} ms"


UNITS: dict[str, Callable[[float], str]] = {
    "ratio": lambda value: f"{value:.2f} x limit",
    "rows_per_second": lambda value: f"{value:,.0f} rows/s",
    "events_per_second": lambda value: f"{value:.1f} events/s",
    "peak_bytes": lambda value: f"{value / MEGABYTE:.0f} MB",
}
NAMES = {"seconds_per_row": "the cost per row", "peak_bytes": "the peak memory"}
