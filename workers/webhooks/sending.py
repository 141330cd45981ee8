"""A message and its URL -> one signed POST, and what came of it."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from bulkql.workers.conf import limits
from bulkql.workers.webhooks.targets import PORTS, NotAllowed, Rules, check_target, resolve, signers


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of one POST: a status, or an error in words. Of the answer nothing else is read."""

    at: datetime
    seconds: float
    status: int | None = None
    error: str = ""

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_final(self) -> bool:
        """Nobody need try again: it was taken, or the other side wants no more (410 Gone)."""
        return self.is_taken or self.status == httpx.codes.GONE


def send(url: str, message_id: str, message: dict[str, Any]) -> Attempt:
    """POST a message, signed as https://www.standardwebhooks.com has it. Never raises for what the other side does."""
    at, began_at = datetime.now(UTC), time.monotonic()
    status, error = None, ""
    try:
        status = asyncio.run(post(url, message_id, at, json.dumps(message)))
        if 300 <= status < 400:
            error = "it was a redirect, which is not followed"
    except NotAllowed as refused:
        error = str(refused)
    except TimeoutError:
        error = f"no answer within {limits().webhook_seconds} s (BULKQL_WEBHOOK_SECONDS)"
    except (httpx.HTTPError, ssl.SSLError, OSError, ValueError) as failed:
        # Its text may hold what the other side sent; its kind says enough.
        error = f"it could not be reached ({type(failed).__name__})"
    return Attempt(at=at, seconds=round(time.monotonic() - began_at, 3), status=status, error=error)


async def post(url: str, message_id: str, at: datetime, body: str) -> int:
    """The status of the answer; raises NotAllowed, TimeoutError, httpx.HTTPError."""
    parts = check_target(url)
    assert parts.hostname is not None
    headers = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "User-Agent": "bulkql",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        # One of each secret: receivers take those of the one that they know.
        "webhook-signature": " ".join(one.sign(message_id, at, body) for one in signers(Rules.in_force().secret)),
    }
    # The whole of it: who sends a byte now and then would else hold a worker for ever.
    async with asyncio.timeout(limits().webhook_seconds):
        address = await resolve(parts.hostname, parts.port or PORTS[parts.scheme])
        pinned = httpx.URL(url).copy_with(host=address, fragment=None)
        # No proxies of the environment: they would resolve the name again.
        verify, patience = ssl.create_default_context(), limits().webhook_seconds
        async with httpx.AsyncClient(verify=verify, trust_env=False, timeout=patience) as client:
            # The certificate has to be that of the name.
            request = client.build_request(
                "POST", pinned, content=body, headers=headers, extensions={"sni_hostname": parts.hostname}
            )
            response = await client.send(request, stream=True, follow_redirects=False)
            await response.aclose()
            return response.status_code
