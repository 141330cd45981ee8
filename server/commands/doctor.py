"""`bulkql doctor`: looks at a deployment from where it runs, and says what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bulkql.server.commands.connection import output
from bulkql.server.commands.summary import escaped

if TYPE_CHECKING:
    from bulkql.server.doctor.findings import Finding, Look

STYLES = {"ok": "green", "warning": "yellow", "error": "red"}
#: What cannot be looked at where another is away.
BEHIND = {"database": ("clock", "migrations", "storage"), "redis": ("channel layer", "workers")}


def examine(set_up: Callable[[Path | None], None], data: Path | None, url: str | None) -> None:
    """Print what is found, as it is found; exits with 1 where something is ill."""
    set_up(data)
    counts: Counter[str] = Counter()
    # A service that `bulkql up` runs on loopback does not meet the world.
    for one in all_findings(url, is_deployed=data is None):
        counts[one.health] += 1
        sign = f"[{STYLES[one.health]}]{one.health:<8}[/]"
        output.print(f"{sign} {one.subject:<14} {escaped(one.seen)}", highlight=False, soft_wrap=True)
        if one.advice:
            output.print(f"{'':23} [bold]{escaped(one.advice)}[/]", highlight=False, soft_wrap=True)
    output.print(f"ok: {counts['ok']}, warnings: {counts['warning']}, errors: {counts['error']}", highlight=False)
    if counts["error"]:
        raise typer.Exit(1)


def all_findings(url: str | None, *, is_deployed: bool) -> Iterator[Finding]:
    """Everything that there is to look at, each for itself: where one is away the others are looked at all the same."""
    from bulkql.server.doctor import database, deployment, redis, storage
    from bulkql.server.doctor.findings import findings

    looks: list[tuple[str, Look, str]] = [
        ("database", database.look_at_database, database.START),
        ("clock", database.look_at_clock, database.START),
        ("migrations", database.look_at_tables, database.START),
        ("redis", redis.look_at_redis, redis.START),
        ("channel layer", redis.look_at_channel_layer, redis.WAIT),
        ("workers", redis.look_at_workers, redis.START),
        ("storage", storage.look_at_storage, storage.CHANGE),
        ("disk", storage.look_at_disk, storage.ROOM),
        (
            "settings",
            partial(deployment.look_at_settings, is_deployed),
            "Fix this first; `bulkql check` says the same.",
        ),
    ]
    if url is not None:
        looks.append(("web", partial(deployment.look_at_web, url), deployment.START))
    away: set[str] = set()
    for subject, look, advice in looks:
        if subject in away:
            continue
        for one in findings(subject, look, advice):
            yield one
            if one.subject == subject and one.health == "error":
                away.update(BEHIND.get(subject, ()))
