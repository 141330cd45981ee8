"""A webhook on its way: signed, to the address that was looked up, and no further."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks import Webhook

from bulkql.workers.webhooks import sending

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def rules(settings):
    settings.BULKQL_WEBHOOK_SECRET = SECRET
    return settings


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


def test_a_message_is_signed_and_its_answer_is_told(receive):
    receiver = receive()

    attempt = sending.send(f"http://localhost:{receiver.port}/x?y=z", "msg_1", {"a": 1})

    ((path, headers, body),) = receiver.got
    assert (attempt.status, attempt.error, path) == (204, "", "/x?y=z")
    assert Webhook(SECRET).verify(body, headers) == {"a": 1}
    assert (headers["Host"], headers["webhook-id"]) == (f"localhost:{receiver.port}", "msg_1")


def test_a_message_is_signed_with_each_secret_while_one_is_replaced(receive, rules):
    other = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    rules.BULKQL_WEBHOOK_SECRET = f"{other} {SECRET}"
    receiver = receive()

    sending.send(f"http://localhost:{receiver.port}/", "msg_1", {"a": 1})

    ((_, headers, body),) = receiver.got
    assert [Webhook(one).verify(body, headers) for one in (SECRET, other)] == [{"a": 1}, {"a": 1}]


def test_a_name_server_that_does_not_answer_in_time_is_left(receive, settings, monkeypatch):
    settings.BULKQL_WEBHOOK_SECONDS = 1
    goes_on = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: goes_on.wait(20))
    receiver = receive()

    attempt = sending.send(f"http://localhost:{receiver.port}/", "msg_1", {})
    is_waiting = not goes_on.is_set()
    goes_on.set()

    assert (attempt.error, is_waiting) == ("no answer within 1 s (BULKQL_WEBHOOK_SECONDS)", True)
    assert attempt.seconds < 10


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
    goes_on = threading.Event()
    monkeypatch.setattr(Answer, "do_POST", lambda self: goes_on.wait(20))
    receiver = receive()

    attempt = sending.send(f"http://localhost:{receiver.port}/", "msg_1", {})
    goes_on.set()

    assert attempt.error == "no answer within 1 s (BULKQL_WEBHOOK_SECONDS)"
