"""Pause, resume and startAt: nothing is begun while it is not an operation's turn, and nothing is lost by that."""

from __future__ import annotations

from typing import Any

import pytest

import bulkql
from bulkql.examples.ledger.models import FinancialAccount
from bulkql.workers.enums import Lane, OnError, Verb
from bulkql.workers.errors import BadInput
from bulkql.workers.intake import reading
from bulkql.workers.ledger import claims, endings, retention, totals, turns
from bulkql.workers.messaging import continuity, events
from bulkql.workers.messaging.broker import broker
from bulkql.workers.models import Chunk, Input, Operation
from bulkql.workers.operations import chunks, steering, steps
from bulkql.workers.rescue import rescue
from bulkql.workers.resources.registry import BulkResource
from tests.conftest import Done
from tests.integration.conftest import Refused
from tests.integration.turns import fresh_queue, of_a_file, state, stored, waiting_messages, write

__all__ = ["fresh_queue"]

pytestmark = pytest.mark.django_db

PAUSE = "mutation ($id: ID!) { pauseOperation(id: $id) { state } }"
RESUME = "mutation ($id: ID!) { resumeOperation(id: $id) { state } }"
CANCEL = "mutation ($id: ID!) { cancelOperation(id: $id) { state skipped } }"


@pytest.mark.parametrize("lane", [Lane.COPY, Lane.SAVE])
@pytest.mark.parametrize("verb", [verb for verb in Verb if verb.takes_rows])
def test_a_paused_operation_begins_nothing_and_a_resumed_one_goes_on_to_its_end(user, ask, monkeypatch, verb, lane):
    monkeypatch.setattr(BulkResource, "writes", lane)
    operation = stored(user, verb)
    steps.write_chunk(operation.chunks.order_by("number")[0].pk)

    assert ask(user, PAUSE, id=str(operation.pk)) == {"pauseOperation": {"state": "PAUSED"}}
    write(operation)
    broker.client.flushdb()
    rescue()
    assert (totals.progress(operation.pk).processed, waiting_messages()) == (2, 0)
    assert retention.purge() == (0, 0)

    assert ask(user, RESUME, id=str(operation.pk)) == {"resumeOperation": {"state": "RUNNING"}}
    assert waiting_messages() == 1
    write(operation)
    done = Done(Operation.objects.get(pk=operation.pk))
    assert (done.operation.state, done.errors, len(done.outcomes)) == ("COMPLETED", [], 4)
    assert not {"FAILED", "SKIPPED"} & set(done.outcomes)


def test_subscribers_are_told_by_a_sequence_that_grows(user, monkeypatch):
    told: list[totals.Progress] = []
    monkeypatch.setattr(events, "publish_now", told.append)
    operation = stored(user)
    before = totals.progress(operation.pk)

    for step in (steering.pause, steering.resume, steering.pause, steering.cancel):
        step(operation.pk)

    assert [one.state for one in told] == ["PAUSED", "QUEUED", "PAUSED", "CANCELED"]
    sequence = [before.sequence, *(one.sequence for one in told)]
    assert sequence == sorted(set(sequence))


@pytest.mark.parametrize(("step", "other"), [("pause", "resume"), ("resume", "pause")])
def test_two_who_pause_and_resume_at_once_both_get_their_way(user, monkeypatch, step, other):
    operation = stored(user)
    after = "PAUSED" if step == "pause" else "QUEUED"
    Operation.objects.filter(pk=operation.pk).update(state=after)
    real = getattr(turns, step)

    def beaten(operation_id: Any) -> bool:
        """The other one comes between what failed and the question why."""
        monkeypatch.setattr(turns, step, real)
        is_done = real(operation_id)
        getattr(turns, other)(operation_id)
        return is_done

    monkeypatch.setattr(turns, step, beaten)

    getattr(steering, step)(operation.pk)

    assert state(operation) == after


def test_what_is_at_work_is_finished_and_counted(user):
    operation = stored(user)
    claimed = claims.claim_chunk(operation.chunks.order_by("number")[0].pk)
    steering.pause(operation.pk)

    chunks.write_claimed(claimed)

    assert (state(operation), totals.progress(operation.pk).created) == ("PAUSED", 2)


