"""Many who watch the same: one execution for all, from the first to the last of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import pytest

from bulkql.schema.context import Context
from bulkql.schema.watching import sharing
from bulkql.schema.watching.sharing import key_of, shared

WATCH = "subscription Watch($id: ID!) { operation(id: $id) { state } }"


class Source:
    """An execution that gives what it is told to give."""

    def __init__(self) -> None:
        self.results: asyncio.Queue[Any] = asyncio.Queue()
        self.starts = 0
        self.ends = 0

    async def start(self) -> AsyncGenerator[Any, None]:
        self.starts += 1
        return self.stream()

    async def stream(self) -> AsyncGenerator[Any, None]:
        try:
            while (result := await self.results.get()) is not None:
                if isinstance(result, Exception):
                    raise result
                yield result
        finally:
            self.ends += 1


def in_a_loop(test: Callable[[Source], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(asyncio.wait_for(test(Source()), 5))
        assert sharing._broadcasts == {}

    run.__name__ = test.__name__
    return run


async def everything(results: Any) -> list[Any]:
    async with aclosing(results):
        return [result async for result in results]


@in_a_loop
async def test_one_execution_for_all(source: Source) -> None:
    listening = [asyncio.create_task(everything(shared("key", source.start))) for _ in range(100)]
    await asyncio.sleep(0)
    for result in (1, 2):
        source.results.put_nowait(result)
        await asyncio.sleep(0.01)
    source.results.put_nowait(None)

    assert await asyncio.gather(*listening) == [[1, 2]] * 100
    assert (source.starts, source.ends) == (1, 1)


@in_a_loop
async def test_who_comes_late_has_the_newest_at_once(source: Source) -> None:
    async with aclosing(shared("key", source.start)) as first, aclosing(shared("key", source.start)) as late:
        for result in (1, 2):
            source.results.put_nowait(result)
            assert await anext(first) == result

        assert await anext(late) == 2


@in_a_loop
async def test_a_slow_listener_misses_some_and_not_the_last(source: Source) -> None:
    async with aclosing(shared("key", source.start)) as slow:
        source.results.put_nowait(1)
        assert await anext(slow) == 1
        for result in (2, 3, 4, None):
            source.results.put_nowait(result)
        await asyncio.sleep(0.01)

        assert [result async for result in slow] == [4]


@in_a_loop
async def test_the_execution_ends_with_its_last_listener(source: Source) -> None:
    async with aclosing(shared("key", source.start)) as stays:
        async with aclosing(shared("key", source.start)) as leaves:
            source.results.put_nowait(1)
            assert await anext(stays) == await anext(leaves) == 1
        await asyncio.sleep(0)
        assert source.ends == 0
    await asyncio.sleep(0.01)

    assert source.ends == 1


@in_a_loop
async def test_who_comes_after_the_end_begins_anew(source: Source) -> None:
    source.results.put_nowait(None)
    assert await everything(shared("key", source.start)) == []
    source.results.put_nowait(2)
    source.results.put_nowait(None)

    assert await everything(shared("key", source.start)) == [2]
    assert source.starts == 2


@in_a_loop
async def test_what_breaks_the_execution_is_raised_for_all(source: Source) -> None:
    listening = [asyncio.create_task(everything(shared("key", source.start))) for _ in range(2)]
    source.results.put_nowait(ValueError("broken"))

    results = await asyncio.gather(*listening, return_exceptions=True)

    assert [str(result) for result in results] == ["broken", "broken"]


@pytest.mark.parametrize(
    "query",
    [
        "{ operation(id: 1) { state } }",
        "subscription { operations { state } }",
        "subscription { ...watch } fragment watch on Subscription { operation(id: 1) { state } }",
        "subscription A { operation(id: 1) { state } } subscription B { operation(id: 2) { state } }",
        "subscription {",
        "subscription" + "{a" * 4_000,
        WATCH + "#" * sharing.CHARACTERS,
        None,
    ],
)
def test_not_shared(query):
    assert key_of(query, {}, context(), None) is None


def test_shared_by_one_user_with_one_text_and_the_same_variables_only():
    key = key_of(WATCH, {"id": "1"}, context(), None)

    assert key is not None
    assert key == key_of(WATCH, {"id": "1"}, context(), None)
    others = [
        key_of(WATCH, {"id": "2"}, context(), None),
        key_of(f"{WATCH} ", {"id": "1"}, context(), None),
        key_of(WATCH, {"id": "1"}, context(pk=2), None),
        key_of(WATCH, {"id": "1"}, context(base_url="https://other"), None),
    ]
    assert key not in others


def test_the_named_of_several_is_shared():
    two = "query A { resources { name } } subscription B { operation(id: 1) { state } }"

    assert key_of(two, None, context(), "B") is not None
    assert key_of(two, None, context(), "A") is None
    assert key_of(two, None, context(), "C") is None


def context(pk: int = 1, base_url: str = "https://here") -> Context:
    user: Any = SimpleNamespace(pk=pk)
    return Context(request=None, user=user, base_url=base_url)
