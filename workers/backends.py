"""What a database can do. Nobody else asks for its vendor."""

from __future__ import annotations

from collections.abc import Iterator
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
