"""Whose clock decides: the database's, whatever those of the processes' hosts say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from bulkql.workers.enums import OnError, State, Verb
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger.retention import purge
from bulkql.workers.messaging.broker import broker
from bulkql.workers.models import Chunk, Input, Operation, Upload
from bulkql.workers.operations import running, steps
from bulkql.workers.rescue import open_operations
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.uploads import uploads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[-1, 1], ids=["an hour slow", "an hour fast"], autouse=True)
def hours(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """This process's clock is off by so many hours."""
    now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(hours=request.param))
    broker.client.flushdb()
    return int(request.param)


def operation_of(user: Any, mode: Mode, on_error: OnError = OnError.SKIP_ROWS) -> Operation:
    inputs = [InputRequest(resource=resource_named("financialAccounts"), rows=[{"name": "Cash"}, {"name": None}])]
    return running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=mode, on_error=on_error))


def just_now(name: str) -> Q:
    return Q(**{f"{name}__gt": Now() - timedelta(minutes=10), f"{name}__lt": Now() + timedelta(minutes=10)})


@pytest.mark.parametrize("mode", [Mode.SYNC, Mode.ASYNC])
def test_an_operation_has_the_times_of_the_database(user, mode):
    operation = operation_of(user, mode)
    for chunk_id in operation.chunks.filter(recorded_at=None).values_list("pk", flat=True):
        steps.write_chunk(chunk_id)

    all_times = just_now("created_at") & just_now("started_at") & just_now("finished_at")
    assert Operation.objects.filter(all_times, finished_at__gte=F("started_at"), state=State.COMPLETED).exists()
    assert Chunk.objects.filter(just_now("recorded_at")).count() == 1
    assert Input.objects.filter(just_now("read_at")).count() == 1
    assert operation.created_at == Operation.objects.get().created_at


def test_one_that_is_written_as_a_whole_and_one_that_fails_have_them_too(user):
    operation = operation_of(user, Mode.ASYNC, OnError.REJECT_ALL)

    steps.write_operation(operation.pk)

    assert Operation.objects.filter(just_now("finished_at"), state=State.FAILED).exists()
    assert Chunk.objects.filter(just_now("recorded_at")).count() == 1


def test_an_operation_whose_message_was_lost_is_looked_for_at_once(user):
    operation_of(user, Mode.ASYNC)
    Operation.objects.update(created_at=F("created_at") - timedelta(seconds=2))

    assert open_operations().count() == 1


def test_what_is_awaited_is_not_purged_before_its_time(user):
    operation_of(user, Mode.SYNC)
    uploads.announce(user, "rows.csv", 10)
    limit = timedelta(minutes=30)
    Upload.objects.update(created_at=F("created_at") - timedelta(days=1) + limit)

    assert purge() == (0, 0)
