"""A row that is done -> more time for the rest of its chunk: whoever goes on is not taken for one who hangs."""

from __future__ import annotations

from bulkql.workers.conf import limits
from bulkql.workers.ledger.heartbeat import heartbeat
from bulkql.workers.messaging.broker import grant_time


def row_done() -> None:
    """The lease of the work in hand, and the time that its message may take, begin anew."""
    heartbeat.goes_on()
    grant_time(limits().chunk_seconds)
