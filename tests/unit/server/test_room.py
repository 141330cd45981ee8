"""Large bodies take turns in memory; small ones wait for nobody."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from bulkql.server.traffic.room import UNIT_BYTES, Room

UNITS = 4


async def began(room: Room, *sizes: int) -> tuple[list[int], list[asyncio.Task[None]], asyncio.Event]:
    """Tasks that want room for so many units, as far as they get; the places of those that have it."""
    over, found = asyncio.Event(), list[int]()

    async def work(place: int, units: int) -> None:
        async with room.taken(units * UNIT_BYTES):
            found.append(place)
            await over.wait()

    tasks = [asyncio.create_task(work(place, units)) for place, units in enumerate(sizes)]
    await settled()
    return found, tasks, over


async def settled() -> None:
    """Until all that can run has run."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_no_more_is_at_work_than_there_is_room_for_and_all_get_their_turn():
    async def main() -> None:
        found, tasks, over = await began(Room(UNITS * UNIT_BYTES), 2, 2, 2, 2, 2)
        assert found == [0, 1]

        over.set()
        await asyncio.gather(*tasks)
        assert found == [0, 1, 2, 3, 4]

    asyncio.run(main())


def test_a_large_one_is_not_kept_out_by_those_that_come_after_it():
    async def main() -> None:
        found, tasks, over = await began(Room(UNITS * UNIT_BYTES), 1, UNITS, 1)
        assert found == [0]

        over.set()
        await asyncio.gather(*tasks)
        assert found == [0, 1, 2]

    asyncio.run(main())


def test_a_small_one_waits_for_nobody():
    async def main() -> None:
        room = Room(UNITS * UNIT_BYTES)
        _, tasks, over = await began(room, UNITS, UNITS)

        async with asyncio.timeout(1), room.taken(UNIT_BYTES - 1):
            pass
        over.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_one_that_is_larger_than_all_room_is_served_alone():
    async def main() -> None:
        found, tasks, over = await began(Room(UNITS * UNIT_BYTES), 10 * UNITS, 1)
        assert found == [0]

        over.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_one_that_gives_up_leaves_its_room_to_the_others():
    async def main() -> None:
        found, tasks, over = await began(Room(UNITS * UNIT_BYTES), 1, UNITS, 3)
        tasks[1].cancel()
        with suppress(asyncio.CancelledError):
            await tasks[1]
        await settled()
        assert found == [0, 2]

        over.set()
        await asyncio.gather(tasks[0], tasks[2])

    asyncio.run(main())
