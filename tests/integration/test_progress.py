"""What the pipeline publishes is what the channel layer delivers."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.db import connections

from workers import ledger
from workers.intake import accept
from workers.models import Kind
from workers.operations import write_now
from workers.progress import from_message, group_of, send
from workers.requests import BulkRequest, Mode, Rows
from workers.resources import resource_named

pytestmark = pytest.mark.django_db(transaction=True)


def test_published_totals_reach_a_member_of_the_group(user):
    inputs = [Rows(resource=resource_named("financialAccounts"), rows=[{"name": "Cash"}])]
    operation, _ = accept(BulkRequest(kind=Kind.CREATE, user=user, inputs=inputs, mode=Mode.ASYNC))

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

    assert from_message(message) == ledger.progress(operation.pk)


def test_redis_away_is_no_failure(user, settings, monkeypatch):
    import redis

    from workers import progress

    nobody = redis.Redis(host="127.0.0.1", port=1)
    monkeypatch.setattr(progress, "client", lambda: nobody)
    inputs = [Rows(resource=resource_named("financialAccounts"), rows=[{"name": "Cash"}])]
    operation, _ = accept(BulkRequest(kind=Kind.CREATE, user=user, inputs=inputs, mode=Mode.ASYNC))

    send(ledger.progress(operation.pk))
