"""Small transactions of others -> their latencies, in one run: idle, beside an operation, one that is paced, and COPY.

`python -m bench.neighbours --rows 5000000 --pace 2000`. They come at their rate whether or not those before them are
done, and each one's time counts from when it should have begun: who waits in line waits, too.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import psycopg
import typer

from bench import database
from bench.client import Client, connected, document
from bench.database import Database
from bench.machine import conditions
from bench.rows import TRANSACTIONS, Rows, transactions
from bench.service import running

#: Connections of the neighbours; each has its share of the transactions.
CONNECTIONS = 8
ACCOUNTS = 10_000
PREPARE = f"""
CREATE TABLE IF NOT EXISTS neighbour_account (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE IF NOT EXISTS neighbour_entry (id bigserial PRIMARY KEY, account int NOT NULL, amount int NOT NULL);
TRUNCATE neighbour_account, neighbour_entry;
INSERT INTO neighbour_account SELECT n, 0 FROM generate_series(1, {ACCOUNTS}) n;
ANALYZE neighbour_account;
"""
UPDATE = "UPDATE neighbour_account SET balance = balance + 1 WHERE id = %s"
INSERT = "INSERT INTO neighbour_entry (account, amount) VALUES (%s, 1)"
CREATE = """
mutation ($input: BulkCreateInput!, $options: BulkOptions) { bulkCreate(input: $input, options: $options) { id } }
"""
STATE = "query ($id: ID!) { operation(id: $id) { state processed message } }"
CANCEL = "mutation ($id: ID!) { cancelOperation(id: $id) { state } }"

#: What lasts as long as a measurement does, and gives what else is to be told of it.
Wait = Callable[[], dict[str, Any]]


@dataclass(slots=True)
class Neighbours:
    """Clients that book one entry after the other; `seconds`: what each transaction took, from when it was due."""

    url: str
    rate: int
    seconds: list[float] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def measure(self, wait: Wait) -> dict[str, Any]:
        """Their latencies in milliseconds while `wait` lasts, and the machine's load at the end of it."""
        self.seconds, self.stopping = [], threading.Event()
        clients = [threading.Thread(target=self._book, args=[number]) for number in range(CONNECTIONS)]
        for client in clients:
            client.start()
        try:
            found = wait()
        finally:
            self.stopping.set()
        for client in clients:
            client.join()
        times = pl.Series(self.seconds) * 1_000
        quantiles = {f"p{part}": round(float(times.quantile(part / 100) or 0), 2) for part in (50, 95, 99)}
        typer.echo(f"{len(times)} transactions, {quantiles} ms, {found}", err=True)
        return {
            "transactions": len(times), **quantiles, "longest": round(float(str(times.max())), 2),
            "load": round(os.getloadavg()[0], 1), **found,
        }  # fmt: skip

    def _book(self, number: int) -> None:
        pause = CONNECTIONS / self.rate
        with psycopg.connect(self.url, autocommit=True) as connection:
            due = time.perf_counter() + pause * number / CONNECTIONS
            account = number
            while not self.stopping.is_set():
                time.sleep(max(due - time.perf_counter(), 0))  # the rate, whatever the others do
                account = (account * 7_919 + 1) % ACCOUNTS
                with connection.transaction():
                    connection.execute(UPDATE, [account + 1])
                    connection.execute(INSERT, [account + 1])
                self.seconds.append(time.perf_counter() - due)
                due += pause


def begun(client: Client, path: Path, options: dict[str, Any]) -> str:
    """An operation of which the first rows are written; gives its id."""
    upload = {"file": {"uploadId": client.upload(path)}}
    given = {"input": {TRANSACTIONS.resource: upload}, "options": {"mode": "ASYNC", **options}}
    operation = str(client.post(document(CREATE, **given))["bulkCreate"]["id"])
    while not told_of(client, operation)["processed"]:
        time.sleep(0.2)  # as a script asks
    return operation


def beside(client: Client, operation: str, seconds: float) -> dict[str, Any]:
    """For so many seconds of an operation, or to its end; gives its speed."""
    began_at, before = time.perf_counter(), told_of(client, operation)
    told = before
    while time.perf_counter() < began_at + seconds and told["state"] == "RUNNING":
        time.sleep(5)  # seldom enough to be no load: two answers a second would be felt at the 99th percentile
        told = told_of(client, operation)
    took = time.perf_counter() - began_at
    return {"rows_a_second": round((told["processed"] - before["processed"]) / took), "seconds": round(took, 1)}


def stopped(client: Client, operation: str) -> None:
    """Cancel the rest, and wait for the end of it."""
    client.post(document(CANCEL, id=operation))
    while told_of(client, operation)["state"] not in ("COMPLETED", "CANCELED", "FAILED"):
        time.sleep(0.2)  # as a script asks


def told_of(client: Client, operation: str) -> dict[str, Any]:
    found: dict[str, Any] = client.post(document(STATE, id=operation))["operation"]
    return found


def idle(seconds: float) -> dict[str, Any]:
    time.sleep(seconds)  # the time in which it is measured
    return {}


def copied(own: Database, file: Rows, pace: int, chunk_size: int, seconds: float) -> dict[str, Any]:
    """The same rows at the same pace by COPY alone, in as many transactions: no writer can be a lighter load."""
    columns = ", ".join(file.table.columns.get(name, name) for name in file.fields)
    count, began_at = 0, time.perf_counter()
    with file.path.open("rb") as lines, own.connection.cursor() as cursor:
        next(lines)
        while count < pace * seconds:
            time.sleep(max(began_at + count / pace - time.perf_counter(), 0))  # the pace
            with cursor.copy(f"COPY {file.table.name} ({columns}) FROM STDIN (FORMAT csv)") as stream:
                stream.write(b"".join(islice(lines, chunk_size)))
            count += chunk_size
    return {"rows_a_second": round(count / (time.perf_counter() - began_at))}


def main(
    rows: Annotated[int, typer.Option(help="Rows of the operation.")] = 5_000_000,
    rate: Annotated[int, typer.Option(help="Transactions of the neighbours in a second.")] = 200,
    pace: Annotated[int, typer.Option(help="maxRowsPerSecond of the operation that is paced.")] = 2_000,
    chunk_size: Annotated[int, typer.Option(help="Its chunkSize; small chunks are short.")] = 500,
    seconds: Annotated[float, typer.Option(help="Of each measurement.")] = 60,
) -> None:
    """Measure, and print one JSON object."""
    # A stop is a Ctrl-C too: the service does not stay behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = conditions()
    with tempfile.TemporaryDirectory(prefix="bulkql-neighbours-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        file = transactions(rows, directory)
        with (
            running(directory / "data") as service,
            connected(service.url, service.token) as client,
            database.connected(service.database_url) as own,
        ):
            own.connection.execute(PREPARE)
            own.prepare()
            neighbours = Neighbours(service.database_url, rate)
            paced = {"maxRowsPerSecond": pace, "chunkSize": chunk_size}

            def phase(options: dict[str, Any] | None = None, wait: Wait | None = None) -> dict[str, Any]:
                own.connection.execute(f"TRUNCATE {TRANSACTIONS.name} RESTART IDENTITY")
                own.connection.execute("CHECKPOINT")
                if options is None:
                    return neighbours.measure(wait or partial(idle, seconds))
                operation = begun(client, file.path, options)
                found = neighbours.measure(lambda: beside(client, operation, seconds))
                stopped(client, operation)
                return found

            phases = {
                "warm-up": phase(),
                "idle": phase(),
                "without pacing": phase({}),
                "with pacing": phase(paced),
                "COPY at that pace": phase(wait=partial(copied, own, file, pace, chunk_size, seconds)),
                "idle again": phase(),
            }
    calm = min(phases["idle"]["p99"], phases["idle again"]["p99"])
    ratios = {name: round(one["p99"] / calm, 2) for name, one in phases.items()}
    typer.echo(json.dumps({"phases": phases, "p99_to_idle": ratios, "options": paced, **found}, indent=2))


if __name__ == "__main__":
    typer.run(main)
