"""What a database can do. Nobody else asks for its vendor."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connections


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """The abilities of one kind of database."""

    #: COPY, temporary tables to stage rows in, array parameters, sequences to reserve keys from: the fast lane.
    supports_copy: bool = False
    #: SET CONSTRAINTS and SET LOCAL: limits and checks that hold for one transaction.
    supports_transaction_settings: bool = False
    #: Another connection can write while a transaction is open.
    supports_concurrent_writers: bool = True


BACKENDS = {
    "postgresql": Backend(supports_copy=True, supports_transaction_settings=True),
    "sqlite": Backend(supports_concurrent_writers=False),
}


def backend(alias: str) -> Backend:
    """What the database of an alias can do; one that is not known writes through the ORM."""
    return BACKENDS.get(connections[alias].vendor, Backend())
