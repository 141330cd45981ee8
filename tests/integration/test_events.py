"""What the pipeline publishes is what the channel layer delivers."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.db import connections

from bulkql.workers.enums import Verb
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger import totals
from bulkql.workers.messaging import events
from bulkql.workers.messaging.events import from_message, group_of, send
from bulkql.workers.operations.steps import write_now
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

    send(totals.progress(operation.pk))
