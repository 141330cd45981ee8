"""Rows that somebody else has locked are waited for, with a word: for how long, and who holds them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

import bulkql
from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.workers.enums import OnError, State, Verb
from bulkql.workers.errors import Locked
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger import totals, waits
from bulkql.workers.ledger.waits import Watch
from bulkql.workers.models import Operation
from bulkql.workers.operations import running, steps, waiting
from bulkql.workers.resources.registry import resource_named

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

TABLE = "ledger_financialaccount"


@pytest.fixture
def somebody() -> Iterator[psycopg.Connection]:
    """Somebody else in the database."""
    settings = {**connection.get_connection_params(), "application_name": "psql"}
    known = {
        name: settings[name] for name in ("dbname", "user", "host", "port", "application_name") if name in settings
    }
    with psycopg.connect(**known) as held:
        yield held
        held.rollback()


@pytest.fixture
def holder(somebody: psycopg.Connection) -> psycopg.Connection:
    """Somebody who locks the table, and thinks."""
    somebody.execute(f"LOCK TABLE {TABLE} IN SHARE MODE")
    return somebody


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks are waited for two seconds, and looked at after a tenth."""
    begin = Watch.__init__

    def short(self: Watch, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **options)
        self.seconds = 2

    monkeypatch.setattr(Watch, "__init__", short)
    monkeypatch.setattr(waits, "LOOK_SECONDS", 0.1)


def request_of(user: Any, count: int = 3, **options: Any) -> BulkRequest:
    rows = [{"name": f"Account {number}"} for number in range(count)]
    inputs = [InputRequest(resource=resource_named("financialAccounts"), rows=rows)]
    return BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, **options)


def test_request_that_waits_too_long_names_who_holds_the_rows(user, holder, patience):
    pid = holder.info.backend_pid

    with pytest.raises(Locked) as raised:
        running.run(request_of(user, mode=Mode.SYNC))

    assert raised.value.code == "UNAVAILABLE"
    message = str(raised.value)
    assert message.startswith(f"Rows of {TABLE} are locked by psql (process {pid}, idle in transaction, for ")
    assert message.endswith("; waited for 2 seconds (BULKQL_LOCK_SECONDS).")
    assert Operation.objects.count() == 0


def test_operation_says_what_it_waits_for_and_writes_when_it_has_it(user, holder, patience):
    operation = running.run(request_of(user, mode=Mode.ASYNC))
    chunk = operation.chunks.get()

    steps.write_chunk(chunk.pk)

    operation.refresh_from_db()
    chunk.refresh_from_db()
    assert operation.message.startswith(f"Waiting: Rows of {TABLE} are locked by psql (process ")
    # A turn that had to wait is no failed attempt, and the next one is not far.
    assert (operation.state, chunk.attempts, chunk.leased_until, chunk.dispatched_at) == (State.RUNNING, 0, None, None)

    holder.rollback()
    steps.write_chunk(chunk.pk)

    operation.refresh_from_db()
    assert (operation.state, operation.message) == (State.COMPLETED, "")


def test_wait_is_told_while_it_lasts(user, holder, monkeypatch):
    monkeypatch.setattr(waits, "LOOK_SECONDS", 0.1)
    operation = running.run(request_of(user, mode=Mode.ASYNC))
    told = threading.Event()
    publish = waiting.events.publish_now

    def spied(progress: Any) -> None:
        publish(progress)
        if progress.message:
            told.set()

    monkeypatch.setattr(waiting.events, "publish_now", spied)

    def work() -> None:
        steps.write_chunk(operation.chunks.get().pk)
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    assert told.wait(20)
    holder.rollback()
    worker.join()

    operation.refresh_from_db()
    assert (operation.state, operation.message) == (State.COMPLETED, "")


def test_operation_that_has_waited_long_enough_fails_with_the_reason(user, holder, patience):
    operation = running.run(request_of(user, mode=Mode.ASYNC))
    Operation.objects.update(waiting_since=timezone.now() - timedelta(hours=1))

    steps.write_chunk(operation.chunks.get().pk)

    operation.refresh_from_db()
    assert operation.state == State.FAILED
    assert operation.message.startswith(f"Rows of {TABLE} are locked by psql (process ")
    assert operation.message.endswith("; waited for 600 seconds (BULKQL_LOCK_WAIT_SECONDS).")


