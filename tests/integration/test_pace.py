"""Rows that are saved one by one: chunks of some seconds, whose lease lasts for as long as rows are done."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

import bulkql
from bulkql.workers.enums import State, Verb
from bulkql.workers.intake.accept import accept, chunk_size
from bulkql.workers.intake.requests import BulkRequest, InputRequest
from bulkql.workers.ledger import claims
from bulkql.workers.ledger.heartbeat import heartbeat
from bulkql.workers.messaging.broker import grant_time, time_limit
from bulkql.workers.models import Input, Operation
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.saving import progress
from tests.zoo.bulk import Keepers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def plan(monkeypatch):
    """Keepers are created one by one."""
    monkeypatch.setattr(Keepers, "writes", bulkql.SAVE)
    return Plan(resource=resource_named("keepers"), verb=Verb.CREATE)


@pytest.fixture
def stored(user):
    """An operation that is accepted, and that nobody works on."""
    rows = [{"code": f"k{place}"} for place in range(3)]
    inputs = [InputRequest(resource=resource_named("keepers"), rows=rows)]
    return accept(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs))[0]


def took(operation, rows, seconds):
    """As if it had had so many rows, and taken so long."""
    operation.refresh_from_db()
    ends_at = operation.created_at + timedelta(seconds=seconds)
    started = {"started_at": operation.created_at, "finished_at": ends_at}
    Operation.objects.filter(pk=operation.pk).update(state=State.COMPLETED, **started)
    Input.objects.filter(operation=operation).update(total=rows)


@pytest.mark.parametrize(
    ("rows", "seconds", "size"), [(100, 50, 50), (1_000, 10, 500), (1_000, 2, 2_500), (10_000, 1, 10_000), (3, 60, 500)]
)
def test_a_chunk_takes_some_seconds_as_the_last_operation_tells(plan, stored, rows, seconds, size):
    took(stored, rows, seconds)

    assert chunk_size(plan, plan.verb, None) == size


def test_a_size_that_was_asked_for_stays(plan, monkeypatch):
    assert (chunk_size(plan, plan.verb, None), chunk_size(plan, plan.verb, 7)) == (500, 7)

    monkeypatch.setattr(Keepers, "chunk_size", 2_000)

    assert chunk_size(plan, plan.verb, None) == 2_000


def test_each_row_begins_the_time_anew(plan, create, monkeypatch):
    done = []
    monkeypatch.setattr("bulkql.workers.saving.rows.row_done", lambda: done.append(1))

    create("keepers", [{"code": "ada"}, {"code": "eve"}])

    assert len(done) == 2


def test_a_lease_lasts_for_as_long_as_its_work_goes_on(stored):
    claimed = claims.claim_chunk(stored.chunks.get().pk)

    with heartbeat.keeping(claimed, seconds=60):
        (held,) = heartbeat._held
        held.ends_at = time.monotonic()
        progress.row_done()

        assert held.ends_at > time.monotonic() + 50


def test_a_message_takes_as_long_as_its_work_goes_on():
    thread, deadlines = threading.get_ident(), time_limit.manager.deadlines
    try:
        time_limit.manager.add_timeout(thread, 1_000)
        grant_time(60)
        granted = deadlines[thread]
        grant_time(1)

        assert granted == deadlines[thread] > time.monotonic() + 50
    finally:
        time_limit.manager.remove_timeout(thread)

    grant_time(60)

    assert deadlines[thread] is None
