"""What is lost with a process, a connection or Redis is found again, soon, and by whoever can go on with it."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import redis
from django.db import OperationalError, connection
from django.utils import timezone

from bulkql.examples.ledger.models import FinancialAccount
from bulkql.workers import rescue as rescuing
from bulkql.workers.conf import limits
from bulkql.workers.enums import OnError, State, Verb
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger import claims, entries
from bulkql.workers.ledger.heartbeat import BEATS, heartbeat
from bulkql.workers.messaging import continuity
from bulkql.workers.messaging.broker import broker
from bulkql.workers.models import Chunk, Input, Operation
from bulkql.workers.operations import chunks, running, steps
from bulkql.workers.rescue import rescue
from bulkql.workers.resources.registry import resource_named

pytestmark = pytest.mark.django_db(transaction=True)

QUEUE = f"{broker.namespace}:small"


@pytest.fixture(autouse=True)
def told() -> None:
    """Redis is as it was when it was told of all that is due."""
    broker.client.flushdb()
    continuity.note_told()


def request_of(user: Any) -> BulkRequest:
    rows = [{"name": f"Account {number}"} for number in range(30)]
    inputs = [InputRequest(resource=resource_named("financialAccounts"), rows=rows)]
    return BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.ASYNC, chunk_size=10)


@pytest.fixture
def stored(user: Any) -> Operation:
    """An accepted operation of three chunks that was dispatched to nobody, and whose request is gone."""
    operation, _ = accept(request_of(user))
    age()
    return operation


def age() -> None:
    Operation.objects.update(created_at=timezone.now() - timedelta(minutes=1))


def dispatches(operation: Operation) -> list[bool]:
    return [when is not None for when in operation.chunks.order_by("number").values_list("dispatched_at", flat=True)]


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis is away, for this process."""

    def fail(*_: Any, **__: Any) -> None:
        raise redis.ConnectionError("nobody listens there")

    monkeypatch.setattr(broker, "enqueue", fail)
    monkeypatch.setattr(broker.client, "get", fail)


def test_message_that_is_not_sent_does_not_count_as_sent(user, cut_off):
    operation = running.run(request_of(user))

    assert dispatches(operation) == [False, False, False]


def test_message_that_was_not_sent_is_sent_by_the_rescue_of_the_next_second(user, cut_off, monkeypatch):
    operation = running.run(request_of(user))
    age()
    monkeypatch.undo()

    rescue()

    assert (dispatches(operation), broker.client.llen(QUEUE)) == ([True] * 3, 3)


def test_worker_without_redis_leaves_the_chunks_to_those_who_reach_it(stored, cut_off, monkeypatch):
    marks: list[Any] = []
    monkeypatch.setattr(rescuing, "dispatch", marks.append)

    rescue()

    assert (marks, dispatches(stored)) == ([], [False] * 3)


def test_worker_that_loses_redis_in_the_middle_does_not_keep_what_comes_next(stored, cut_off):
    first = stored.chunks.order_by("number")[0]

    steps.write_chunk(first.pk)

    assert (dispatches(stored), Chunk.objects.get(pk=first.pk).created) == ([False] * 3, 10)


def test_flushed_redis_is_told_again_at_once(stored):
    rescue()
    assert broker.client.llen(QUEUE) == 3
    broker.client.flushdb()

    rescue()

    assert broker.client.llen(QUEUE) == 3


def test_redis_that_was_restarted_is_told_again_although_it_kept_an_older_state(stored, monkeypatch):
    rescue()
    broker.client.delete(QUEUE)
    monkeypatch.setattr(continuity, "run_id", lambda: "another process")

    rescue()

    assert broker.client.llen(QUEUE) == 3


def test_nothing_is_sent_twice_while_nothing_is_lost(stored):
    rescue()

    for _ in range(3):
        rescue()

    assert broker.client.llen(QUEUE) == 3


