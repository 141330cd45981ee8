"""What a database can do. Nobody else asks for its vendor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db import connections
from django.db.models import BigIntegerField, Q, Sum
from django.db.models.functions import Cast, Coalesce


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """The abilities of one kind of database."""

    #: COPY, temporary tables to stage rows in, array parameters, sequences to reserve keys from: the fast lane.
    supports_copy: bool = False
    #: SET CONSTRAINTS and SET LOCAL: limits and checks that hold for one transaction.
    supports_transaction_settings: bool = False
    #: pg_stat_activity and pg_stat_replication: who is at work, who waits, and how far standbys are behind.
    tells_its_load: bool = False
    #: Another connection can write while a transaction is open.
    supports_concurrent_writers: bool = True


BACKENDS = {
    "postgresql": Backend(supports_copy=True, supports_transaction_settings=True, tells_its_load=True),
    "sqlite": Backend(supports_concurrent_writers=False),
}


def backend(alias: str) -> Backend:
    """What the database of an alias can do; one that is not known writes through the ORM."""
    return BACKENDS.get(connections[alias].vendor, Backend())


def whole_sum(name: str, filter: Q | None = None) -> Cast:
    """A sum of whole numbers as one; 0 of nothing. MariaDB, and PostgreSQL for long ones, give a Decimal."""
    return Cast(Coalesce(Sum(name, filter=filter), 0), BigIntegerField())


@contextmanager
def sending_bytes(alias: str) -> Iterator[None]:
    """For statements that store bytes: PostgreSQL takes them beside the statement, as they are.

    Django writes them into it, two digits for each byte, which takes four times as long.
    """
    if not backend(alias).supports_copy:
        yield
        return
    from django.db.backends.postgresql.base import ServerBindingCursor

    connections[alias].ensure_connection()
    connection: Any = connections[alias].connection
    usual, connection.cursor_factory = connection.cursor_factory, ServerBindingCursor
    try:
        yield
    finally:
        connection.cursor_factory = usual


#: What operations set for their transaction.
TRANSACTION_SETTINGS = (
    "synchronous_commit",
    "random_page_cost",
    "cpu_tuple_cost",
    "lock_timeout",
    "statement_timeout",
    "application_name",
    "default_statistics_target",
)
READ_SETTINGS = "SELECT name, current_setting(name) FROM unnest(%s::text[]) name"
SET_BACK = "SELECT set_config(name, value, true) FROM unnest(%s::text[], %s::text[]) AS kept (name, value)"
#: Deferrable constraints that are not deferred unless somebody says so.
IMMEDIATE_CONSTRAINTS = """
SELECT string_agg(format('%I.%I', nspname, conname), ', ') FROM pg_constraint
JOIN pg_namespace ON pg_namespace.oid = connamespace WHERE condeferrable AND NOT condeferred
"""


@contextmanager
def callers_settings(aliases: Iterable[str]) -> Iterator[None]:
    """Have the caller's transaction, where there is one, go on with the settings that it had.

    Ours are set for the transaction, which does not end with us. Where something is raised, they go with the savepoint.
    """
    kept: dict[str, list[tuple[str, str]]] = {}
    for alias in set(aliases):
        if connections[alias].in_atomic_block and backend(alias).supports_transaction_settings:
            with connections[alias].cursor() as cursor:
                cursor.execute(READ_SETTINGS, [list(TRANSACTION_SETTINGS)])
                kept[alias] = cursor.fetchall()
    yield
    for alias, settings in kept.items():
        with connections[alias].cursor() as cursor:
            names, values = zip(*settings, strict=True)
            cursor.execute(SET_BACK, [list(names), list(values)])
            cursor.execute(IMMEDIATE_CONSTRAINTS)
            (immediate,) = cursor.fetchone()
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            if immediate:
                cursor.execute(f"SET CONSTRAINTS {immediate} IMMEDIATE")


_is_durable: ContextVar[bool] = ContextVar("is_durable", default=False)


@contextmanager
def durable() -> Iterator[None]:
    """Transactions that begin here reach the disk before anybody is told of them, whoever commits them.

    Workers do not wait for it elsewhere. But an end that was told must not be taken back by a crash of the database;
    and since its log is written in order, all that was committed before is on the disk then, too.
    """
    token = _is_durable.set(True)
    try:
        yield
    finally:
        _is_durable.reset(token)


def is_durable() -> bool:
    """Whether what is committed now has to wait for the disk."""
    return _is_durable.get()
