"""What a subscriber is told: totals that never go back, not too often, and always the end."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import replace

from bulkql.schema import subscriptions
from bulkql.schema.subscriptions import News, Told, forget_oldest, newest
from bulkql.workers.conf import Limits
from bulkql.workers.enums import State
from bulkql.workers.ledger.totals import Progress


def progress(sequence: int, state: State = State.RUNNING) -> Progress:
    return Progress(
        operation_id=uuid.UUID(int=1),
        owner_id="1",
        sequence=sequence,
        state=state,
        total=100,
        created=sequence,
        updated=0,
        unchanged=0,
        deleted=0,
        failed=0,
        skipped=0,
        message="",
        started_at=None,
        finished_at=None,
    )


def test_snapshot_is_told_at_once():
    assert Told().is_news(progress(0))


def test_totals_never_go_back_and_come_once():
    told = Told()
    told.is_news(progress(5))

    assert not told.is_news(progress(4))
    assert not told.is_news(progress(5))
    assert told.is_news(progress(6))


def test_end_is_the_last():
    told = Told()

    assert told.is_news(progress(6, State.COMPLETED))
    assert told.is_over


def test_ten_events_a_second_at_most_and_of_those_that_wait_the_newest():
    told = Told()
    told.is_news(progress(1))

    began = time.monotonic()
    news = next_of([progress(2), progress(4), progress(3)], told)

    assert news == progress(4)
    assert time.monotonic() - began > 0.09


def test_end_is_told_however_soon_it_comes():
    told = Told()
    told.is_news(progress(1))

    assert next_of([progress(2), progress(3, State.COMPLETED), progress(4)], told) == progress(3, State.COMPLETED)


def test_after_a_pause_news_are_told_at_once():
    told = Told(sequence=1)

    assert next_of([progress(2), progress(3)], told) == progress(2)


def test_silence_and_what_was_told_are_no_news(monkeypatch):
    monkeypatch.setattr(subscriptions, "limits", lambda: Limits(reread_seconds=0))
    told = Told()
    told.is_news(progress(5))

    assert next_of([], told) is None
    assert next_of([progress(5), progress(4)], told) is None


def test_unsubscribing_is_never_lost_however_it_meets_an_item():
    """Each is cancelled in the very step of the loop in which an item comes for it."""

    async def unsubscribe(count: int) -> list[bool]:
        queues: list[asyncio.Queue[Progress]] = [asyncio.Queue() for _ in range(count)]
        listeners = [asyncio.create_task(listen(queue)) for queue in queues]
        await asyncio.sleep(0)
        for queue in queues:
            queue.put_nowait(progress(1))
        # The item is on its way to the listener, which has not run since.
        await asyncio.sleep(0)
        for listener in listeners:
            listener.cancel()
        done, _ = await asyncio.wait(listeners, timeout=1)
        for listener in listeners:
            listener.cancel()
        return [listener in done for listener in listeners]

    async def listen(queue: asyncio.Queue[Progress]) -> None:
        told = Told()
        while True:
            await newest(queue, told)

    assert asyncio.run(unsubscribe(200)) == [True] * 200


def next_of(messages: list[Progress], told: Told) -> Progress | None:
    """What a subscriber is told next where these have come."""

    async def ask() -> Progress | None:
        queue: asyncio.Queue[Progress] = asyncio.Queue()
        for message in messages:
            queue.put_nowait(message)
        return await newest(queue, told)

    return asyncio.run(ask())


def test_of_operations_that_are_over_the_last_ones_are_remembered(monkeypatch):
    monkeypatch.setattr(subscriptions, "KEPT_ENDS", 2)
    known = {uuid.UUID(int=number): Told(is_over=number != 1) for number in range(5)}

    forget_oldest(known)

    assert [one.int for one in known] == [1, 3, 4]


def test_of_what_waits_for_a_slow_subscriber_each_operations_newest_is_kept():
    news, other = News(), uuid.UUID(int=2)
    for sequence in (1, 3, 2, 4):
        news.put_nowait(progress(sequence))
        news.put_nowait(replace(progress(sequence), operation_id=other))
    news.put_nowait(progress(5, State.COMPLETED))

    told = [news.get_nowait() for _ in range(news.qsize())]

    assert [(one.operation_id.int, one.sequence) for one in told] == [(1, 5), (2, 4)]
    assert news.empty()