@pytest.mark.parametrize("options", [{"dry_run": True}, {"on_error": OnError.REJECT_ALL}])
def test_request_in_one_transaction_leaves_it_to_the_workers_and_says_why(user, holder, patience, options):
    operation = running.run(request_of(user, mode=Mode.SYNC, **options))

    assert operation.state == State.RUNNING
    assert operation.message.startswith(f"Waiting: Rows of {TABLE} are locked by psql (process ")

    steps.write_operation(operation.pk)
    operation.refresh_from_db()
    assert operation.state == State.FAILED
    assert operation.message.endswith("; waited for 2 seconds (BULKQL_LOCK_WAIT_SECONDS).")


@pytest.mark.parametrize(
    ("options", "name"), [({"dry_run": True}, "dry run"), ({"on_error": OnError.REJECT_ALL}, "REJECT_ALL")]
)
def test_whoever_waits_for_a_long_transaction_of_ours_is_told_which(user, patience, monkeypatch, options, name):
    """The rows are locked by an operation that is one transaction; a request for the same keys waits."""
    long = running.run(request_of(user, mode=Mode.ASYNC, **options))
    waits_here, may_end = threading.Event(), threading.Event()
    write_chunks = steps.atomic.write_chunks

    def slowly(*arguments: Any) -> None:
        write_chunks(*arguments)
        waits_here.set()
        may_end.wait(20)

    monkeypatch.setattr(steps.atomic, "write_chunks", slowly)

    def work() -> None:
        steps.write_operation(long.pk)
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    assert waits_here.wait(20)
    try:
        with pytest.raises(Locked, match=rf"Rows of {TABLE} are locked by bulkql {name} {long.pk} \(process "):
            running.run(request_of(user, mode=Mode.SYNC))
    finally:
        may_end.set()
        worker.join()

    long.refresh_from_db()
    assert long.state == State.COMPLETED
    assert FinancialAccount.objects.count() == (0 if long.dry_run else 3)


def test_waiting_operation_keeps_one_worker_and_no_more(user, holder, patience):
    operation = running.run(request_of(user, 40, mode=Mode.ASYNC, chunk_size=10))
    chunks = operation.chunks.order_by("number")
    operation.chunks.update(dispatched_at=None)
    steps.write_chunk(chunks[0].pk)

    steps.dispatch(operation.pk)

    assert [chunk.dispatched_at is not None for chunk in chunks] == [True, False, False, False]


def test_creates_of_the_same_keys_in_other_orders_do_not_deadlock(user, monkeypatch):
    """They wait for each other, each for a key that the other has; a deadlock takes a second to be seen."""
    count, tries = 4_000, []
    store_and_write = running.store_and_write

    def counted(request: BulkRequest) -> Any:
        tries.append(request)
        return store_and_write(request)

    monkeypatch.setattr(running, "store_and_write", counted)
    rows = [{"name": f"Account {number}"} for number in range(count)]
    together = threading.Barrier(3)
    done: list[Operation] = []

    def ask(order: list[Any]) -> None:
        inputs = [InputRequest(resource=resource_named("financialAccounts"), rows=order)]
        request = BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.SYNC)
        together.wait()
        done.append(running.run(request))
        connection.close()

    orders = [rows, rows[::-1], rows[count // 2 :] + rows[: count // 2]]
    clients = [threading.Thread(target=ask, args=(order,)) for order in orders]
    for client in clients:
        client.start()
    for client in clients:
        client.join()

    assert len(tries) == 3
    counted_rows = [totals.progress(one.pk) for one in done]
    assert sorted((one.created, one.failed) for one in counted_rows) == [(0, count), (0, count), (count, 0)]


def test_a_sync_waits_for_no_row_that_is_as_it_was_sent(user, somebody, patience):
    account, status = FinancialAccount.objects.create(name="Cash"), ClassificationStatus.objects.create(name="Open")
    rows = [
        {
            "amount": "1.00",
            "description": "coffee",
            "datetime": f"2026-01-0{day}T00:00:00Z",
            "financial_account": account.pk,
            "classification_status": status.pk,
        }
        for day in (1, 2, 3)
    ]
    bulkql.create(FinancialTransaction, rows, user=user)
    first = FinancialTransaction.objects.order_by("datetime")[0]
    somebody.execute("SELECT * FROM ledger_financialtransaction WHERE id = %s FOR UPDATE", [first.pk])

    done = bulkql.sync(FinancialTransaction, [*rows[:2], {**rows[2], "amount": "2.00"}], user=user)

    assert (done.unchanged, done.updated, done.failed) == (2, 1, 0)
    assert FinancialTransaction.objects.filter(amount=2).count() == 1
