"""What a request costs, counted and not timed: statements, messages, publishes, trips into threads, connections.

A number that changes is to be judged: the test shows the statements that it counted. Fewer are welcome; for more there
should be a reason that fits into the comment beside them.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import asgiref.sync
import httpx
import pytest
import redis
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from examples.ledger.models import ClassificationStatus, FinancialAccount
from schema.types import snapshot
from server.auth import token_for
from workers import operations, progress
from workers.broker import broker
from workers.frames import pack
from workers.models import Kind, Operation
from workers.plan import Plan
from workers.requests import BulkRequest, Mode, Rows
from workers.resources import resource_named
from workers.ring import SMALL_QUEUE
from workers.rows import raw_frame
from workers.uploads import announce
from workers.validation import validate

pytestmark = pytest.mark.django_db(transaction=True)

#: A request is accepted: all of it in one transaction.
ACCEPT = [
    "BEGIN",
    "INSERT bulkql_operation",
    "INSERT bulkql_input",
    "SELECT nextval",  # primary keys of a chunk's rows
    "INSERT bulkql_chunk",  # up to eight chunks
    "COMMIT",
]
#: A chunk is taken.
CLAIM = [
    "UPDATE bulkql_chunk",  # the lease, committed at once
    "SELECT bulkql_chunk",  # with its input, its operation and the operation's user
]
#: The first chunk of an operation starts it.
START = ["UPDATE bulkql_operation"]
#: A chunk's rows are written, in a transaction that records them too.
ROWS = [
    "SET",  # constraints immediate, a durable commit, a bounded wait: one trip
    "SELECT ledger_financialaccount",  # one query for each foreign key
    "SELECT ledger_classificationstatus",
    "SAVEPOINT",  # COPY may meet a guilty row
    "COPY ledger_financialtransaction",
    "RELEASE",
]
#: A stored chunk is written.
WRITE = [
    "BEGIN",
    *ROWS,
    "UPDATE bulkql_chunk",  # the ledger's entry
    "COMMIT",
]
#: Whether the operation is over.
END = [
    "UPDATE bulkql_chunk",  # skipped, if the operation was canceled
    "UPDATE bulkql_operation",  # finished, if this was the last chunk
]
#: The totals, for subscribers or for the answer.
TOTALS = ["SELECT bulkql_operation"]
#: Which chunks are due.
FRONTIER = [
    "SELECT bulkql_input",  # the first that is not written to its end
    "SELECT bulkql_chunk",  # its window
]
#: A chunk is rung for once.
RING = ["UPDATE bulkql_chunk"]


@dataclass
class Costs:
    """What was counted in a block."""

    statements: list[str] = field(default_factory=list)
    messages: int = 0
    #: One for each message, for its bell; and two for each event, to the operation's watchers and its owner's.
    publishes: int = 0


def messages() -> int:
    """How many wait in the queues."""
    return sum(broker.client.llen(f"{broker.namespace}:{queue}") for queue in ("default", SMALL_QUEUE))


@contextmanager
def counted() -> Iterator[Costs]:
    """Count what the block costs; the statements are printed, so that a failing test shows them."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    costs, waiting = Costs(), messages()
    client.config_resetstat()
    with CaptureQueriesContext(connection) as queries:
        yield costs
    costs.publishes = client.info("commandstats").get("cmdstat_publish", {"calls": 0})["calls"]
    costs.messages = messages() - waiting
    costs.statements = [shape(query["sql"]) for query in queries]
    client.close()
    for number, query in enumerate(queries, start=1):
        print(f"{number:3} {' '.join(query['sql'].split())[:240]}")


def shape(sql: str) -> str:
    """A statement in short: its verb, and the table that it is about."""
    if "nextval" in sql:
        return "SELECT nextval"
    verb, *_ = sql.split()
    table = re.search(r'(?:FROM|INTO|UPDATE|COPY) "?(\w+)', sql)
    return f"{verb} {table[1]}" if table else verb.rstrip(";")


@pytest.fixture
def rows(user: Any) -> Callable[[int], list[dict[str, Any]]]:
    """Rows with two foreign keys; and everything is warm that a process does once."""
    account, status = FinancialAccount.objects.create(name="Cash"), ClassificationStatus.objects.create(name="open")

    def make(count: int) -> list[dict[str, Any]]:
        return [
            {
                "amount": "1.50",
                "description": f"Number {number}",
                "datetime": f"2024-01-01T{number // 60:02}:{number % 60:02}:00Z",
                "financialAccount": str(account.pk),
                "classificationStatus": str(status.pk),
            }
            for number in range(count)
        ]

    run(user, [{**make(1)[0], "datetime": "1999-01-01T00:00:00Z"}], mode=Mode.SYNC)
    return make


def run(user: Any, rows: list[dict[str, Any]], **options: Any) -> Operation:
    inputs = [Rows(resource=resource_named("financialTransactions"), rows=rows)]
    return operations.run(BulkRequest(kind=Kind.CREATE, user=user, inputs=inputs, **options))


def test_small_request_that_is_written_at_once(user, rows):
    given = rows(50)

    with counted() as costs:
        answer = snapshot(run(user, given))

    assert (answer.state, answer.created) == ("COMPLETED", 50)
    assert costs.statements == [
        "BEGIN",
        "INSERT bulkql_operation",
        "INSERT bulkql_input",
        "SELECT nextval",
        *ROWS,
        "INSERT bulkql_chunk",  # the ledger's entry with it
        "UPDATE bulkql_operation",  # over
        "COMMIT",
        *TOTALS,  # for subscribers
        *TOTALS,  # for the answer
    ]
    assert (costs.messages, costs.publishes) == (0, 2)


