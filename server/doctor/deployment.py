"""Settings and registrations: what Django's system checks say, and the web tier's own answer."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
from django.conf import settings
from django.core.checks import run_checks
from django.core.checks.messages import WARNING

from bulkql.server.doctor.findings import Finding, ill, of_checks, well

START = "Start `bulkql serve`, or give the address under which it is reached."


#: What BULKQL_HTTPS sets, whose own check says so.
OF_HTTPS = ("security.W004", "security.W008", "security.W012", "security.W016")


def look_at_settings(is_deployed: bool) -> Iterator[Finding]:
    """What `bulkql check` says, and of one that meets the world `bulkql check --deploy`; a finding each."""
    serious = [one for one in run_checks(include_deployment_checks=is_deployed) if one.level >= WARNING]
    if any(one.id == "bulkql.W030" for one in serious):
        serious = [one for one in serious if one.id not in OF_HTTPS]
    yield from of_checks("settings", serious)
    if not serious:
        yield well("settings", f"{settings.SETTINGS_MODULE}: all checks pass")


def look_at_web(url: str) -> Iterator[Finding]:
    """Whether the web tier answers, and is ready."""
    answer = httpx.get(f"{url.rstrip('/')}/readyz", timeout=5)
    if answer.status_code == httpx.codes.OK:
        yield well("web", f"{url} is ready")
    else:
        yield ill("web", f"{url}/readyz answered {answer.status_code}: {answer.text[:200]}", START)
