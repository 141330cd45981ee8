"""Redis: whether it answers, forgets nothing that it need not, carries events, and whether workers listen."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from asgiref.sync import async_to_sync

from bulkql.server.doctor.database import clock_finding, place
from bulkql.server.doctor.findings import Finding, doubtful, ill, well
from bulkql.workers.messaging.queues import listening_workers, waiting_messages
from bulkql.workers.messaging.servers import client_of, layer, redis_url

#: The oldest Redis that dramatiq's scripts and the channel layer run on.
OLDEST = 5
#: Seconds in which an event has to come back.
EVENT_SECONDS = 3

START = "Start it, or set REDIS_URL to where it is."
WAIT = "Channels must publish through the Redis that REDIS_URL names; see CHANNEL_LAYERS."
WORK = "Start `bulkql work` against the same REDIS_URL and DATABASE_URL."


def look_at_redis() -> Iterator[Finding]:
    """Whether it answers, its version, and what it does when its memory is full."""
    client: Any = client_of(redis_url())
    told = client.info()
    version = str(told["redis_version"])
    seen = f"Redis {version} at {place(redis_url())}"
    if int(version.split(".")[0]) < OLDEST:
        yield ill("redis", seen, f"Upgrade to Redis {OLDEST} or newer, or to Valkey.")
    else:
        yield well("redis", seen)
    policy = str(told.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction" and told.get("maxmemory"):
        advice = "Set maxmemory-policy to noeviction: work whose message is dropped waits until it is rescued."
        yield doubtful("redis memory", f"maxmemory-policy is {policy}", advice)
    seconds, microseconds = client.time()
    there = datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)
    yield clock_finding("Redis", (there - datetime.now(UTC)).total_seconds())


def look_at_channel_layer() -> Iterator[Finding]:
    """An event that is sent to a group comes back: what subscriptions live on."""
    seconds = async_to_sync(round_trip)()
    yield well("channel layer", f"an event took {seconds * 1000:.0f} ms")


async def round_trip() -> float:
    """Seconds that an event takes through the layer; raises TimeoutError."""
    channels = layer()
    group = f"bulkql.doctor.{uuid.uuid4().hex}"
    channel = await channels.new_channel()
    await channels.group_add(group, channel)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    try:
        async with asyncio.timeout(EVENT_SECONDS):
            await channels.group_send(group, {"type": "doctor"})
            await channels.receive(channel)
    except TimeoutError:
        raise TimeoutError(f"no event came back within {EVENT_SECONDS} seconds") from None
    finally:
        await channels.group_discard(group, channel)
        await channels.flush()
    return loop.time() - begin


def look_at_workers() -> Iterator[Finding]:
    """Worker processes listen for messages; without one, messages wait."""
    listening, waiting = listening_workers(), sum(waiting_messages().values())
    number = f"{listening} worker process{'' if listening == 1 else 'es'}"
    seen = f"{number}, {waiting:,} message{'' if waiting == 1 else 's'} waiting"
    if listening:
        yield well("workers", seen)
    else:
        yield ill("workers", seen, WORK)
