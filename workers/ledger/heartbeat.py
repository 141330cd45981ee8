"""Leases that this process holds -> extended while it lives. Who falls silent is taken over when they run out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field

from django.db import DatabaseError, InterfaceError, connection, connections
from django.db.models import Exists, Q

from bulkql.workers.backends import backend
from bulkql.workers.conf import limits
from bulkql.workers.ledger import claims
from bulkql.workers.ledger.claims import Claimed

logger = logging.getLogger("bulkql")

#: Seconds that reading a file, or writing an operation as a whole, may take at most.
WHOLE_SECONDS = 24 * 60 * 60
#: Beats in the time of a lease: two may be missed, on a machine that is out of breath.
BEATS = 4
#: Seconds after which a lease is given back again where the database was away: until then its work waits for nobody.
AGAIN_SECONDS = 0.25


@dataclass(eq=False, slots=True)
class Held:
    """A lease that is to be extended."""

    claimed: Claimed
    #: What else must hold, asked of the row with each beat.
    conditions: tuple[Q | Exists, ...]
    #: When it is extended no more, by time.monotonic(): whoever hangs that long is given up.
    ends_at: float
    #: Seconds that it is extended for at most, from when the work last went on.
    seconds: float = 0
    #: Set for as long as the work is to go on in these hands.
    goes_on: threading.Event = field(default_factory=threading.Event)
    #: The work is done, and the lease could not be given back: the database was away.
    is_left: bool = False
    #: It is, because the database was away.
    was_away: bool = False


class Heartbeat:
    """One thread for all leases of a process; it sleeps where there are none."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: list[Held] = []
        self._thread: threading.Thread | None = None

    @contextmanager
    def keeping(self, claimed: Claimed, *conditions: Q | Exists, seconds: float) -> Iterator[threading.Event]:
        """Extend a lease for so many seconds at most; the event is set for as long as the work is to go on."""
        held = Held(claimed, conditions, time.monotonic() + seconds, seconds)
        held.goes_on.set()
        token = _in_hand.set(held)
        # SQLite has one writer, and that may be the work itself; and a transaction of the caller's nobody sees into:
        # nobody can take such a lease, nor extend it.
        if backend(connection.alias).supports_concurrent_writers and not connection.in_atomic_block:
            self._add(held)
        try:
            yield held.goes_on
        finally:
            _in_hand.reset(token)
            self._remove(held)

    def goes_on(self) -> None:
        """A part of the work in hand is done: its lease may be extended for as long again."""
        held = _in_hand.get()
        if held is not None:
            held.ends_at = time.monotonic() + held.seconds

    def give_back(self, claimed: Claimed, *, was_away: bool = False) -> None:
        """Release a lease: for another try, or for its end. Where the database is away, as soon as it is back."""
        try:
            if not connection.in_atomic_block:  # Django would close a sound one
                # What was done last may have broken the connection.
                connection.close_if_unusable_or_obsolete()
            claims.release(claimed, was_away=was_away)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("a lease could not be given back yet: %s", type(error).__name__)
            ends_at = time.monotonic() + limits().chunk_seconds
            self._add(Held(claimed, (), ends_at, is_left=True, was_away=was_away))

    def give_back_all(self) -> None:
        """Release all leases of a process that ends: what it has not committed, others begin anew."""
        for held in list(self._held):
            self._remove(held)
            with suppress(DatabaseError, InterfaceError):
                claims.abandon(held.claimed)

    def _add(self, held: Held) -> None:
        with self._changed:
            self._held.append(held)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="bulkql-heartbeat", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _remove(self, held: Held) -> None:
        with self._changed:
            if held in self._held:
                self._held.remove(held)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._held)
            beat_at = time.monotonic() + limits().lease_seconds / BEATS
            while self._has_left_until(beat_at):
                time.sleep(AGAIN_SECONDS)
                self._each(self._give_up, [held for held in self._held if held.is_left])
            self._each(self._beat, [held for held in self._held if not held.is_left])

    def _has_left_until(self, end: float) -> bool:
        """Wait until then for leases that are to be given back; whether there are any."""
        with self._changed:
            return self._changed.wait_for(
                lambda: time.monotonic() < end and any(held.is_left for held in self._held), end - time.monotonic()
            )

    def _each(self, what: Callable[[Held], None], some: list[Held]) -> None:
        try:
            for held in some:
                what(held)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("heartbeat: the database cannot be reached (%s)", type(error).__name__)
        finally:
            # Between two beats the connection is for others.
            connections.close_all()

    def _give_up(self, held: Held) -> None:
        claims.release(held.claimed, was_away=held.was_away)
        self._remove(held)

    def _beat(self, held: Held) -> None:
        if time.monotonic() > held.ends_at or not claims.hold(held.claimed, *held.conditions):
            held.goes_on.clear()
            self._remove(held)


#: What this thread works on, and holds a lease of.
_in_hand: ContextVar[Held | None] = ContextVar("in_hand", default=None)

heartbeat = Heartbeat()
