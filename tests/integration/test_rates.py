"""maxRowsPerSecond, its ceilings, and the brake: when the next chunk is dispatched, by all workers together."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

import bulkql
from bulkql.examples.ledger.bulk import FinancialAccounts
from bulkql.examples.ledger.models import FinancialAccount
from bulkql.workers.conf import limits
from bulkql.workers.enums import OnError, State, Verb
from bulkql.workers.errors import BadInput
from bulkql.workers.intake import reading
from bulkql.workers.intake.requests import Mode
from bulkql.workers.ledger import brake as braking
from bulkql.workers.ledger import rates, totals
from bulkql.workers.ledger.brake import Brake, Pressure
from bulkql.workers.messaging import dispatch
from bulkql.workers.messaging.alarms import alarms
from bulkql.workers.messaging.broker import broker
from bulkql.workers.models import Operation
from bulkql.workers.operations import steps
from bulkql.workers.rescue import rescue
from tests.integration.turns import fresh_queue, of_a_file, stored, waiting_messages

__all__ = ["fresh_queue"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def limited(settings):
    """Set limits, for one test."""

    def set_to(**named):
        for name, value in named.items():
            setattr(settings, f"BULKQL_{name.upper()}", value)
        limits.cache_clear()

    yield set_to
    limits.cache_clear()


def due_in(operation, seconds):
    Operation.objects.filter(pk=operation.pk).update(due_at=timezone.now() + timedelta(seconds=seconds))


@pytest.mark.parametrize("verb", Verb)
def test_chunks_fit_the_rate_and_one_is_dispatched_at_a_time(user, verb):
    operation = stored(user, verb, chunk_size=None, max_rows_per_second=2)

    assert [chunk.row_count for chunk in operation.chunks.all()] == [2, 2]
    assert waiting_messages() == 1


def test_a_chunk_size_that_was_asked_for_is_no_way_around_the_rate(user):
    assert stored(user, chunk_size=4, max_rows_per_second=3).inputs.get().chunk_size == 3


def test_the_next_turn_is_one_of_all_processes(user):
    operation = stored(user, max_rows_per_second=2)
    due_in(operation, 0)

    assert [rates.take_turn(operation.pk, 1) for _ in range(3)] == [True, False, False]

    rates.give_back_turn(operation.pk, 1)
    assert rates.take_turn(operation.pk, 1)


def test_who_comes_late_makes_up_for_some_seconds_and_no_more(user):
    operation = stored(user, max_rows_per_second=2)
    due_in(operation, -3.5)
    assert [rates.take_turn(operation.pk, 1) for _ in range(6)] == [True] * 4 + [False] * 2

    due_in(operation, -3600)
    assert [rates.take_turn(operation.pk, 1) for _ in range(3)] == [True, False, False]


def test_turns_come_at_the_rate_however_late_some_are_taken(user):
    operation = stored(user, max_rows_per_second=2)
    due_in(operation, 0)
    cost, taken, began_at = 0.05, 0, time.monotonic()

    # Whoever takes them looks four times a second only, and makes up for it.
    for _ in range(8):
        while rates.take_turn(operation.pk, cost):
            taken += 1
        time.sleep(0.25)
    while rates.take_turn(operation.pk, cost):
        taken += 1

    assert taken == pytest.approx((time.monotonic() - began_at) / cost, rel=0.05)


def test_the_worker_is_woken_for_the_next_turn(user):
    alarms.wait(0)
    operation = stored(user, max_rows_per_second=4)
    broker.client.flushdb()

    (woken,) = alarms.wait(10)
    dispatch.dispatch_chunks(woken)

    assert (woken, waiting_messages()) == (operation.pk, 1)


def test_who_waits_for_the_end_waits_for_the_rate(user):
    began_at = time.monotonic()

    operation = bulkql.create(
        FinancialAccount, [{"name": name} for name in "abcd"], user=user, chunk_size=2, max_rows_per_second=4
    )

    assert (operation.state, operation.created) == ("COMPLETED", 4)
    assert time.monotonic() - began_at > 0.5


CREATE = """mutation ($rows: [FinancialAccountCreateRow!], $options: BulkOptions) {
  bulkCreate(input: {financialAccounts: {rows: $rows}}, options: $options) { id state }
}"""
REVERT = "mutation ($id: ID!, $options: BulkOptions) { revertOperation(id: $id, options: $options) { id state } }"
DELETE = """mutation ($options: BulkOptions) {
  bulkDelete(input: {financialAccounts: {where: {name: {startsWith: "n"}}}}, options: $options) { id state }
}"""
EXPORT = "mutation ($options: BulkOptions) { bulkExport(input: {financialAccounts: {}}, options: $options) { state } }"


def named(names):
    return [{"name": name} for name in names]


def test_a_request_over_the_web_waits_for_a_short_pace(user, ask):
    began_at = time.monotonic()
    made = ask(user, CREATE, rows=named("abcde"), options={"mode": "SYNC", "maxRowsPerSecond": 10})["bulkCreate"]

    undone = ask(user, REVERT, id=made["id"], options={"mode": "SYNC", "maxRowsPerSecond": 10})["revertOperation"]

    assert (made["state"], undone["state"]) == ("COMPLETED", "COMPLETED")
    assert time.monotonic() - began_at < limits().lock_seconds


def test_a_request_over_the_web_leaves_a_long_pace_to_the_workers(user, ask, monkeypatch):
    many = named(str(number) for number in range(limits().lock_seconds + 1))
    paced = ask(user, CREATE, rows=many, options={"mode": "SYNC", "maxRowsPerSecond": 1})["bulkCreate"]
    made = ask(user, CREATE, rows=named(f"n{row['name']}" for row in many), options={"mode": "SYNC"})["bulkCreate"]
    monkeypatch.setattr(FinancialAccounts, "max_rows_per_second", 1)

    reverted = ask(user, REVERT, id=made["id"], options={"mode": "SYNC"})["revertOperation"]
    deleted = ask(user, DELETE, options={"mode": "SYNC"})["bulkDelete"]
    read = of_a_file(user, mode=Mode.SYNC)

    assert [paced["state"], reverted["state"], deleted["state"], read.state] == ["QUEUED"] * 4
    # The rows of a request that asks for no pace are written in its own transaction, which has none.
    assert ask(user, CREATE, rows=named("x"), options={"mode": "SYNC"})["bulkCreate"]["state"] == "COMPLETED"


def test_what_is_exported_has_no_pace(user, ask):
    exported = ask(user, EXPORT, options={"mode": "SYNC", "maxRowsPerSecond": 1})

    assert exported == {"bulkExport": {"state": "COMPLETED"}}


def test_a_flush_of_redis_loses_no_turn_and_gives_none_away(user):
    operation = stored(user, max_rows_per_second=2)
    due_in(operation, 60)
    broker.client.flushdb()

    rescue()
    assert waiting_messages() == 0

    due_in(operation, 0)
    rescue()
    assert waiting_messages() == 1


def test_the_rows_of_a_file_are_stored_at_twice_the_rate(user, monkeypatch):
    waits = []
    monkeypatch.setattr(reading.time, "sleep", lambda seconds: waits.append((seconds, operation.chunks.count())))
    monkeypatch.setattr(rates, "STORED_BYTES", 1)
    operation = of_a_file(user, max_rows_per_second=3)

    steps.read_input(operation.inputs.get().pk)

    sizes = operation.chunks.order_by("number").values_list("row_count", flat=True)
    assert len(waits) > 1
    # After each chunk, and before the next one is stored: a burst of them would be felt by others.
    assert waits == [(rows / (2 * 3), number) for number, rows in enumerate(sizes, start=1)]


def test_the_reader_of_a_slow_file_keeps_no_thread_for_as_long_as_its_rows_take(user, monkeypatch):
    waits = []
    monkeypatch.setattr(reading.time, "sleep", waits.append)
    operation = of_a_file(user, max_rows_per_second=1)

    steps.read_input(operation.inputs.get().pk)

    assert waits == [len(one.payload) / rates.STORED_BYTES for one in operation.chunks.order_by("number")]
    assert sum(waits) < 0.1


def test_what_is_canceled_is_stored_without_a_pace(user, monkeypatch):
    waits = []
    monkeypatch.setattr(reading.time, "sleep", waits.append)
    operation = of_a_file(user, max_rows_per_second=3)
    Operation.objects.filter(pk=operation.pk).update(state=State.CANCELING)

    steps.read_input(operation.inputs.get().pk)

    assert waits == []


@pytest.mark.parametrize(
    ("asked", "resource", "service", "rate"),
    [(None, None, 0, None), (5, None, 0, 5), (None, 7, 0, 7), (None, None, 9, 9), (5, 7, 9, 5), (8, 7, 6, 7)],
)
def test_the_smallest_ceiling_counts(user, monkeypatch, limited, asked, resource, service, rate):
    monkeypatch.setattr(FinancialAccounts, "max_rows_per_second", resource)
    limited(max_rows_per_second=service)

    assert stored(user, max_rows_per_second=asked).max_rows_per_second == rate


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"dry_run": True}, "paces chunks, and dryRun writes all rows in one transaction"),
        ({"on_error": OnError.REJECT_ALL}, "paces chunks, and onError: REJECT_ALL writes all rows in one transaction"),
        ({"max_rows_per_second": 0}, "maxRowsPerSecond is 0; it must be at least 1"),
    ],
)
def test_what_has_no_pace_is_refused(user, how, message):
    with pytest.raises(BadInput, match=message):
        stored(user, **{"max_rows_per_second": 5, **how})


def test_ceilings_do_not_count_for_one_transaction(user, limited):
    limited(max_rows_per_second=2)

    assert stored(user, dry_run=True).max_rows_per_second is None


def test_without_a_mark_nobody_looks(user, monkeypatch):
    monkeypatch.setattr(braking, "load_of", lambda alias: pytest.fail("it was looked at"))

    stored(user)

    assert waiting_messages() == 2


def test_past_a_mark_chunks_rest_and_the_operation_says_why(user, limited, monkeypatch):
    limited(brake_lag_seconds=10)
    monkeypatch.setattr(dispatch, "brake", Brake())
    load = [(12.34, 0, 0)]
    monkeypatch.setattr(braking, "load_of", lambda alias: load[-1])
    monkeypatch.setattr(braking, "LOOK_SECONDS", 0)

    operation = stored(user)
    reason = "Slowed down: replication is 12.3 s behind (BULKQL_BRAKE_LAG_SECONDS is 10)."
    assert (totals.progress(operation.pk).message, waiting_messages()) == (reason, 1)

    first = operation.chunks.order_by("number")[0]
    steps.write_chunk(first.pk)
    assert waiting_messages() == 1

    load.append((0.0, 0, 0))
    due_in(operation, 0)
    for _ in range(3):
        dispatch.dispatch_chunks(operation.pk)
    assert (totals.progress(operation.pk).message, waiting_messages()) == ("", 2)


def test_rests_double_to_a_bound_and_halve_again():
    seen = Pressure()
    rests = []
    for reason in ["x"] * 6 + [""] * 6:
        seen = braking.after(seen, reason)
        rests.append((seen.rest_seconds, seen.reason))

    assert rests == [(rest, "x") for rest in (0.5, 1, 2, 4, 8, 8, 4, 2, 1, 0.5)] + [(0, "")] * 2


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        ((), ""),
        ((3, 3, 3), ""),
        ((0, 4, 9), "4 sessions wait for locks (BULKQL_BRAKE_LOCK_WAITS is 3)"),
        ((0, 0, 1234), "1,234 sessions are at work (BULKQL_BRAKE_ACTIVE_BACKENDS is 3)"),
    ],
)
def test_marks_in_words(limited, load, reason):
    limited(brake_lag_seconds=3, brake_lock_waits=3, brake_active_backends=3)

    assert braking.reason_in(load) == reason


@pytest.mark.postgresql
def test_the_database_tells_its_load():
    lag, locks, active = braking.load_of("default")

    assert (lag, locks, active) == (0, 0, 0)


def test_the_examples_of_the_docs(user, ask):
    page = (Path(__file__).parents[2] / "docs/pacing.md").read_text()
    slowly, pause, resume = re.findall(r"```graphql\n(.*?)```", page, re.DOTALL)

    made = ask(user, slowly, start=(timezone.now() + timedelta(hours=1)).isoformat())["bulkCreate"]
    assert (made["state"], made["maxRowsPerSecond"], made["message"][:10]) == ("QUEUED", 500, "Starts at ")
    assert ask(user, pause, id=made["id"]) == {"pauseOperation": {"state": "PAUSED"}}
    assert ask(user, resume, id=made["id"]) == {"resumeOperation": {"state": "QUEUED"}}
