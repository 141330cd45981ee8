"""The database: version, room for connections, durability, a pooler, tables, and its clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django.core.checks import Tags, run_checks
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.migrations.executor import MigrationExecutor

from bulkql.server.doctor.findings import Finding, doubtful, ill, of_checks, well
from bulkql.server.health import own_connection
from bulkql.workers.backends import backend
from bulkql.workers.resources.tables import lacking_tables

#: The oldest PostgreSQL that rows are copied into.
OLDEST = 14
#: Seconds by which clocks may differ: leases and links are told in seconds.
SKEW_SECONDS = 2
#: The share of all connections that may be taken.
CROWDED = 0.8

START = "Start it, or set DATABASE_URL to where it is."


def look_at_database() -> Iterator[Finding]:
    """Whether it answers, and what it is."""
    # Asked of the pool, one that is away is told as a pool that has no connection free.
    with closing(own_connection()) as own:
        own.ensure_connection()
    yield from of_checks("database", run_checks(tags=[Tags.database], databases=[DEFAULT_DB_ALIAS]))
    if not backend(DEFAULT_DB_ALIAS).supports_copy:
        yield doubtful("database", connection.display_name, "Rows are saved one by one; on PostgreSQL they are copied.")
        return
    number = connection.pg_version  # type: ignore[attr-defined]  # PostgreSQL's own
    seen = f"{connection.display_name} {number // 10_000}.{number % 10_000}, {ask('SELECT current_database()')}"
    if number // 10_000 < OLDEST:
        yield ill("database", seen, f"Upgrade to PostgreSQL {OLDEST} or newer.")
    else:
        yield well("database", seen)
    yield from look_at_connections()
    yield from look_at_durability()
    yield look_at_pooler()


def look_at_connections() -> Iterator[Finding]:
    """Web processes and workers each take some."""
    most = int(ask("SHOW max_connections"))
    taken = int(ask("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"))
    seen = f"{taken} of {most} connections are in use"
    if taken > CROWDED * most:
        yield doubtful("connections", seen, "Raise max_connections, or put a pooler such as PgBouncer in front of it.")
    else:
        yield well("connections", seen)


def look_at_durability() -> Iterator[Finding]:
    """What was acknowledged must survive a crash of the database."""
    off = [name for name in ("fsync", "full_page_writes", "synchronous_commit") if ask(f"SHOW {name}") == "off"]
    if off:
        yield ill("durability", f"{', '.join(off)} off", "Turn it on: a crash would lose what was acknowledged.")
    else:
        yield well("durability", "fsync and synchronous_commit are on")


def look_at_pooler() -> Finding:
    """A pooler gives itself out as a server process, and is not the one that answers."""
    own = connection.connection.info.backend_pid
    if own == ask("SELECT pg_backend_pid()"):
        return well("pooler", "none; connections are the database's own")
    return well("pooler", "there is a pooler in between; transaction pooling is fine")


def look_at_tables() -> Iterator[Finding]:
    """Migrations that were not run, and tables or columns that are missing all the same."""
    executor = MigrationExecutor(connection)
    waiting = [str(one) for one, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]
    if waiting:
        named = ", ".join(waiting[:3])
        seen = f"{len(waiting)} migrations have not been applied: {named}{' ...' if waiting[3:] else ''}"
        yield ill("migrations", seen, "Run `bulkql migrate`.")
        return
    lacking = lacking_tables()
    for sentence in lacking:
        what, _, advice = sentence.partition("; ")
        yield ill("tables", what, f"{advice[:1].upper()}{advice[1:]}")
    if not lacking:
        yield well("migrations", "all have been applied, and all tables exist")


def look_at_clock() -> Iterator[Finding]:
    """Leases are counted by the database's clock, tokens and links by this machine's."""
    if not backend(DEFAULT_DB_ALIAS).supports_copy:
        return
    before = datetime.now(UTC)
    there = ask("SELECT clock_timestamp()")
    here = before + (datetime.now(UTC) - before) / 2
    yield clock_finding("the database", (there - here).total_seconds())


def clock_finding(whose: str, skew: float) -> Finding:
    """By how many seconds another clock is before this machine's."""
    seen = f"{whose} is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} this machine"
    if abs(skew) > SKEW_SECONDS:
        return doubtful("clock", seen, "Synchronize both with NTP: links and tokens would expire early or late.")
    return well("clock", f"{whose} and this machine agree")


def ask(query: str) -> Any:
    """The only value of the only row."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def place(url: str) -> str:
    """Where a URL leads to, without its password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'here'}{f':{parts.port}' if parts.port else ''}"
