"""URLs of webhooks -> whether they are allowed, and the address to connect to."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from standardwebhooks import Webhook

from bulkql.workers.errors import BadInput

#: Characters of a URL.
URL_LENGTH = 2_000
PORTS = {"https": 443, "http": 80}
#: IPv4 addresses in the clothes of IPv6: https://www.rfc-editor.org/rfc/rfc6052
NAT64 = ipaddress.ip_network("64:ff9b::/96")
#: The addresses of IPv6 that are given out, https://www.rfc-editor.org/rfc/rfc4291#section-2.4, and those among them
#: that Python 3.11 does not know to be for examples. All others are for networks of one's own, or for nobody.
GIVEN_OUT, EXAMPLES = ipaddress.ip_network("2000::/3"), ipaddress.ip_network("3fff::/20")
#: What precedes a secret, and the bytes that it has:
#: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
SECRET_PREFIX, SECRET_BYTES = "whsec_", range(24, 65)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


# A look-up cannot be broken off. asyncio.run waits for those in its own threads, however long a name server is silent.
_lookups = ThreadPoolExecutor(max_workers=4, thread_name_prefix="webhook-lookup")


class NotAllowed(Exception):
    """Nothing is sent there; the message says why."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Where webhooks may go, by the settings BULKQL_WEBHOOK_HOSTS, _SECRET, _HTTP and _PRIVATE."""

    #: Names, with a port where it is not the scheme's own.
    hosts: frozenset[str]
    secret: str
    takes_http: bool
    takes_private: bool

    @classmethod
    def in_force(cls) -> Rules:
        return cls(
            hosts=frozenset(one.lower() for one in getattr(settings, "BULKQL_WEBHOOK_HOSTS", None) or ()),
            secret=getattr(settings, "BULKQL_WEBHOOK_SECRET", None) or "",
            takes_http=bool(getattr(settings, "BULKQL_WEBHOOK_HTTP", False)),
            takes_private=bool(getattr(settings, "BULKQL_WEBHOOK_PRIVATE", False)),
        )


def default_url() -> str:
    """Where operations are told that say nothing else; empty for nowhere."""
    return getattr(settings, "BULKQL_WEBHOOK_URL", None) or ""


def signers(secrets: str) -> list[Webhook]:
    """What signs as Standard Webhooks say, once for each secret; raises NotAllowed for one that is none."""
    # Without one, nobody could tell our messages from anybody's.
    if not secrets.split() or not all(is_secret(one) for one in secrets.split()):
        raise NotAllowed(
            "BULKQL_WEBHOOK_SECRET has to be whsec_ and 24 to 64 bytes in base64, or several of these, separated by "
            "blanks"
        )
    return [Webhook(one) for one in secrets.split()]


def is_secret(text: str) -> bool:
    """Whether a text is a secret. The library takes any, and leaves out what is not base64."""
    encoded = text.removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        size = len(base64.b64decode(encoded + -len(encoded) % 4 * "=", validate=True))
    except ValueError:
        return False
    return text.startswith(SECRET_PREFIX) and size in SECRET_BYTES


def check_url(url: str) -> None:
    """Whether a request may name this URL; raises BadInput."""
    try:
        check_target(url)
    except NotAllowed as refused:
        raise BadInput(f"webhookUrl is refused: {refused}.") from None


def check_target(url: str) -> SplitResult:
    """A URL in its parts; raises NotAllowed."""
    rules = Rules.in_force()
    if not rules.hosts:
        raise NotAllowed("no host is allowed; the setting BULKQL_WEBHOOK_HOSTS names those that are")
    signers(rules.secret)
    # urlsplit forgives blanks and line breaks, and others read them otherwise.
    if len(url) > URL_LENGTH or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise NotAllowed(f"a URL has at most {URL_LENGTH:,} characters, all of them ASCII, and no blanks")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise NotAllowed("it is no URL") from None
    if parts.scheme not in (("https", "http") if rules.takes_http else ("https",)):
        raise NotAllowed("it has to begin with https:// (BULKQL_WEBHOOK_HTTP allows http, too)")
    if "@" in parts.netloc or not parts.hostname:
        raise NotAllowed("it has to name a host, and no user")
    place = parts.hostname if port in (None, PORTS[parts.scheme]) else f"{parts.hostname}:{port}"
    if place not in rules.hosts:
        raise NotAllowed(f"{place} is not among BULKQL_WEBHOOK_HOSTS")
    return parts


async def resolve(host: str, port: int) -> str:
    """One address of a host; raises NotAllowed where any of them is private.

    It is asked once, and connected to: a name that is resolved again may have become an address of our own network.
    """
    try:
        found = await asyncio.get_running_loop().run_in_executor(_lookups, look_up, host, port)
    except OSError as error:
        raise NotAllowed(f"{host} has no address") from error
    addresses = [str(place[0]).partition("%")[0] for *_, place in found]
    if not Rules.in_force().takes_private:
        for address in addresses:
            if not is_public(ipaddress.ip_address(address)):
                raise NotAllowed(f"{host} is of a private network (BULKQL_WEBHOOK_PRIVATE allows those)")
    return addresses[0]


def look_up(host: str, port: int) -> list[Any]:
    """The addresses of a host."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet, also where it is wrapped into another."""
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour
        if wrapped is None and address.teredo is not None:
            wrapped = address.teredo[1]
        if wrapped is None and address in NAT64:
            wrapped = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if wrapped is not None:
            return is_public(wrapped)
        if address not in GIVEN_OUT or address in EXAMPLES:
            return False
    return address.is_global and not address.is_multicast