def test_chunk_of_a_process_that_fell_silent_is_dispatched_again_and_once(stored):
    rescue()
    broker.client.delete(QUEUE)
    claimed = claims.claim_chunk(stored.chunks.order_by("number")[0].pk)
    assert claimed is not None
    Chunk.objects.filter(pk=claimed.pk).update(leased_until=timezone.now())

    for _ in range(3):
        rescue()

    assert broker.client.llen(QUEUE) == 1


def test_what_cannot_go_on_is_given_up_and_keeps_nothing_behind_it_waiting(user, stored, monkeypatch):
    other, _ = accept(request_of(user))
    age()
    Input.objects.filter(operation=stored).update(resource="gone")

    rescue()

    stored.refresh_from_db()
    assert (stored.state, "gone" in stored.message) == (State.FAILED, True)
    assert any(dispatches(other))


def test_rescue_goes_on_whatever_a_round_raises(monkeypatch, caplog):
    def fail() -> None:
        raise OSError("the storage is away")

    monkeypatch.setattr(rescuing, "rescue", fail)

    rescuing.Rescue()._guarded(rescuing.Rescue()._round)

    assert "rescue: OSError at" in caplog.text


def test_idle_rescue_is_one_query(django_assert_num_queries):
    with django_assert_num_queries(1):
        rescue()


def test_rescue_asks_one_query_while_all_are_at_work(stored, django_assert_num_queries):
    rescue()

    with django_assert_num_queries(1):
        rescue()


def test_lease_is_extended_while_its_process_lives(stored, monkeypatch):
    claimed = claims.claim_chunk(stored.chunks.order_by("number")[0].pk)
    assert claimed is not None
    beaten = threading.Event()
    hold = claims.hold

    def spied(*arguments: Any) -> bool:
        is_held = hold(*arguments)
        beaten.set()
        return is_held

    monkeypatch.setattr(claims, "hold", spied)
    with heartbeat.keeping(claimed, seconds=60) as goes_on:
        assert beaten.wait(20)

        assert goes_on.is_set()
    assert Chunk.objects.get(pk=claimed.pk).leased_until > claimed.leased_until


def test_lease_of_somebody_who_hangs_is_extended_no_more(stored):
    claimed = claims.claim_chunk(stored.chunks.order_by("number")[0].pk)
    assert claimed is not None

    with heartbeat.keeping(claimed, seconds=-1) as goes_on:
        while goes_on.is_set():
            threading.Event().wait(0.05)

    assert Chunk.objects.get(pk=claimed.pk).leased_until == claimed.leased_until


