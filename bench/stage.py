"""What a case has to work with, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.client import Client
from bench.database import Database
from bench.service import Service
from bench.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The running service, a client of it, its database as the work wants it, and the work."""

    service: Service
    client: Client
    database: Database
    work: Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One run of a case."""

    #: From the client's first byte until the client knows that all is committed, unless the case says otherwise.
    seconds: float
    #: Seconds of its parts, by name.
    parts: dict[str, float] = field(default_factory=dict)
    #: Events that the subscription brought.
    events: int = 0
    #: Events a second, where they are counted.
    events_per_second: float = 0
