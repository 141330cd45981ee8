"""Where webhooks may go: hosts that are named, and addresses of the internet."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import pytest

from bulkql.workers.errors import BadInput
from bulkql.workers.webhooks import targets

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRETS_THAT_ARE_NONE = [
    "", " ", "whsec_", SECRET.removeprefix("whsec_"), SECRET[:-4], SECRET + 60 * "A", SECRET + "!", f"{SECRET} hunter2",
    "correct horse battery staple",
]  # fmt: skip


@pytest.fixture(autouse=True)
def rules(settings):
    settings.BULKQL_WEBHOOK_HOSTS = ["hooks.example.org", "ci.example.org:8443"]
    settings.BULKQL_WEBHOOK_SECRET = SECRET
    return settings


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.org/a?b=c",
        "https://HOOKS.example.org:443",
        "https://ci.example.org:8443/x",
    ],
)
def test_hosts_that_are_named_are_allowed(url):
    targets.check_url(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://evil.example.org/", "evil.example.org is not among BULKQL_WEBHOOK_HOSTS"),
        ("https://hooks.example.org.evil.org/", "is not among BULKQL_WEBHOOK_HOSTS"),
        ("https://hooks.example.org:8443/", "hooks.example.org:8443 is not among"),
        ("https://ci.example.org/", "ci.example.org is not among"),
        ("http://hooks.example.org/", "it has to begin with https://"),
        ("ftp://hooks.example.org/", "it has to begin with https://"),
        ("hooks.example.org", "it has to begin with https://"),
        ("https://hooks.example.org@evil.org/", "it has to name a host, and no user"),
        ("https://evil.org\\@hooks.example.org/", "no blanks"),
        ("https://hooks.example.org/\n", "no blanks"),
        ("https://hooks.example.org/ x", "no blanks"),
        ("https://hööks.example.org/", "all of them ASCII"),
        ("https://hooks.example.org:x/", "it is no URL"),
        ("https://[::1/", "it is no URL"),
        ("https:///x", "it has to name a host"),
        ("https://hooks.example.org/" + "x" * 2_000, "at most 2,000 characters"),
    ],
)
def test_others_are_refused_with_the_reason(url, why):
    with pytest.raises(BadInput) as refused:
        targets.check_url(url)

    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("BULKQL_WEBHOOK_HOSTS", []), *(("BULKQL_WEBHOOK_SECRET", secret) for secret in SECRETS_THAT_ARE_NONE)],
)
def test_a_setting_that_is_missing_is_named(rules, name, value):
    setattr(rules, name, value)

    with pytest.raises(BadInput, match=name):
        targets.check_url("https://hooks.example.org/")


def test_http_is_for_those_who_say_so(rules):
    rules.BULKQL_WEBHOOK_HTTP = True

    targets.check_url("http://hooks.example.org/")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::", "::7f00:1", "::10.0.0.1",
        "::ffff:0:10.0.0.1", "64:ff9b:1::a00:1", "fec0::1", "3fff::1", "5f00::1", "2001:db8::1", "4000::1",
    ],
)  # fmt: skip
def test_addresses_of_private_networks_are_not_public_in_any_dress(address):
    assert not targets.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "2606:2800:21f:cb07::1", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e"]
)
def test_addresses_of_the_internet_are(address):
    assert targets.is_public(ipaddress.ip_address(address))


def resolved(monkeypatch, *addresses):
    def look_up(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asyncio.run(targets.resolve("hooks.example.org", 443))


def test_the_first_address_of_a_name_is_taken(monkeypatch):
    assert resolved(monkeypatch, "93.184.215.14", "93.184.215.15") == "93.184.215.14"


def test_a_name_with_a_private_address_is_refused_whatever_else_it_has(monkeypatch):
    with pytest.raises(targets.NotAllowed, match=r"hooks\.example\.org is of a private network"):
        resolved(monkeypatch, "93.184.215.14", "127.0.0.1")


def test_private_networks_are_for_those_who_say_so(monkeypatch, rules):
    rules.BULKQL_WEBHOOK_PRIVATE = True

    assert resolved(monkeypatch, "10.0.0.1") == "10.0.0.1"
