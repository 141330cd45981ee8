"""What an operation costs, counted and not timed: statements, messages, publishes, bytes of frames.

A number that changes is to be judged: the test shows the statements that it counted. Fewer are welcome; for more there
should be a reason that fits into the comment beside them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
import redis
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bulkql.examples.ledger.bulk import FinancialTransactions
from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.schema.types import snapshot
from bulkql.workers.enums import Verb
from bulkql.workers.frames import pack
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger import totals
from bulkql.workers.messaging import events
from bulkql.workers.messaging.broker import broker
from bulkql.workers.messaging.dispatch import SMALL_QUEUE
from bulkql.workers.models import Operation
from bulkql.workers.operations import running, steps
from bulkql.workers.readers.objects import raw_frame
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.uploads.uploads import announce, fill
from bulkql.workers.validation.values import validate
from tests.leftovers import end_sessions

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
#: What rows are once they are written, to know later whether somebody changed them: one query a chunk, and none where
#: a resource keeps no images.
MARKS = ["SELECT ledger_financialtransaction"]
#: A stored chunk is written.
WRITE = [
    "BEGIN",
    *ROWS,
    *MARKS,
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
#: The window of the input whose chunk was stored or written, while some of its chunks are open.
NEXT = ["SELECT bulkql_chunk"]
#: A chunk is rung for once.
RING = ["UPDATE bulkql_chunk"]


@dataclass
class Costs:
    """What was counted in a block."""

    statements: list[str] = field(default_factory=list)
    messages: int = 0
    #: One for each message, for its notifier; and two for each event, to the operation's watchers and its owner's.
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
    """A statement in short: its verb, and the table that it is about. What is copied out is a query as any other."""
    sql = sql.removeprefix("COPY (")
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
    inputs = [InputRequest(resource=resource_named("financialTransactions"), rows=rows)]
    return running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, **options))


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
        *MARKS,
        "INSERT bulkql_chunk",  # the ledger's entry with it
        "UPDATE bulkql_operation",  # over
        "COMMIT",
        *TOTALS,  # for the answer; what subscribers are told is known
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
            *(3 * RING),  # the chunks that were just stored are the next ones
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
        steps.write_chunk(stored[0])

    assert costs.statements == [*CLAIM, *START, *WRITE, *NEXT, *RING, *TOTALS]
    assert (costs.messages, costs.publishes) == (1, 3)


def test_chunk_in_the_middle(stored):
    steps.write_chunk(stored[0])

    with counted() as costs:
        steps.write_chunk(stored[1])

    assert costs.statements == [*CLAIM, *WRITE, *NEXT, *TOTALS]
    assert (costs.messages, costs.publishes) == (0, 2)


def test_chunk_of_a_resource_that_keeps_no_images(stored, monkeypatch):
    monkeypatch.setattr(FinancialTransactions, "keeps_images", False)
    steps.write_chunk(stored[0])

    with counted() as costs:
        steps.write_chunk(stored[1])

    write = ["BEGIN", *ROWS, "UPDATE bulkql_chunk", "COMMIT"]
    assert costs.statements == [*CLAIM, *write, *NEXT, *TOTALS]


@pytest.mark.parametrize("keeps_images", [True, False])
def test_chunk_of_an_upsert(user, rows, monkeypatch, keeps_images):
    monkeypatch.setattr(FinancialTransactions, "keeps_images", keeps_images)
    run(user, rows(60), mode=Mode.SYNC)
    inputs = [InputRequest(resource=resource_named("financialTransactions"), rows=changed(rows(90)))]
    running.run(BulkRequest(verb=Verb.UPSERT, user=user, inputs=inputs, mode=Mode.SYNC, chunk_size=45))
    inputs = [InputRequest(resource=resource_named("financialTransactions"), rows=rows(90))]

    with counted() as costs:
        running.run(BulkRequest(verb=Verb.UPDATE, user=user, inputs=inputs, mode=Mode.SYNC))

    # What the rows are is asked for by the query that matches and locks them.
    assert costs.statements.count(*MARKS) == keeps_images
    assert costs.statements.count("SELECT bulkql_staging") == 1


def changed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows with other amounts."""
    return [{**row, "amount": "2.50"} for row in rows]


