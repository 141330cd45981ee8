"""REJECT_ALL and dryRun: one transaction for all of an operation."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.workers.enums import OnError, State, Verb
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger import claims, totals
from bulkql.workers.ledger.waits import Watch
from bulkql.workers.models import Operation
from bulkql.workers.operations import atomic, running, steering, steps
from bulkql.workers.resources.registry import resource_named
from tests.conftest import Done

pytestmark = pytest.mark.django_db(transaction=True)

ALL_OR_NOTHING = {"on_error": OnError.REJECT_ALL, "chunk_size": 2}
A_LOOK = {"dry_run": True, "chunk_size": 2}
NAMES = [{"name": name} for name in "abcde"]


def names():
    return sorted(FinancialAccount.objects.values_list("name", flat=True))


def test_one_bad_row_keeps_all_others_out(bulk):
    FinancialAccount.objects.create(name="d")

    done = bulk(Verb.CREATE, "financialAccounts", [*NAMES, {"name": 1}], **ALL_OR_NOTHING)

    assert names() == ["d"]
    assert done.operation.state == State.FAILED
    assert done.operation.message == "2 of 6 rows are bad; nothing was written, as onError: REJECT_ALL asks."
    assert done.outcomes == ["SKIPPED", "SKIPPED", "SKIPPED", "FAILED", "SKIPPED", "FAILED"]
    assert [row["pk"] for row in done.results] == [None] * 6
    assert done.codes == [(3, "name", "ALREADY_EXISTS"), (5, "name", "INVALID")]


def test_without_a_bad_row_all_are_written(bulk):
    done = bulk(Verb.CREATE, "financialAccounts", NAMES, **ALL_OR_NOTHING)

    assert names() == list("abcde")
    assert (done.operation.state, done.operation.message) == (State.COMPLETED, "")
    assert done.outcomes == ["CREATED"] * 5
    assert all(row["pk"] for row in done.results)


def test_several_resources_are_one_transaction(user):
    ClassificationStatus.objects.create(name="New")
    row = {"amount": "1", "description": "x", "datetime": "2024-01-01T00:00:00Z"}
    row |= {"financialAccountBy": {"name": "a"}, "classificationStatusBy": {"name": "New"}}

    def perform(rows, **options):
        inputs = [
            InputRequest(resource=resource_named("financialTransactions"), rows=rows),
            InputRequest(resource=resource_named("financialAccounts"), rows=NAMES),
        ]
        return Done(running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.SYNC, **options)))

    refused = perform([row, {**row, "financialAccountBy": {"name": "z"}}], **ALL_OR_NOTHING)
    assert (names(), refused.codes) == ([], [(1, "financialAccountBy.name", "REFERENCE_NOT_FOUND")])

    seen = perform([row], **A_LOOK)
    assert (names(), seen.outcomes) == ([], ["CREATED"] * 6)

    done = perform([row], **ALL_OR_NOTHING)
    assert (names(), done.outcomes) == (list("abcde"), ["CREATED"] * 6)
    assert FinancialTransaction.objects.get().financial_account.name == "a"


def test_a_dry_run_tells_what_would_be_and_changes_nothing(bulk):
    FinancialAccount.objects.create(name="d")

    done = bulk(Verb.CREATE, "financialAccounts", [*NAMES, {"name": "a"}], **A_LOOK)

    assert names() == ["d"]
    assert done.operation.state == State.COMPLETED
    assert done.outcomes == ["FAILED", "CREATED", "CREATED", "FAILED", "CREATED", "CREATED"]
    assert [row["pk"] for row in done.results] == [None] * 6
    assert done.codes == [(0, "name", "DUPLICATE_IN_REQUEST"), (3, "name", "ALREADY_EXISTS")]


def test_a_dry_run_tells_the_changes(bulk, settings):
    ones = [FinancialAccount.objects.create(name=name) for name in "abc"]

    done = bulk(
        Verb.UPDATE,
        "financialAccounts",
        [{"id": ones[0].pk, "name": "x"}, {"id": ones[1].pk, "name": "b"}, {"id": ones[2].pk, "name": "z"}],
        **A_LOOK,
    )

    assert names() == list("abc")
    assert done.outcomes == ["UPDATED", "UNCHANGED", "UPDATED"]
    assert [row["changes"] for row in done.results[:1]] == ['[["name", "a", "x"]]']
    assert [row.get("changes") for row in done.results] == ['[["name", "a", "x"]]', None, '[["name", "c", "z"]]']


def test_a_dry_run_tells_what_would_go_along(bulk):
    account, status = FinancialAccount.objects.create(name="a"), ClassificationStatus.objects.create(name="New")
    FinancialTransaction.objects.create(
        amount=1, datetime="2024-01-01T00:00:00Z", financial_account=account, classification_status=status
    )

    done = bulk(Verb.DELETE, "financialAccounts", [{"id": account.pk}], **A_LOOK)

    assert done.outcomes == ["DELETED"]
    assert totals.cascades(done.operation) == {"ledger.FinancialTransaction": 1}
    assert FinancialTransaction.objects.count() == 1


def stored(user, **options):
    inputs = [InputRequest(resource=resource_named("financialAccounts"), rows=NAMES)]
    return accept(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.ASYNC, **options))[0]


@pytest.mark.postgresql
def test_a_canceled_writer_leaves_nothing(user, monkeypatch):
    operation = stored(user, **ALL_OR_NOTHING)
    ask_to_stop = steering.cancel

    def cancel_in_the_middle(*args):
        if totals.progress(operation.pk).state == State.RUNNING:
            thread = threading.Thread(target=lambda: (ask_to_stop(operation.pk), connection.close()))
            thread.start()
            thread.join()

    add = atomic.Spool.add
    monkeypatch.setattr(atomic.Spool, "add", lambda *args: (add(*args), cancel_in_the_middle()))

    steps.write_operation(operation.pk)

    done = Done(Operation.objects.get(pk=operation.pk))
    assert names() == []
    assert done.operation.state == State.CANCELED
    assert done.outcomes == ["SKIPPED"] * 5


def test_a_writer_that_fell_silent_is_replaced_and_writes_nothing(user):
    operation = stored(user, **ALL_OR_NOTHING)
    silent = claims.claim_operation(operation.pk)
    assert claims.claim_operation(operation.pk) is None
    Operation.objects.update(leased_until="2020-01-01T00:00:00Z")

    steps.write_operation(operation.pk)
    assert names() == list("abcde")

    with atomic.Spool() as spool, pytest.raises(atomic.LeaseLost):
        atomic.write_all(silent, spool, set_event(), Watch())
    assert names() == list("abcde")
    assert Done(Operation.objects.get(pk=operation.pk)).outcomes == ["CREATED"] * 5


def set_event():
    event = threading.Event()
    event.set()
    return event
