"""The service's own database, seen from beside it: emptied before each measurement, checked after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from bench.rows import ACCOUNTS, STATUSES, Rows

TABLE = "ledger_financialtransaction"
COLUMNS = "amount, description, datetime, financial_account_id, classification_status_id"
#: What decides how long a commit takes.
SETTINGS = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size")
#: Bytes that a COPY is given at a time; from 16 KiB to the whole file at once, the size makes no difference.
PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Database:
    """One connection; each statement commits by itself."""

    connection: psycopg.Connection[tuple[Any, ...]]

    def prepare(self) -> None:
        """The accounts and statuses that all transactions point to, with ids from 1."""
        for table, count in (("ledger_financialaccount", ACCOUNTS), ("ledger_classificationstatus", STATUSES)):
            self.connection.execute(f"TRUNCATE {table} RESTART IDENTITY CASCADE")
            self.connection.execute(
                f"INSERT INTO {table} (name) SELECT 'Number ' || n FROM generate_series(1, {count}) AS n"
            )

    def empty(self) -> None:
        """No transactions, ids from 1 again, and no debts: what came before is on the disk."""
        self.connection.execute(f"TRUNCATE {TABLE} RESTART IDENTITY")
        self.connection.execute("VACUUM ANALYZE")
        self.connection.execute("CHECKPOINT")

    def copy(self, rows: Rows, table: str = TABLE) -> None:
        """COPY the rows' file into a table, committed."""
        with (
            rows.path.open("rb") as file,
            self.connection.cursor() as cursor,
            cursor.copy(f"COPY {table} ({COLUMNS}) FROM STDIN (FORMAT csv, HEADER)") as stream,
        ):
            while piece := file.read(PIECE_BYTES):
                stream.write(piece)

    def check(self, rows: Rows) -> None:
        """Each row is in the table, once, and no other; raises SystemExit."""
        [count] = self.one(f"SELECT count(*) FROM {TABLE}")
        self.connection.execute(f"CREATE TEMPORARY TABLE expected AS SELECT {COLUMNS} FROM {TABLE} WITH NO DATA")
        try:
            self.copy(rows, "expected")
            there, wanted = f"SELECT {COLUMNS} FROM {TABLE}", f"SELECT {COLUMNS} FROM expected"
            [wrong] = self.one(
                f"SELECT count(*) FROM (({there} EXCEPT ALL {wanted}) UNION ALL ({wanted} EXCEPT ALL {there})) AS d"
            )
        finally:
            self.connection.execute("DROP TABLE expected")
        if count != rows.count or wrong:
            raise SystemExit(f"The table has {count:,} rows where {rows.count:,} were sent, and {wrong:,} differ.")

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
