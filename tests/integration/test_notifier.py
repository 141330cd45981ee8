"""Messages wake the workers that wait for them, and few rows overtake many."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from dramatiq import Message

from bulkql.workers.messaging.broker import broker
from bulkql.workers.messaging.dispatch import SMALL_BYTES, SMALL_QUEUE, SMALL_ROWS, send_for
from bulkql.workers.messaging.notifier import Notifier
from bulkql.workers.models import Input, Upload

#: Far less than consumers sleep here, and far more than a message takes.
SOON_SECONDS = 20
ASLEEP_MS = 10 * 60 * 1_000


@pytest.fixture
def queue() -> Iterator[str]:
    yield "test_bell"
    broker.flush("test_bell")


def message(queue: str) -> Message[None]:
    return Message(queue_name=queue, actor_name="anything", args=(), kwargs={}, options={})


def test_message_wakes_a_consumer_that_sleeps(queue):
    found = []
    consumer = broker.consume(queue, prefetch=1, timeout=ASLEEP_MS)

    def consume() -> None:
        while not found:
            if (one := next(consumer)) is not None:
                found.append(one)

    thread = threading.Thread(target=consume, daemon=True)
    thread.start()
    sent = broker.enqueue(message(queue))
    thread.join(SOON_SECONDS)

    assert [one.message_id for one in found] == [sent.message_id]
    consumer.ack(found[0])


def test_done_message_makes_room_for_the_next(queue):
    consumer = broker.consume(queue, prefetch=1, timeout=ASLEEP_MS)
    for _ in range(2):
        broker.enqueue(message(queue))
    first = next(consumer)
    second: list[object] = []

    def consume() -> None:
        while not second:
            if (one := next(consumer)) is not None:
                second.append(one)

    thread = threading.Thread(target=consume, daemon=True)
    thread.start()
    consumer.ack(first)
    thread.join(SOON_SECONDS)

    assert len(second) == 1


def test_heard_between_the_question_and_the_sleep(queue):
    notifier = Notifier(broker.client)
    count = notifier.count
    notifier.wake()

    thread = threading.Thread(target=notifier.wait, args=(count, ASLEEP_MS / 1_000), daemon=True)
    thread.start()
    thread.join(SOON_SECONDS)

    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("one", "is_small"),
    [
        (Input(total=SMALL_ROWS), True),
        (Input(total=SMALL_ROWS + 1), False),
        (Input(upload=Upload(size=SMALL_BYTES)), True),
        (Input(upload=Upload(size=SMALL_BYTES + 1)), False),
        (Input(upload=Upload(size=SMALL_BYTES), total=SMALL_ROWS + 1), False),
    ],
)
def test_small_inputs_have_a_queue_of_their_own(one, is_small):
    before = {queue: broker.client.llen(f"{broker.namespace}:{queue}") for queue in ("default", SMALL_QUEUE)}

    send_for(one, "write_chunk", 7)

    after = {queue: broker.client.llen(f"{broker.namespace}:{queue}") for queue in before}
    assert after == {
        "default": before["default"] + (not is_small),
        SMALL_QUEUE: before[SMALL_QUEUE] + is_small,
    }
