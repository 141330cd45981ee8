"""An alias -> what its database can do. Nobody else asks for its vendor, but for migrations, which stay as they are."""

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
class Collations:
    """How to ask a database by what it compares texts."""

    #: What it compares of a text `v` of a column, as SQL; null where it is the text itself.
    lookup: str
    #: That of each text of a JSON list, in its order.
    keys: str
    #: How the types of columns begin that need no look, unless the field has a collation.
    exact_types: tuple[str, ...] = ("varchar", "char", "text")


#: Of a type of its own, such as citext, the hash is asked, as of a collation that ignores something.
OF_POSTGRESQL = Collations(
    lookup="""
    SELECT 'v::' || format_type(base.oid, NULL) || coalesce(format(' COLLATE %%I.%%I', nspname, collname), '')
    FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
    JOIN pg_type base ON base.oid = coalesce(nullif(pg_type.typbasetype, 0), pg_type.oid)
    LEFT JOIN pg_collation ON pg_collation.oid = attcollation LEFT JOIN pg_namespace ON pg_namespace.oid = collnamespace
    WHERE attrelid = %(quoted)s::regclass AND attname = %(column)s AND base.typcategory = 'S'
    AND NOT (coalesce(collisdeterministic, true) AND base.typname IN ('text', 'varchar'))
    """,
    keys="""
    SELECT hash_record_extended(ROW({0}), 1) || ' ' || hash_record_extended(ROW({0}), 2)
    FROM json_array_elements_text(%s::json) WITH ORDINALITY AS texts (v, number) ORDER BY number
    """,
)
#: Only the field says what the collation is.
OF_SQLITE = Collations(
    lookup="SELECT CASE upper(%(collation)s) WHEN 'NOCASE' THEN 'lower(v)' WHEN 'RTRIM' THEN 'rtrim(v, '' '')' END",
    keys="SELECT {0} FROM (SELECT key, value AS v FROM json_each(%s)) ORDER BY key",
)
#: Most collations ignore case, and blanks at the end.
OF_MYSQL = Collations(
    lookup="""
    SELECT concat('CONVERT(', if(collation_name REGEXP 'nopad|0900', 'v', 'trim(TRAILING '' '' FROM v)'),
    ' USING ', character_set_name, ') COLLATE ', collation_name) FROM information_schema.columns
    WHERE table_schema = database() AND table_name = %(table)s AND column_name = %(column)s
    AND right(collation_name, 4) <> '_bin'
    """,
    keys="""
    SELECT hex(weight_string({0}))
    FROM json_table(%s, '$[*]' COLUMNS (number FOR ORDINALITY, v longtext PATH '$')) AS texts ORDER BY number
    """,
    exact_types=(),
)


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
    #: Its driver hands rows over one after the other, within a transaction.
    supports_streaming: bool = False
    #: CREATE EXTENSION: migrations and models may need some.
    supports_extensions: bool = False
    #: psycopg makes Python's values of its own: a cursor may be told how.
    is_read_by_psycopg: bool = False
    #: None where texts are taken to be equal that are the same.
    collations: Collations | None = None
    #: How a transaction asks for its isolation level, in the last column; None where there is but one.
    isolation: str | None = None


BACKENDS = {
    "postgresql": Backend(
        supports_copy=True,
        supports_transaction_settings=True,
        tells_its_load=True,
        supports_streaming=True,
        supports_extensions=True,
        is_read_by_psycopg=True,
        collations=OF_POSTGRESQL,
        isolation="SHOW transaction_isolation",
    ),
    "sqlite": Backend(supports_concurrent_writers=False, supports_streaming=True, collations=OF_SQLITE),
    # MariaDB knows the older name, MySQL 8 only the newer one.
    "mysql": Backend(
        collations=OF_MYSQL, isolation="SHOW VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')"
    ),
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
    "enable_mergejoin",
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
