"""The end of an operation is told, once it is over and until it is heard."""

from __future__ import annotations

import json
import re
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib import admin
from django.utils import timezone
from standardwebhooks import Webhook

from bulkql.examples.ledger.bulk import FinancialAccounts
from bulkql.workers.conf import limits
from bulkql.workers.enums import Lane, OnError, Verb
from bulkql.workers.errors import BadInput
from bulkql.workers.ledger import retention
from bulkql.workers.messaging.broker import broker
from bulkql.workers.models import Delivery, Operation
from bulkql.workers.operations import retry, steps
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


class Receiver(ThreadingHTTPServer):
    """Somebody who listens on this host, and answers as it is told to."""

    def __init__(self, status=204, location=None, context=None):
        self.status, self.location, self.got = status, location, []
        super().__init__(("127.0.0.1", 0), Answer)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]


class Answer(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receive(rules):
    """Start receivers that webhooks may reach; they end with the test."""
    started = []

    def start(**options):
        one = Receiver(**options)
        started.append(one)
        rules.BULKQL_WEBHOOK_HOSTS = [f"localhost:{one.port}", f"hooks.test:{one.port}"]
        rules.BULKQL_WEBHOOK_HTTP = rules.BULKQL_WEBHOOK_PRIVATE = True
        return one

    yield start
    for one in started:
        one.shutdown()
        one.server_close()


@pytest.mark.parametrize("lane", [Lane.COPY, Lane.SAVE])
@pytest.mark.parametrize("verb", Verb)
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
        ("CANCELED", lambda user: steps.cancel(stored(user, webhook_url=URL).pk)),
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
    steps.cancel(operation.pk)

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


def test_a_message_is_signed_and_its_answer_is_told(receive):
    receiver = receive()

    attempt = sending.send(f"http://localhost:{receiver.port}/x?y=z", "msg_1", {"a": 1})

    ((path, headers, body),) = receiver.got
    assert (attempt.status, attempt.error, path) == (204, "", "/x?y=z")
    assert Webhook(SECRET).verify(body, headers) == {"a": 1}
    assert (headers["Host"], headers["webhook-id"]) == (f"localhost:{receiver.port}", "msg_1")


def test_redirects_are_not_followed(receive):
    other = receive()
    receiver = receive(status=302, location=f"http://localhost:{other.port}/")

    attempt = sending.send(f"http://localhost:{receiver.port}/", "msg_1", {})

    assert (attempt.status, attempt.error) == (302, "it was a redirect, which is not followed")
    assert other.got == []


def test_a_private_address_is_not_connected_to(receive, rules):
    receiver = receive()
    rules.BULKQL_WEBHOOK_PRIVATE = False

    attempt = sending.send(f"http://localhost:{receiver.port}/", "msg_1", {})

    assert attempt.error == "localhost is of a private network (BULKQL_WEBHOOK_PRIVATE allows those)"
    assert (attempt.status, receiver.got) == (None, [])


def test_the_connection_goes_to_the_address_and_tls_to_the_name(receive, monkeypatch, tmp_path):
    certificate = certified(tmp_path, "hooks.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    names = []
    context.sni_callback = lambda socket, name, _: names.append(name)
    receiver = receive(context=context)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def once(host, port):
        return "127.0.0.1"

    monkeypatch.setattr(sending, "resolve", once)

    attempt = sending.send(f"https://hooks.test:{receiver.port}/", "msg_1", {})
    other = sending.send(f"https://localhost:{receiver.port}/", "msg_1", {})

    assert (attempt.status, names[0], receiver.got[0][1]["Host"]) == (204, "hooks.test", f"hooks.test:{receiver.port}")
    assert (other.status, other.error) == (None, "it could not be reached (ConnectError)")


def certified(directory, name):
    """A certificate of a name, and its key, in one file."""
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string(f"CN={name}")
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = directory / "certificate.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(secret + built.public_bytes(serialization.Encoding.PEM))
    return file


def test_who_does_not_answer_in_time_is_left(receive, settings, monkeypatch):
    settings.BULKQL_WEBHOOK_SECONDS = 1
    limits.cache_clear()
    goes_on = threading.Event()
    monkeypatch.setattr(Answer, "do_POST", lambda self: goes_on.wait(20))
    receiver = receive()

    attempt = sending.send(f"http://localhost:{receiver.port}/", "msg_1", {})
    goes_on.set()
    limits.cache_clear()

    assert attempt.error == "no answer within 1 s (BULKQL_WEBHOOK_SECONDS)"
