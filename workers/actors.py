"""dramatiq messages -> the pipeline. Messages carry ids only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

import dramatiq

from bulkql.workers.conf import limits
from bulkql.workers.errors import WorkFailed, place_of
from bulkql.workers.ledger.heartbeat import WHOLE_SECONDS
from bulkql.workers.messaging.broker import broker
from bulkql.workers.messaging.dispatch import SMALL_QUEUE
from bulkql.workers.operations import steps
from bulkql.workers.rescue import Rescue
from bulkql.workers.webhooks import deliveries
from bulkql.workers.webhooks.deliveries import ROUND_SECONDS

T = TypeVar("T", int, UUID)

#: dramatiq's priorities, the lower first: few rows do not wait behind many. They have a queue of their own as well, or
#: they would wait in Redis behind messages that a worker does not take yet.
SMALL, LARGE = 0, 1

#: Past this time another worker takes over a chunk, and this one only stands in the way.
CHUNK_MS = limits().chunk_seconds * 1_000
#: A file may be large, and so may all of an operation's rows. Their lease is extended as long as the process lives.
WHOLE_MS = WHOLE_SECONDS * 1_000
#: A round of webhooks, and the one that was begun at its end.
DELIVERY_MS = (ROUND_SECONDS + 3 * limits().webhook_seconds) * 1_000


@dramatiq.actor(actor_name="write_chunk", broker=broker, time_limit=CHUNK_MS, priority=LARGE)
def handle_chunk(chunk_id: int) -> None:
    """Write one chunk."""
    work(steps.write_chunk, chunk_id)


@dramatiq.actor(actor_name="read_input", broker=broker, time_limit=WHOLE_MS, priority=LARGE)
def handle_input(input_id: int) -> None:
    """Read one upload into chunks."""
    work(steps.read_input, input_id)


@dramatiq.actor(actor_name="write_operation", broker=broker, time_limit=WHOLE_MS, priority=LARGE)
def handle_operation(operation_id: str) -> None:
    """Write an operation that is one transaction."""
    work(steps.write_operation, UUID(operation_id))


@dramatiq.actor(actor_name="deliver", queue_name=SMALL_QUEUE, broker=broker, time_limit=DELIVERY_MS, priority=LARGE)
def handle_deliveries(_: str) -> None:
    """Send the webhooks that are due."""
    work(lambda _: deliveries.deliver_due(), 0)


def work(step: Callable[[T], object], identifier: T) -> None:
    """Do a step; its failure goes to the queue's retries, without what the exception may quote.

    dramatiq writes exceptions to its log, and their tracebacks into the message that it sends again.
    """
    try:
        step(identifier)
    except Exception as error:
        raise WorkFailed(place_of(error)) from None


handle_small_chunk = dramatiq.actor(
    actor_name="write_small_chunk", queue_name=SMALL_QUEUE, broker=broker, time_limit=CHUNK_MS, priority=SMALL
)(handle_chunk.fn)
handle_small_input = dramatiq.actor(
    actor_name="read_small_input", queue_name=SMALL_QUEUE, broker=broker, time_limit=CHUNK_MS, priority=SMALL
)(handle_input.fn)

broker.add_middleware(Rescue())