def test_the_last_chunk_at_work_ends_a_paused_operation(user):
    operation = stored(user, chunk_size=4)
    claimed = claims.claim_chunk(operation.chunks.get().pk)
    steering.pause(operation.pk)

    chunks.write_claimed(claimed)
    steps.end(operation.pk)

    assert state(operation) == "COMPLETED"


def test_a_file_is_read_no_further_and_then_from_where_it_was_left(user, monkeypatch):
    operation = of_a_file(user)
    new_chunk = reading.new_chunk

    def paused_at_the_second(stored: Input, number: int, *rest: Any) -> Chunk:
        if number == 1:
            steering.pause(operation.pk)
        return new_chunk(stored, number, *rest)

    monkeypatch.setattr(reading, "new_chunk", paused_at_the_second)
    one = operation.inputs.get()
    steps.read_input(one.pk)
    monkeypatch.undo()
    steps.read_input(one.pk)

    one.refresh_from_db()
    assert (operation.chunks.count(), one.read_at, one.attempts, one.leased_until) == (1, None, 0, None)
    steering.resume(operation.pk)
    steps.read_input(one.pk)
    write(operation)
    assert (state(operation), totals.progress(operation.pk).created) == ("COMPLETED", 30)


def test_pausing_does_not_use_up_the_tries_of_a_reader(user, monkeypatch):
    operation = of_a_file(user)
    one = operation.inputs.get()
    monkeypatch.setattr(reading, "new_chunk", lambda *rest: steering.pause(operation.pk))

    for _ in range(10):
        steps.read_input(one.pk)
        steering.resume(operation.pk)

    assert (state(operation), Input.objects.get(pk=one.pk).attempts) == ("RUNNING", 0)


def test_a_paused_operation_is_canceled_and_its_file_read_for_its_outcomes(user, ask):
    operation = of_a_file(user)
    steering.pause(operation.pk)
    broker.client.flushdb()
    continuity.note_told()

    assert ask(user, CANCEL, id=str(operation.pk))["cancelOperation"]["state"] == "CANCELING"
    assert waiting_messages() == 1
    steps.read_input(operation.inputs.get().pk)

    assert (state(operation), totals.progress(operation.pk).skipped) == ("CANCELED", 30)


# Committed: the heartbeat of what is written looks at its lease from a connection of its own.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", [{"dry_run": True}, {"on_error": OnError.REJECT_ALL}, {"trades": True}])
def test_one_transaction_is_paused_before_it_begins_or_not_at_all(user, ask, how):
    options = {name: value for name, value in how.items() if name != "trades"}
    operation = stored(user, **options)
    Operation.objects.filter(pk=operation.pk).update(trades=how.get("trades", False))

    steering.pause(operation.pk)
    steps.write_operation(operation.pk)
    assert (state(operation), totals.progress(operation.pk).processed) == ("PAUSED", 0)

    steering.resume(operation.pk)
    claimed = claims.claim_operation(operation.pk)
    with pytest.raises(Refused, match=r"is being written in one transaction, as .*; a pause would hold its locks\."):
        ask(user, PAUSE, id=str(operation.pk))

    claims.release(claimed)
    steps.write_operation(operation.pk)
    assert (state(operation), totals.progress(operation.pk).created) == ("COMPLETED", 4)


def test_what_is_over_or_stopping_cannot_be_paused_or_resumed(user, create):
    over = create("financialAccounts", [{"name": "x"}]).operation
    stopping = of_a_file(user)
    endings.ask_to_stop(stopping.pk)

    for operation, word in ((over, "COMPLETED"), (stopping, "CANCELING")):
        with pytest.raises(BadInput, match=f"is {word}; only operations that are QUEUED or RUNNING can be paused"):
            steering.pause(operation.pk)
        with pytest.raises(BadInput, match=f"is {word}; only PAUSED operations can be resumed"):
            steering.resume(operation.pk)


def test_to_pause_or_resume_twice_does_nothing_more(user):
    operation = stored(user)

    for step in (steering.resume, steering.pause, steering.pause):
        step(operation.pk)

    assert (state(operation), Operation.objects.get(pk=operation.pk).turns) == ("PAUSED", 1)


def test_python_code_pauses_and_resumes(user):
    operation = bulkql.create(FinancialAccount, [{"name": "x"}], user=user, mode="ASYNC")

    assert (operation.pause().state, operation.resume().state, operation.cancel().state) == (
        "PAUSED", "QUEUED", "CANCELED",
    )  # fmt: skip
