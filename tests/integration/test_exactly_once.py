"""A chunk's rows and its ledger entry commit together, however often and by whom it is asked for."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from bulkql.examples.ledger.models import FinancialAccount
from bulkql.workers.enums import State, Verb
from bulkql.workers.errors import LeaseLost
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger import claims, endings, entries, totals
from bulkql.workers.models import Chunk, Operation
from bulkql.workers.operations import chunks, running, steps
from bulkql.workers.rescue import rescue
from bulkql.workers.resources.registry import resource_named

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stored(user: Any) -> Operation:
    """An accepted operation of three chunks that nobody was rung for."""
    rows = [{"name": f"Account {number}"} for number in range(30)]
    inputs = [InputRequest(resource=resource_named("financialAccounts"), rows=rows)]
    operation, _ = accept(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.ASYNC, chunk_size=10))
    return operation


def ids(operation: Operation) -> list[int]:
    return list(operation.chunks.order_by("number").values_list("pk", flat=True))


def test_redelivered_message_writes_nothing_twice(stored):
    first = ids(stored)[0]
    steps.write_chunk(first)

    steps.write_chunk(first)

    assert FinancialAccount.objects.count() == 10
    assert Chunk.objects.get(pk=first).created == 10


def test_message_delivered_to_two_workers_at_once_writes_once(stored):
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        for chunk_id in ids(stored):
            steps.write_chunk(chunk_id)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    stored.refresh_from_db()
    assert (FinancialAccount.objects.count(), stored.state) == (30, State.COMPLETED)


def test_worker_that_was_thought_dead_rolls_back(stored):
    chunk = claims.claim_chunk(ids(stored)[0])
    assert chunk is not None
    Chunk.objects.filter(pk=chunk.pk).update(leased_until=timezone.now() - timedelta(seconds=1))
    assert chunks.claim_and_write(chunk.pk)

    with pytest.raises(LeaseLost):
        chunks.write_claimed(chunk)

    assert FinancialAccount.objects.count() == 10


@pytest.mark.parametrize("what", ["chunk", "input", "operation"])
def test_who_stalls_after_taking_a_lease_does_not_take_the_next_ones_for_its_own(stored, monkeypatch, what):
    take = claims.take

    def stalls(wanted: Any) -> Any:
        lease = take(wanted)
        wanted.model.objects.update(lease=uuid4())  # as whoever took over when the lease had run out
        return lease

    stored.inputs.update(read_at=timezone.now() if what == "operation" else None)
    monkeypatch.setattr(claims, "take", stalls)

    claimed = {
        "chunk": lambda: claims.claim_chunk(ids(stored)[0]),
        "input": lambda: claims.claim_input(stored.inputs.get().pk),
        "operation": lambda: claims.claim_operation(stored.pk),
    }[what]()

    assert claimed is None


def test_chunk_whose_rows_cannot_be_recorded_leaves_no_rows(stored, monkeypatch):
    def crash(*_: Any) -> None:
        raise RuntimeError("the worker dies here")

    monkeypatch.setattr(entries, "record", crash)
    with pytest.raises(RuntimeError):
        steps.write_chunk(ids(stored)[0])
    monkeypatch.undo()

    assert FinancialAccount.objects.count() == 0
    steps.write_chunk(ids(stored)[0])
    assert FinancialAccount.objects.count() == 10


def test_last_chunk_finishes_the_operation_and_only_once(stored):
    states = []
    for chunk_id in reversed(ids(stored)):
        steps.write_chunk(chunk_id)
        stored.refresh_from_db()
        states.append(stored.state)

    assert states == [State.RUNNING, State.RUNNING, State.COMPLETED]
    assert not endings.finish(stored.pk)


def test_operation_whose_finisher_died_is_finished_by_the_sweep(stored):
    for chunk_id in ids(stored):
        chunks.claim_and_write(chunk_id)
    Operation.objects.update(created_at=timezone.now() - timedelta(minutes=1))

    rescue()

    stored.refresh_from_db()
    assert stored.state == State.COMPLETED


def test_sweep_rings_again_what_nobody_answered(stored):
    long_ago = timezone.now() - timedelta(minutes=1)
    Operation.objects.update(created_at=long_ago)
    stored.chunks.update(dispatched_at=long_ago)

    rescue()

    assert all(rung > long_ago for rung in stored.chunks.values_list("dispatched_at", flat=True))


def test_sweep_leaves_a_chunk_at_work_alone(stored):
    long_ago = timezone.now() - timedelta(minutes=1)
    Operation.objects.update(created_at=long_ago)
    chunk = claims.claim_chunk(ids(stored)[0])
    assert chunk is not None
    Chunk.objects.filter(pk=chunk.pk).update(dispatched_at=long_ago)

    rescue()

    assert Chunk.objects.get(pk=chunk.pk).dispatched_at == long_ago


def test_chunk_that_crashes_every_worker_fails_its_operation_and_skips_the_rest(stored):
    written, poison, waiting = ids(stored)
    steps.write_chunk(written)
    Chunk.objects.filter(pk=poison).update(attempts=5)

    steps.write_chunk(poison)

    stored.refresh_from_db()
    progress = totals.progress(stored.pk)
    assert (stored.state, stored.message) == (
        State.FAILED,
        "Chunk 1 of financialAccounts (rows 10 to 19) failed 5 times. Each time its worker process ended without "
        "reporting an error, as happens when it runs out of memory. Smaller chunks need less memory: send the "
        "remaining rows as a new request with a smaller chunkSize; retryOperation keeps the size.",
    )
    assert (progress.total, progress.created, progress.skipped, progress.processed) == (30, 10, 20, 30)
    assert claims.claim_chunk(waiting) is None


def test_window_bounds_the_chunks_that_are_rung(user):
    rows = [{"name": f"Account {number}"} for number in range(100)]
    inputs = [InputRequest(resource=resource_named("financialAccounts"), rows=rows)]
    operation = running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.ASYNC, chunk_size=5))

    rung = operation.chunks.filter(dispatched_at__isnull=False)
    assert rung.count() == 8
    steps.write_chunk(ids(operation)[0])
    assert (rung.count(), rung.filter(recorded_at=None).count()) == (9, 8)


def test_children_wait_for_all_of_their_parents(user):
    inputs = [
        InputRequest(
            resource=resource_named("cities"),
            rows=[
                {"geonameId": 1, "name": "Vaduz", "country": "LI", "latitude": 1, "longitude": 1, "timezone": "x"},
            ],
        ),
        InputRequest(
            resource=resource_named("countries"),
            rows=[
                {"iso": "LI", "iso3": "LIE", "name": "Liechtenstein", "continent": "EU"},
                {"iso": "CH", "iso3": "CHE", "name": "Switzerland", "continent": "EU"},
            ],
        ),
    ]
    operation = running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.ASYNC, chunk_size=1))

    def rung() -> list[str]:
        found = operation.chunks.filter(dispatched_at__isnull=False, recorded_at=None)
        return list(found.order_by("pk").values_list("input__resource", flat=True))

    assert rung() == ["countries", "countries"]
    first, second = operation.chunks.filter(input__resource="countries").values_list("pk", flat=True)
    steps.write_chunk(second)
    assert rung() == ["countries"]
    steps.write_chunk(first)
    assert rung() == ["cities"]
