"""The end of an operation is told, once it is over and until it is heard."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib import admin
from django.utils import timezone

from bulkql.examples.ledger.bulk import FinancialAccounts
from bulkql.workers.enums import Lane, OnError, Verb
from bulkql.workers.errors import BadInput
from bulkql.workers.ledger import retention
from bulkql.workers.messaging.broker import broker
from bulkql.workers.models import Delivery, Operation
from bulkql.workers.operations import retry, steering, steps
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.webhooks import deliveries, sending
from bulkql.workers.webhooks.sending import Attempt
from tests.integration.turns import fresh_queue, of_a_file, stored, waiting_messages, write

__all__ = ["fresh_queue"]

pytestmark = pytest.mark.django_db

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "https://hooks.example.org/bulkql"


@pytest.fixture(autouse=True)
def rules(settings):
    settings.BULKQL_WEBHOOK_HOSTS = ["hooks.example.org"]
    settings.BULKQL_WEBHOOK_SECRET = SECRET
    return settings


@pytest.fixture
def statuses():
    """With what the next messages are answered; 200 once there are none left."""
    return []


@pytest.fixture
def heard(monkeypatch, statuses):
    """What is sent: URL, id and message."""
    messages = []

    def send(url, message_id, message):
        messages.append((url, message_id, message))
        return Attempt(at=datetime.now(UTC), seconds=0.1, status=statuses.pop(0) if statuses else 200)

    monkeypatch.setattr(sending, "send", send)
    return messages


@pytest.mark.parametrize("lane", [Lane.COPY, Lane.SAVE])
@pytest.mark.parametrize("verb", [verb for verb in Verb if verb.takes_rows])
def test_the_end_is_told_with_counts_and_no_rows(user, heard, monkeypatch, verb, lane):
    monkeypatch.setattr(BulkResource, "writes", lane)
    operation = stored(user, verb, label="mine", webhook_url=URL)
    deliveries.deliver_due()
    assert heard == []

    write(operation)
    deliveries.deliver_due()
    deliveries.deliver_due()

    ((url, message_id, message),) = heard
    assert (url, message_id) == (URL, operation.deliveries.get().message_id)
    assert (message["type"], message["data"]["id"]) == ("operation.finished", str(operation.pk))
    assert (message["data"]["state"], message["data"]["total"], message["data"]["label"]) == ("COMPLETED", 4, "mine")
    assert set(message["data"]) == set(example()["data"])
    assert operation.deliveries.get().state == "DELIVERED"


def example():
    page = (Path(__file__).parents[2] / "docs/webhooks.md").read_text()
    return json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0])


@pytest.mark.parametrize(
    ("state", "end"),
    [
        ("COMPLETED", lambda user: stored(user, mode="SYNC", webhook_url=URL)),
        ("COMPLETED", lambda user: stored(user, mode="SYNC", dry_run=True, webhook_url=URL)),
        ("COMPLETED", lambda user: stored(user, mode="SYNC", on_error=OnError.REJECT_ALL, webhook_url=URL)),
        ("CANCELED", lambda user: steering.cancel(stored(user, webhook_url=URL).pk)),
        ("FAILED", lambda user: steps.give_up(of_a_file(user, webhook_url=URL).pk, "It is broken.")),
    ],
)
def test_every_end_is_told_and_rung_for(user, heard, state, end):
    end(user)

    assert waiting_messages() >= 1
    deliveries.deliver_due()
    assert [message["data"]["state"] for _, _, message in heard] == [state]


def test_who_does_not_listen_pays_no_statement(user, django_assert_num_queries, settings):
    operation = stored(user)
    settings.BULKQL_WEBHOOK_HOSTS = []

    write(operation)
    with django_assert_num_queries(0):
        deliveries.ring_if_due()

    assert Delivery.objects.count() == 0


def test_what_redis_lost_is_rung_for_again(user):
    operation = stored(user, mode="SYNC", webhook_url=URL)
    broker.client.flushdb()
    deliveries.ring_if_due()
    assert waiting_messages() == 1

    Delivery.objects.filter(operation=operation).update(leased_until=timezone.now() + timedelta(minutes=1))
    broker.client.flushdb()
    deliveries.ring_if_due()
    assert waiting_messages() == 0


def test_it_is_tried_again_ever_more_seldom_and_given_up_in_the_end(user, heard, statuses):
    operation = stored(user, mode="SYNC", webhook_url=URL)
    statuses += [500] * 20
    pauses = []

    for _ in range(10):
        before = timezone.now()
        deliveries.deliver_due()
        one = operation.deliveries.get()
        pauses.append(round((one.due_at - before).total_seconds()))
        Delivery.objects.update(due_at=timezone.now() - timedelta(seconds=1))

    assert pauses[:9] == pytest.approx(list(deliveries.PAUSES), abs=5)
    assert (one.state, one.attempts, len(one.tries), len(heard)) == ("FAILED", 10, 10, 10)
    deliveries.deliver_due()
    assert len(heard) == 10


def test_gone_is_gone(user, heard, statuses):
    operation = stored(user, mode="SYNC", webhook_url=URL)
    statuses.append(410)

    deliveries.deliver_due()

    assert operation.deliveries.get().state == "FAILED"


def test_it_is_sent_again_by_whoever_sees_the_operation(user, heard, statuses, ask):
    page = (Path(__file__).parents[2] / "docs/webhooks.md").read_text()
    first, again = re.findall(r"```graphql\n(.*?)```", page, re.DOTALL)
    (made,) = ask(user, first)["bulkCreate"]["deliveries"]
    assert (made["host"], made["state"], made["tries"]) == ("hooks.example.org", "PENDING", [])
    statuses.append(410)
    deliveries.deliver_due()

    sent = ask(user, again, id=made["id"])["resendWebhook"]
    deliveries.deliver_due()

    assert sent["state"] == "PENDING"
    one = Delivery.objects.get()
    assert (one.state, [one["status"] for one in one.tries]) == ("DELIVERED", [410, 200])
    assert len({message_id for _, message_id, _ in heard}) == 1


def test_it_is_not_sent_again_before_the_end(user):
    operation = stored(user, webhook_url=URL)

    with pytest.raises(BadInput, match="is not over; its webhook is sent when it is"):
        deliveries.resend(operation.deliveries.select_related("operation").get())


def test_resources_and_the_service_have_urls_of_their_own(user, monkeypatch, settings):
    settings.BULKQL_WEBHOOK_URL = "https://hooks.example.org/all"
    assert [one.url for one in stored(user).deliveries.all()] == ["https://hooks.example.org/all"]

    monkeypatch.setattr(FinancialAccounts, "webhook_url", "https://hooks.example.org/accounts")
    assert [one.url for one in stored(user).deliveries.all()] == ["https://hooks.example.org/accounts"]
    assert [one.url for one in stored(user, webhook_url=URL).deliveries.all()] == [URL]


def test_a_retry_tells_its_own_end(user):
    operation = stored(user, webhook_url=URL)
    steering.cancel(operation.pk)

    again = retry.retry(Operation.objects.get(pk=operation.pk), user)

    assert [one.url for one in again.deliveries.all()] == [URL]


def test_deliveries_go_with_their_operation(user):
    operation = stored(user, mode="SYNC", webhook_url=URL)
    Operation.objects.filter(pk=operation.pk).update(finished_at=timezone.now() - timedelta(days=8))

    retention.purge()

    assert Delivery.objects.count() == 0


def test_the_admin_shows_deliveries_and_sends_them_again(user, client):
    stored(user, mode="SYNC", webhook_url=URL)
    Delivery.objects.update(state="FAILED")
    one = Delivery.objects.get()
    client.force_login(user)

    page = client.get("/admin/bulkql/delivery/").content.decode()
    client.post("/admin/bulkql/delivery/", {"action": "send_again", "_selected_action": [str(one.pk)]})

    assert admin.site.is_registered(Delivery)
    assert ("hooks.example.org" in page, "/bulkql</" in page) == (True, False)
    assert Delivery.objects.get().state == "PENDING"
