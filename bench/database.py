"""The service's own database, seen from beside it: filled before each measurement, checked after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from bench.rows import ACCOUNTS, COUNTRIES, STATUSES, Rows, Table
from bench.work import Work

#: What decides how long a commit takes.
SETTINGS = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size")
#: Bytes that a COPY is given at a time; from 16 KiB to the whole file at once, the size makes no difference.
PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Database:
    """One connection; each statement commits by itself."""

    connection: psycopg.Connection[TupleRow]
    #: The fingerprints of files that were compared before.
    known: dict[Path, tuple[Any, ...]] = field(default_factory=dict)

    def prepare(self) -> None:
        """What all rows point to: accounts and statuses with ids from 1, and countries."""
        for table, count in (("ledger_financialaccount", ACCOUNTS), ("ledger_classificationstatus", STATUSES)):
            self.connection.execute(f"TRUNCATE {table} RESTART IDENTITY CASCADE")
            self.connection.execute(
                f"INSERT INTO {table} (name) SELECT 'Number ' || n FROM generate_series(1, {count}) AS n"
            )
        self.connection.execute("TRUNCATE places_country CASCADE")
        self.connection.execute(
            "INSERT INTO places_country SELECT c, c || 'X', c, 'EU', '', 0, 0 FROM unnest(%s::text[]) AS c",
            [list(COUNTRIES)],
        )

    def fill(self, work: Work) -> None:
        """The table as it is before, with ids from 1, and no debts: what came before is on the disk."""
        self.connection.execute(f"TRUNCATE {work.sent.table.name} RESTART IDENTITY")
        if work.before is not None:
            self.copy(work.before)
        self.connection.execute("VACUUM ANALYZE")
        self.connection.execute("CHECKPOINT")

    def copy(self, rows: Rows, table: str = "") -> None:
        """COPY the rows' file into their table, or another."""
        columns = ", ".join(rows.table.columns.get(name, name) for name in rows.fields)
        with (
            rows.path.open("rb") as file,
            self.connection.cursor() as cursor,
            cursor.copy(f"COPY {table or rows.table.name} ({columns}) FROM STDIN (FORMAT csv, HEADER)") as stream,
        ):
            while piece := file.read(PIECE_BYTES):
                stream.write(piece)

    def check(self, work: Work) -> None:
        """Each row that should be in the table is there, once, and no other; raises SystemExit."""
        found = self.fingerprint(work.sent.table, work.sent.table.name)
        wanted = self.wanted(work.after) if work.after is not None else (0, None)
        if found != wanted:
            raise SystemExit(f"The table has {found[0]:,} rows where {wanted[0]:,} should be, or some of them differ.")

    def wanted(self, rows: Rows) -> tuple[Any, ...]:
        """The fingerprint of a table with these rows."""
        if rows.path not in self.known:
            columns = ", ".join(rows.table.columns.values())
            self.connection.execute(
                f"CREATE TEMPORARY TABLE wanted AS SELECT {columns} FROM {rows.table.name} WITH NO DATA"
            )
            try:
                self.copy(rows, "wanted")
                self.known[rows.path] = self.fingerprint(rows.table, "wanted")
            finally:
                self.connection.execute("DROP TABLE wanted")
        return self.known[rows.path]

    def fingerprint(self, table: Table, name: str) -> tuple[Any, ...]:
        """How many rows, and the sum of their hashes: the same for the same rows in any order."""
        row = ", ".join(f"{column}" for column in table.columns.values())
        return self.one(f"SELECT count(*), sum(hashtextextended(ROW({row})::text, 0)::numeric) FROM {name}")

    def settings(self) -> dict[str, str]:
        """The settings that a figure depends on."""
        return {name: self.one(f"SHOW {name}")[0] for name in SETTINGS}

    def one(self, query: str) -> tuple[Any, ...]:
        """The only row of a query."""
        row = self.connection.execute(query).fetchone()
        assert row is not None
        return row


@contextmanager
def connected(url: str) -> Iterator[Database]:
    """The database at a URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield Database(connection)
