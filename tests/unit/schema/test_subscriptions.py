"""What a subscriber is told: totals that never go back, not too often, and always the end."""

from __future__ import annotations

import uuid

import pytest

from schema import subscriptions
from schema.subscriptions import Told
from workers.ledger import Progress
from workers.models import State


class Clock:
    """A clock that stands still unless it is moved."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(subscriptions, "time", clock)
    return clock


def progress(sequence: int, state: State = State.RUNNING) -> Progress:
    return Progress(
        operation_id=uuid.UUID(int=1),
        owner_id=1,
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


def test_snapshot_is_told_at_once(clock):
    assert Told().is_news(progress(0))


def test_totals_never_go_back_and_come_once(clock):
    told = Told()
    told.is_news(progress(5))
    clock.now += 1

    assert not told.is_news(progress(4))
    assert not told.is_news(progress(5))
    assert told.is_news(progress(6))


def test_ten_events_a_second_at_most(clock):
    told, events = Told(), 0

    for sequence in range(1_000):
        events += told.is_news(progress(sequence))
        clock.now += 0.001

    assert events == 10


def test_end_is_told_however_soon_it_comes(clock):
    told = Told()
    told.is_news(progress(5))

    assert told.is_news(progress(6, State.COMPLETED))
    assert told.is_over