def test_request_that_is_queued(user, rows):
    given = rows(100)

    with counted() as costs:
        answer = snapshot(run(user, given, chunk_size=40))

    assert (answer.state, answer.total) == ("QUEUED", 100)
    assert (
        costs.statements
        == [
            *ACCEPT[:3],
            *(3 * ["SELECT nextval"]),  # once a chunk
            *ACCEPT[4:],
            "SELECT bulkql_input",  # those to be read
            "SELECT bulkql_operation",  # whether it is one transaction
            *FRONTIER,
            *(3 * RING),
            "SELECT bulkql_operation",  # all of it
            *TOTALS,
        ]
    )
    assert (costs.messages, costs.publishes) == (3, 3)


@pytest.fixture
def stored(user: Any, rows: Any) -> list[int]:
    """The chunks of an operation that is queued: one more than the window holds."""
    operation = run(user, rows(90), mode=Mode.ASYNC, chunk_size=10)
    return list(operation.chunks.order_by("number").values_list("pk", flat=True))


def test_first_chunk(stored):
    with counted() as costs:
        operations.write_chunk(stored[0])

    assert costs.statements == [*CLAIM, *START, *WRITE, *END, *FRONTIER, *RING, *TOTALS]
    assert (costs.messages, costs.publishes) == (1, 3)


def test_chunk_in_the_middle(stored):
    operations.write_chunk(stored[0])

    with counted() as costs:
        operations.write_chunk(stored[1])

    assert costs.statements == [*CLAIM, *WRITE, *END, *FRONTIER, *TOTALS]
    assert (costs.messages, costs.publishes) == (0, 2)


def test_chunk_soon_after_many_others_publishes_nothing(stored, monkeypatch):
    operations.write_chunk(stored[0])
    monkeypatch.setattr(progress, "_due", dict.fromkeys(progress._due, math.inf))

    with counted() as costs:
        operations.write_chunk(stored[1])

    assert costs.statements == [*CLAIM, *WRITE, *END, *FRONTIER]
    assert (costs.messages, costs.publishes) == (0, 0)


def test_last_chunk(stored):
    for chunk_id in stored[:-1]:
        operations.write_chunk(chunk_id)

    with counted() as costs:
        operations.write_chunk(stored[-1])

    assert costs.statements == [*CLAIM, *WRITE, *END, *TOTALS]
    assert (costs.messages, costs.publishes) == (0, 2)


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The functions for which the event loop went into a thread."""
    went: list[str] = []
    original = asgiref.sync.SyncToAsync.__call__

    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        went.append(getattr(self.func, "__qualname__", repr(self.func)))
        return await original(self, *args, **kwargs)

    monkeypatch.setattr(asgiref.sync.SyncToAsync, "__call__", call)
    return went


async def ask(method: str, path: str, **options: Any) -> httpx.Response:
    """One request to the service, without its server."""
    from server.asgi import application

    transport = httpx.ASGITransport(app=application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.request(method, path, **options)


def test_request_without_a_database_goes_into_threads_for_its_begin_and_its_end_alone(trips):
    assert asyncio.run(ask("GET", "/healthz")).json() == {"status": "ok"}

    assert trips == [
        "Signal.asend.<locals>.sync_send",  # request_started: connections of the last request
        "HttpResponseBase.close",  # request_finished: the connection goes back to its pool
    ]


def test_query_goes_into_a_thread_for_its_user_and_for_its_work(user, trips):
    headers = {"Authorization": f"Bearer {token_for(user)}"}

    answer = asyncio.run(ask("POST", "/graphql", headers=headers, json={"query": "{ operations { totalCount } }"}))

    assert answer.json() == {"data": {"operations": {"totalCount": 0}}}
    assert trips == [
        "Signal.asend.<locals>.sync_send",
        "BearerMiddleware.process_request.<locals>.user",
        "operations_page",
        "HttpResponseBase.close",
    ]


def test_requests_share_a_connection(user):
    headers = {"Authorization": f"Bearer {token_for(user)}"}
    query = {"query": "{ operations { totalCount } }"}
    asyncio.run(ask("POST", "/graphql", headers=headers, json=query))
    opened = connection.pool.get_stats()["connections_num"]

    for _ in range(10):
        asyncio.run(ask("POST", "/graphql", headers=headers, json=query))

    assert connection.pool.get_stats()["connections_num"] == opened


def test_upload_gives_its_connection_back(user):
    def taken() -> int:
        stats = connection.pool.get_stats()
        return int(stats["pool_size"] - stats["pool_available"])

    upload = announce(user, "rows.csv", None)
    headers = {"Authorization": f"Bearer {token_for(user)}"}
    before = taken()

    answer = asyncio.run(ask("PUT", f"/uploads/{upload.id}", headers=headers, content=b"amount\n1\n"))

    assert (answer.json(), taken()) == ({"id": str(upload.id), "size": 9}, before)


def test_frames_of_a_chunk_hold_what_its_rows_hold():
    """Bytes of 10,000 rows of six columns: as they were read, as they are checked, and as they are stored."""
    plan = Plan(resource=resource_named("financialTransactions"), kind=Kind.CREATE)
    rows = [
        {
            "amount": "1.50",
            "description": f"Number {number}",
            "datetime": f"2024-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z",
            "financialAccount": "1",
            "classificationStatus": "1",
        }
        for number in range(10_000)
    ]

    raw = raw_frame(plan, rows)
    checked = validate(plan, raw).rows

    assert checked.height == 10_000
    # Texts, with a bit for each that is there.
    assert raw.estimated_size() == 368_890
    # Moments and keys as numbers, the row's place, and a bit for each field that a row gives.
    assert checked.estimated_size() == 435_140
    assert len(pack(raw)) < 150_000
