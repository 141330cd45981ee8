"""A stage -> the seconds that PostgreSQL itself needs for the same work."""

from __future__ import annotations

from tempfile import TemporaryFile
from time import perf_counter

from bench.rows import TRANSACTIONS
from bench.stage import Stage

KEY = ("financial_account", "datetime")
#: How the changes reach the database: a table of their own, gone with the transaction.
STAGING = "CREATE TEMPORARY TABLE staging ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA"


def copy(stage: Stage) -> float:
    """COPY of the same file into the same table, with its keys, indexes and foreign keys, committed."""
    started = perf_counter()
    stage.database.copy(stage.work.sent)
    return perf_counter() - started


def copy_to(stage: Stage) -> float:
    """COPY of the same columns, in the same order, to a file on this machine's disk."""
    table = stage.work.sent.table
    columns = ", ".join(map(table.columns.__getitem__, stage.work.sent.fields))
    query = f"COPY (SELECT {columns} FROM {table.name} ORDER BY id) TO STDOUT (FORMAT csv, HEADER)"
    started = perf_counter()
    with TemporaryFile() as file, stage.database.connection.cursor() as cursor, cursor.copy(query) as stream:
        for record in stream:
            file.write(record)
    return perf_counter() - started


def insert_on_conflict(stage: Stage) -> float:
    """COPY of the same file to a temporary table, then INSERT ... ON CONFLICT DO UPDATE, in one transaction."""
    columns = ", ".join(TRANSACTIONS.columns.values())
    changes = ", ".join(
        f"{column} = excluded.{column}" for name, column in TRANSACTIONS.columns.items() if name not in KEY
    )
    key = ", ".join(TRANSACTIONS.columns[name] for name in KEY)
    return staged(
        stage,
        f"INSERT INTO {TRANSACTIONS.name} ({columns}) SELECT {columns} FROM staging"
        f" ON CONFLICT ({key}) DO UPDATE SET {changes}",
    )


def update_from(stage: Stage) -> float:
    """COPY of the same file to a temporary table, then UPDATE ... FROM it by id, in one transaction."""
    fields = [name for name in stage.work.sent.fields if name != "id"]
    changes = ", ".join(f"{column} = staging.{column}" for column in map(TRANSACTIONS.columns.__getitem__, fields))
    return staged(stage, f"UPDATE {TRANSACTIONS.name} AS t SET {changes} FROM staging WHERE t.id = staging.id")


def delete_by_id(stage: Stage) -> float:
    """DELETE ... WHERE id = ANY, with the same ids, committed."""
    ids = "{" + ",".join(stage.work.sent.frame()["id"]) + "}"
    started = perf_counter()
    stage.database.connection.execute(f"DELETE FROM {TRANSACTIONS.name} WHERE id = ANY(%s::bigint[])", [ids])
    return perf_counter() - started


def staged(stage: Stage, statement: str) -> float:
    """The file to a staging table, and the statement, in one transaction."""
    sent = stage.work.sent
    columns = ", ".join(TRANSACTIONS.columns.get(name, name) for name in sent.fields)
    connection = stage.database.connection
    started = perf_counter()
    with connection.transaction():
        connection.execute(STAGING.format(columns=columns, table=TRANSACTIONS.name))
        stage.database.copy(sent, "staging")
        connection.execute(statement)
    return perf_counter() - started