def test_chunk_soon_after_many_others_publishes_nothing(stored, monkeypatch):
    steps.write_chunk(stored[0])
    monkeypatch.setattr(events, "_due", dict.fromkeys(events._due, math.inf))

    with counted() as costs:
        steps.write_chunk(stored[1])

    assert costs.statements == [*CLAIM, *WRITE, *NEXT]
    assert (costs.messages, costs.publishes) == (0, 0)


def test_last_chunk(stored):
    for chunk_id in stored[:-1]:
        steps.write_chunk(chunk_id)

    with counted() as costs:
        steps.write_chunk(stored[-1])

    assert costs.statements == [*CLAIM, *WRITE, *NEXT, *END, *TOTALS]
    assert (costs.messages, costs.publishes) == (0, 2)


def filled(user: Any, content: bytes) -> InputRequest:
    """A request's file, uploaded."""
    upload = fill(announce(user, "transactions.csv", len(content)), ContentFile(content))
    options = FileOptions(format=FileFormat.CSV)
    return InputRequest(resource=resource_named("financialTransactions"), upload=upload, file_options=options)


@pytest.fixture
def csv(rows: Any) -> bytes:
    """A file of 90 rows."""
    return pl.DataFrame(rows(90)).write_csv().encode()


def test_request_with_a_file(user, csv):
    inputs = [filled(user, csv)]

    with counted() as costs:
        answer = snapshot(running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs)))

    assert answer.state == "QUEUED"
    assert costs.statements == [
        "BEGIN",
        "INSERT bulkql_operation",
        "SELECT bulkql_stored_file",  # opened once for its names, its first rows and its header
        "INSERT bulkql_input",
        "COMMIT",
        "SELECT bulkql_input",  # those to be read
        "UPDATE bulkql_input",  # rung for once
        *TOTALS,
    ]
    assert (costs.messages, costs.publishes) == (1, 1)


#: A file's next chunk is stored, and rung for.
READ = [
    "SELECT nextval",
    "BEGIN",
    "UPDATE bulkql_input",  # the reader's lease
    "INSERT bulkql_chunk",
    "COMMIT",
    *NEXT,
    *RING,
]


def test_file_is_opened_once_and_read_into_chunks(user, csv):
    inputs = [filled(user, csv)]
    operation = running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, chunk_size=45))
    input_id = operation.inputs.get().pk

    with counted() as costs:
        steps.read_input(input_id)

    assert operation.chunks.count() == 2
    assert costs.statements == [
        "UPDATE bulkql_input",  # the lease
        "SELECT bulkql_input",  # with its operation, the operation's user and the upload
        *START,
        "SELECT bulkql_chunk",  # how many a reader that died has stored
        "SELECT bulkql_stored_file",
        *(2 * READ),
        "UPDATE bulkql_input",  # read to its end
        *NEXT,
        *TOTALS,
    ]
    assert (costs.messages, costs.publishes) == (2, 4)


@pytest.mark.parametrize("keeps_images", [True, False])
def test_chunk_of_rows_to_delete_by_their_ids(user, csv, monkeypatch, keeps_images):
    monkeypatch.setattr(FinancialTransactions, "keeps_images", keeps_images)
    running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=[filled(user, csv)], mode=Mode.SYNC))
    ids = FinancialTransaction.objects.values_list("pk", flat=True)
    inputs = [filled(user, "\n".join(["id", *map(str, ids)]).encode())]
    operation = running.run(BulkRequest(verb=Verb.DELETE, user=user, inputs=inputs))
    steps.read_input(operation.inputs.get().pk)
    chunk_id = operation.chunks.get().pk

    with counted() as costs:
        steps.write_chunk(chunk_id)

    assert FinancialTransaction.objects.count() == 0
    savepoint = [] if keeps_images else ["SAVEPOINT"]  # rows may be missing: their images tell which are there
    assert costs.statements == [
        *CLAIM,
        "BEGIN",
        "SET",
        "SAVEPOINT",  # a table that Django knows nothing of may refer to a row
        *savepoint,
        "DELETE ledger_financialtransaction",
        *(["RELEASE"] if savepoint else []),
        "SET",  # constraints, now
        "RELEASE",
        "UPDATE bulkql_chunk",  # the ledger's entry
        "COMMIT",
        *NEXT,
        *END,
        *TOTALS,
    ]
    assert (costs.messages, costs.publishes) == (0, 2)


