"""What the pipeline publishes is what the channel layer delivers."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.db import connections

from bulkql.workers.conf import limits
from bulkql.workers.enums import Verb
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger import totals
from bulkql.workers.messaging import events
from bulkql.workers.messaging.events import from_message, group_of, publish_now
from bulkql.workers.operations import running
from bulkql.workers.operations.running import write_now
from bulkql.workers.resources.registry import resource_named

pytestmark = pytest.mark.django_db(transaction=True)


def test_published_totals_reach_a_member_of_the_group(user):
    inputs = [InputRequest(resource=resource_named("financialAccounts"), rows=[{"name": "Cash"}])]
    operation, _ = accept(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.ASYNC))

    async def listen() -> object:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(group_of(operation.pk), channel)
        await sync_to_async(write_now)(operation)
        try:
            return await asyncio.wait_for(layer.receive(channel), 5)
        finally:
            await sync_to_async(connections.close_all)()
            await layer.group_discard(group_of(operation.pk), channel)

    message = asyncio.run(listen())

    assert from_message(message) == totals.progress(operation.pk)


def test_redis_away_is_no_failure(user, settings, monkeypatch):
    import redis

    nobody = redis.Redis(host="127.0.0.1", port=1)
    monkeypatch.setattr(events, "client", lambda: nobody)
    inputs = [InputRequest(resource=resource_named("financialAccounts"), rows=[{"name": "Cash"}])]
    operation, _ = accept(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.ASYNC))

    publish_now(totals.progress(operation.pk))


def test_totals_of_rows_written_directly_are_known_without_asking(user, monkeypatch):
    published = []
    monkeypatch.setattr(events, "publish_now", published.append)
    rows = [{"name": "Cash"}, {"name": "Cash"}, {"name": None}]
    inputs = [
        InputRequest(resource=resource_named("financialAccounts"), rows=rows),
        InputRequest(resource=resource_named("classificationStatuses"), rows=[{"name": "open"}]),
    ]

    operation = running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.SYNC, chunk_size=2))

    assert published == [totals.progress(operation.pk)]
    assert (published[0].created, published[0].failed) == (2, 2)


def test_burst_goes_out_and_then_an_even_stream(monkeypatch):
    now = watch_at(monkeypatch, 100.0)
    operation_id = uuid4()

    assert [events.is_due(operation_id) for _ in range(events.BURST + 1)] == [*(events.BURST * [True]), False]
    now[0] += 1.5 / limits().events_per_second
    assert [events.is_due(operation_id) for _ in range(2)] == [True, False]


def test_operations_that_ended_in_another_process_are_forgotten(monkeypatch):
    now = watch_at(monkeypatch, 100.0)
    for _ in range(5):
        events.is_due(uuid4())
    now[0] += events.BURST / limits().events_per_second
    latest = uuid4()

    events.is_due(latest)

    assert list(events._due) == [latest]


def watch_at(monkeypatch: pytest.MonkeyPatch, now: float) -> list[float]:
    """A clock that stands still until its only number is set, and no operation that was published before."""
    clock = [now]
    monkeypatch.setattr(events, "monotonic", lambda: clock[0])
    monkeypatch.setattr(events, "_due", {})
    return clock
