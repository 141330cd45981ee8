"""What a case has to work with, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.client import Client
from bench.database import Database
from bench.rows import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A client of the running service, its database with an empty table of transactions, and the rows to write."""

    client: Client
    database: Database
    rows: Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One run of a case."""

    #: From the client's first byte until the client knows that all is committed.
    seconds: float
    #: Seconds of its parts, by name.
    parts: dict[str, float] = field(default_factory=dict)
    #: Events that the subscription brought.
    events: int = 0