def test_frames_of_a_chunk_hold_what_its_rows_hold():
    """Bytes of 10,000 rows of six columns: as they were read, as they are checked, and as they are stored."""
    plan = Plan(resource=resource_named("financialTransactions"), verb=Verb.CREATE)
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
    # Moments, keys and the row's place as numbers of 64 bits, and a bit for each field that a row gives.
    assert checked.estimated_size() == 475_140
    assert len(pack(raw)) < 150_000


def test_chunk_of_a_resource_with_a_scope(stored, monkeypatch):
    """What get_queryset promises of rows that are written takes one query for all of them."""
    steps.write_chunk(stored[0])
    everything = FinancialTransaction.objects.filter(amount__gt=0)
    monkeypatch.setattr(FinancialTransactions, "get_queryset", lambda self, user: everything.all())

    with counted() as costs:
        steps.write_chunk(stored[1])

    within = [
        *ROWS[:3],
        "SAVEPOINT",  # rows may have to be taken back
        *ROWS[3:],
        "SELECT ledger_financialtransaction",  # those of them that the user may see
        "RELEASE",
    ]
    assert costs.statements == [
        *CLAIM,
        "BEGIN",
        *within,
        *MARKS,
        "UPDATE bulkql_chunk",
        "COMMIT",
        *NEXT,
        *TOTALS,
    ]


def test_rows_out_of_scope_cost_their_chunk_to_be_written_once_more(stored, monkeypatch):
    steps.write_chunk(stored[0])
    others = FinancialTransaction.objects.exclude(description="Number 12")
    monkeypatch.setattr(FinancialTransactions, "get_queryset", lambda self, user: others.all())

    with counted() as costs:
        steps.write_chunk(stored[1])

    once = ["SAVEPOINT", *ROWS[3:], "SELECT ledger_financialtransaction"]
    within = [*ROWS[:3], *once, "ROLLBACK", "RELEASE", *once, "RELEASE"]
    assert costs.statements == [
        *CLAIM,
        "BEGIN",
        *within,
        *MARKS,
        "UPDATE bulkql_chunk",
        "COMMIT",
        *NEXT,
        *TOTALS,
    ]


@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.UPSERT, Verb.SYNC])
@pytest.mark.parametrize("count", [1_000, 5_000])
def test_a_chunk_does_not_read_all_of_a_large_table(user, rows, verb, count):
    (one,) = rows(1)
    # Idle sessions of the pool count what they read some seconds later, or when they end.
    end_sessions()
    with connection.cursor() as cursor:
        # In the order of their keys: what other tests have left free would be filled first.
        cursor.execute("TRUNCATE ledger_financialtransaction")
        cursor.execute(
            "INSERT INTO ledger_financialtransaction"
            " (amount, description, datetime, financial_account_id, classification_status_id)"
            " SELECT 1, 'there', '2001-01-01T00:00:00Z'::timestamptz + n * interval '1 s', %s, %s"
            " FROM generate_series(0, 99999) n; ANALYZE ledger_financialtransaction",
            [one["financialAccount"], one["classificationStatus"]],
        )
    begin = datetime(2001, 1, 1, tzinfo=UTC)
    given = [{**one, "datetime": (begin + timedelta(seconds=n)).isoformat(), "amount": "2"} for n in range(count)]
    inputs = [
        InputRequest(
            resource=resource_named("financialTransactions"), rows=given, match_by=["financial_account", "datetime"]
        )
    ]
    scans = whole_reads()

    operation = running.run(BulkRequest(verb=verb, user=user, inputs=inputs, mode=Mode.SYNC))

    assert (totals.progress(operation.pk).updated, whole_reads() - scans) == (count, 0)


def whole_reads() -> int:
    """How often the table was read from end to end, by all connections."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'ledger_financialtransaction'")
        (scans,) = cursor.fetchone()
        return int(scans)
