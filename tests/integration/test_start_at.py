"""startAt: an operation is stored now and begun then, whatever becomes of messages meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

import bulkql
from bulkql.examples.ledger.models import FinancialAccount
from bulkql.workers.enums import State
from bulkql.workers.errors import BadInput, LimitExceeded
from bulkql.workers.intake.requests import Mode
from bulkql.workers.ledger import totals
from bulkql.workers.messaging.broker import broker
from bulkql.workers.models import Operation
from bulkql.workers.operations import steering, steps
from bulkql.workers.rescue import rescue
from tests.integration.turns import fresh_queue, of_a_file, state, stored, waiting_messages, write

__all__ = ["fresh_queue"]

pytestmark = pytest.mark.django_db

LATER = timezone.now() + timedelta(hours=1)


@pytest.mark.parametrize("of", [stored, of_a_file])
def test_what_starts_later_is_stored_now_and_begun_then(user, of):
    operation = of(user, start_at=LATER)
    message = f"Starts at {LATER.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC."

    for one in operation.inputs.filter(read_at=None):
        steps.read_input(one.pk)
    write(operation)
    rescue()
    told = totals.progress(operation.pk)
    assert (told.state, told.message, told.processed, waiting_messages()) == ("QUEUED", message, 0, 0)

    Operation.objects.update(start_at=timezone.now() - timedelta(seconds=1))
    broker.client.flushdb()
    rescue()
    assert waiting_messages() > 0
    for one in operation.inputs.filter(read_at=None):
        steps.read_input(one.pk)
    write(operation)
    told = totals.progress(operation.pk)
    assert (told.state, told.message, told.created) == ("COMPLETED", "", told.total)


def test_the_time_passes_for_a_worker_that_lost_no_message(user):
    stored(user, start_at=LATER)
    Operation.objects.update(start_at=timezone.now() - timedelta(seconds=1))

    rescue()

    assert waiting_messages() == 2


def test_what_starts_later_is_canceled_at_once(user):
    operation = stored(user, start_at=LATER)

    steering.cancel(operation.pk)

    assert (state(operation), totals.progress(operation.pk).skipped) == ("CANCELED", 4)


def test_what_starts_later_and_was_paused_waits_for_both(user):
    operation = stored(user, start_at=LATER)
    message = operation.message
    assert message.startswith("Starts at ")

    steering.pause(operation.pk)
    assert (state(operation), totals.progress(operation.pk).message) == ("PAUSED", "")

    steering.resume(operation.pk)
    assert (state(operation), waiting_messages()) == ("QUEUED", 0)
    assert totals.progress(operation.pk).message == message


def test_what_was_paused_until_after_its_time_does_not_tell_of_it_any_more(user):
    operation = stored(user, start_at=LATER)
    steering.pause(operation.pk)
    Operation.objects.update(start_at=timezone.now() - timedelta(seconds=1))

    steering.resume(operation.pk)

    assert (state(operation), totals.progress(operation.pk).message) == ("QUEUED", "")


def test_a_start_in_the_past_is_now(user):
    operation = stored(user, start_at=timezone.now() - timedelta(days=1))

    assert (operation.message, waiting_messages()) == ("", 2)


def test_who_waits_for_the_end_cannot_start_later(user):
    with pytest.raises(
        BadInput, match="startAt cannot be combined with mode SYNC, which waits for the end; use ASYNC or AUTO"
    ):
        stored(user, start_at=LATER, mode=Mode.SYNC)


def test_a_start_is_bounded_by_the_retention(user):
    with pytest.raises(LimitExceeded, match=r"beyond the limit of 7 days \(BULKQL_RETENTION_DAYS\)"):
        stored(user, start_at=timezone.now() + timedelta(days=8))


def test_a_python_time_without_a_zone_is_refused(user):
    with pytest.raises(BadInput, match="start_at has no time zone"):
        bulkql.create(FinancialAccount, [{"name": "x"}], user=user, start_at=datetime(2030, 1, 1))


def test_few_rows_that_start_later_are_queued(user, ask):
    document = """mutation ($options: BulkOptions) {
        bulkCreate(input: {financialAccounts: {rows: [{name: "x"}]}}, options: $options) { state message startAt }
    }"""

    answer = ask(user, document, options={"startAt": LATER.isoformat()})["bulkCreate"]

    assert (answer["state"], answer["startAt"]) == (State.QUEUED, LATER.isoformat())
    assert answer["message"].startswith("Starts at ")
