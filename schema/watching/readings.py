"""Many who want an operation's totals at once -> one reading of the database."""

from __future__ import annotations

import asyncio
from uuid import UUID

from channels.db import database_sync_to_async

from bulkql.workers.ledger import totals
from bulkql.workers.ledger.totals import Progress

#: Seconds in which others may join a reading.
SECONDS = 0.01

_readings: dict[UUID, asyncio.Task[Progress]] = {}


async def read_totals(operation_id: UUID) -> Progress:
    """An operation's totals, read after this was asked for."""
    reading = _readings.get(operation_id)
    if reading is None:
        reading = _readings[operation_id] = asyncio.create_task(read_soon(operation_id))
    # One subscriber that leaves takes nothing from the others.
    return await asyncio.shield(reading)


async def read_soon(operation_id: UUID) -> Progress:
    """One reading for all who ask before it begins; who asks later may want what it does not see."""
    try:
        await asyncio.sleep(SECONDS)
    finally:
        del _readings[operation_id]
    progress: Progress = await database_sync_to_async(totals.progress)(operation_id)
    return progress
