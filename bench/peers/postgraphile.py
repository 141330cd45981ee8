"""PostGraphile, with SQL functions written by hand as its mutations: rows are one JSON variable, all or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import database
from bench.environment import Environment
from bench.peers.peer import Peer, Write, answering, post
from bench.rows import Rows
from bench.service import Service
from bulkql.server.embedded import free_port

#: A schema of its own: PostGraphile shows all that is in it, and nothing else.
SCHEMA = "bench_postgraphile"
FUNCTIONS = Path(__file__).parent / "served" / "postgraphile.sql"
#: Its limit of 100 kB a request, lifted; a hundred thousand rows need about 15 MB.
BODY_LIMIT = "64MB"


@contextmanager
def postgraphile(peer: Peer, environment: Environment, service: Service) -> Iterator[Write]:
    """Rows as a variable of a mutation; the answer comes when all is committed."""
    port = free_port()
    # It takes the database from DATABASE_URL.
    command = [
        *(environment.command("postgraphile"), "--schema", SCHEMA, "--host", "127.0.0.1", "--port", str(port)),
        *("--dynamic-json", "--body-size-limit", BODY_LIMIT, "--disable-graphiql", "--disable-query-log"),
    ]
    with functions(service), answering(peer, service, command, port) as client:

        def write(verb: str, rows: Rows) -> None:
            query = f"mutation ($rows: JSON!) {{ {verb}Transactions(input: {{rows: $rows}}) {{ clientMutationId }} }}"
            post(client, query, rows.frame().to_dicts())

        yield write


@contextmanager
def functions(service: Service) -> Iterator[None]:
    """The functions in the database, until the block ends."""
    with database.connected(service.database_url) as beside:
        drop = f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE".encode()
        # A run that was killed leaves its own behind.
        beside.connection.execute(drop)
        beside.connection.execute(FUNCTIONS.read_bytes())
        try:
            yield
        finally:
            beside.connection.execute(drop)