def test_chunk_whose_connection_breaks_is_free_at_once(stored, monkeypatch):
    def break_off(*_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(entries, "record", break_off)
    first = stored.chunks.order_by("number")[0]

    with pytest.raises(OperationalError):
        steps.write_chunk(first.pk)
    monkeypatch.undo()

    assert Chunk.objects.get(pk=first.pk).leased_until is None
    steps.write_chunk(first.pk)
    assert Chunk.objects.get(pk=first.pk).created == 10


def test_lease_that_cannot_be_given_back_is_given_back_when_the_database_is_there_again(stored, monkeypatch):
    claimed = claims.claim_chunk(stored.chunks.order_by("number")[0].pk)
    assert claimed is not None
    released = threading.Event()
    release, answers = claims.release, [OperationalError("the database is away")]

    def spied(*arguments: Any, **options: Any) -> None:
        if answers:
            raise answers.pop()
        release(*arguments, **options)
        released.set()

    monkeypatch.setattr(claims, "release", spied)

    heartbeat.give_back(claimed)

    assert released.wait(20)
    assert Chunk.objects.get(pk=claimed.pk).leased_until is None


def test_worker_that_stops_gives_back_what_it_has_not_finished(stored):
    claimed = claims.claim_chunk(stored.chunks.order_by("number")[0].pk)
    assert claimed is not None

    Chunk.objects.update(dispatched_at=timezone.now())

    with heartbeat.keeping(claimed, seconds=60):
        heartbeat.give_back_all()

    stopped = Chunk.objects.get(pk=claimed.pk)
    assert (stopped.leased_until, stopped.dispatched_at) == (None, None)
    assert Operation.objects.get(pk=stored.pk).state == State.RUNNING


def away(*_: Any, **__: Any) -> Any:
    raise OperationalError("server closed the connection unexpectedly")


@pytest.mark.parametrize("options", [{}, {"dry_run": True}], ids=["chunks", "one transaction"])
def test_outages_are_no_attempts(user, monkeypatch, options):
    operation, _ = accept(replace(request_of(user), **options))
    for _ in range(limits().max_attempts + 2):
        with monkeypatch.context() as broken:
            broken.setattr(chunks, "rows_written", away)
            for work in works_of(operation):
                with pytest.raises(OperationalError):
                    work()

    for work in works_of(operation):
        work()

    operation.refresh_from_db()
    assert operation.state == State.COMPLETED


def test_rows_that_bring_the_database_down_are_not_tried_for_ever(user, monkeypatch, settings):
    settings.BULKQL_MAX_OUTAGES = 2
    limits.cache_clear()
    operation, _ = accept(request_of(user))
    monkeypatch.setattr(chunks, "rows_written", away)
    (first, *_) = works_of(operation)

    for _ in range(limits().max_outages + limits().max_attempts):
        with pytest.raises(OperationalError):
            first()
    first()

    operation.refresh_from_db()
    limits.cache_clear()
    message = (
        r"Chunk 0 of financialAccounts \(rows 0 to 9\) failed 5 times, most recently with OperationalError at .*:[0-9]+"
        r"\. The workers' log has more details\. Fix the cause, then send the remaining rows again with "
        r"retryOperation\."
    )
    assert operation.state == State.FAILED
    assert re.fullmatch(message, operation.message)


def test_what_failed_before_its_input_was_read_is_not_sent_to_retry(user, monkeypatch):
    operation, _ = accept(request_of(user))
    operation.inputs.update(read_at=None, total=None)
    monkeypatch.setattr(chunks, "rows_written", broken)
    (first, *_) = works_of(operation)

    for _ in range(limits().max_attempts):
        with pytest.raises(RuntimeError):
            first()
    first()

    operation.refresh_from_db()
    assert operation.message.endswith(
        "Not all rows had been read, and retryOperation would leave some out: fix the cause, then send all of them "
        "again."
    )


def broken(*_: Any) -> Any:
    raise RuntimeError("a value of a row")


def test_operation_in_one_transaction_is_not_written_before_it_is_read_again(user):
    """PostgreSQL crashed: the message is there, and the end of reading, which had not reached the disk, is not."""
    operation, _ = accept(replace(request_of(user), on_error=OnError.REJECT_ALL))
    operation.inputs.update(read_at=None, total=None)
    operation.chunks.order_by("number").last().delete()

    steps.write_operation(operation.pk)

    operation.refresh_from_db()
    assert (operation.state, FinancialAccount.objects.count()) == (State.QUEUED, 0)


def works_of(operation: Operation) -> list[Any]:
    """What workers are sent messages for."""
    if operation.is_one_transaction:
        return [partial(steps.write_operation, operation.pk)]
    return [partial(steps.write_chunk, pk) for pk in operation.chunks.order_by("number").values_list("pk", flat=True)]


def test_a_lease_is_given_back_as_soon_as_the_database_is_there_again(stored, monkeypatch):
    """The next to be told of the chunk comes within a second: he must find it free."""
    chunk = claims.claim_chunk(stored.chunks.order_by("number")[0].pk)
    assert chunk is not None
    release, refused, is_back = claims.release, [], threading.Event()

    def release_later(claimed: Any, *, was_away: bool = False) -> None:
        if len(refused) < 3:
            refused.append(claimed)
            raise OperationalError("the database system is in recovery mode")
        release(claimed, was_away=was_away)
        is_back.set()

    monkeypatch.setattr(claims, "release", release_later)

    heartbeat.give_back(chunk, was_away=True)

    assert is_back.wait(limits().lease_seconds / BEATS)
    assert Chunk.objects.get(pk=chunk.pk).lease is None
