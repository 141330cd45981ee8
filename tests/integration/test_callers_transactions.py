"""The verbs for Python code, in a transaction of the caller's: it goes on as it was."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

import bulkql
from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.workers.backends import TRANSACTION_SETTINGS
from bulkql.workers.models import Operation
from tests.integration.test_python_api import transaction_of
from tests.integration.turns import fresh_queue, waiting_messages
from tests.zoo.models import Animal

__all__ = ["fresh_queue"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

DOING = {
    "inline": lambda user: bulkql.create(FinancialAccount, [{"name": "a"}], user=user),
    "chunks": lambda user: bulkql.create(FinancialAccount, [{"name": "a"}], user=user, max_rows_per_second=9),
    "dry run": lambda user: bulkql.create(FinancialAccount, [{"name": "a"}], user=user, dry_run=True),
    "rejected": lambda user: bulkql.create(FinancialAccount, [{}], user=user, on_error="REJECT_ALL"),
    "upsert": lambda user: bulkql.upsert(FinancialAccount, [{"name": "a"}], user=user),
    "sync": lambda user: bulkql.sync(FinancialAccount, [{"name": "a"}], user=user, delete_missing=True, max_deletes=9),
    "delete": lambda user: bulkql.delete(FinancialAccount, FinancialAccount.objects.all(), user=user),
    "revert": lambda user: bulkql.revert(bulkql.create(FinancialAccount, [{"name": "a"}], user=user).id, user=user),
    "apply": lambda user: bulkql.apply(
        bulkql.create(FinancialAccount, [{"name": "a"}], user=user, dry_run=True).id, user=user
    ),
    "export": lambda user: bulkql.export(FinancialAccount, user=user),
}


def settings():
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings")
        return dict(cursor.fetchall())


@pytest.mark.parametrize("name", DOING)
def test_settings_are_as_they_were(user, name):
    FinancialAccount.objects.create(name="b")
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '7s'; SET LOCAL random_page_cost = 3")
        before = settings()

        operation = DOING[name](user)

        assert operation.state in ("COMPLETED", "FAILED")
        after = settings()
        assert {one: after[one] for one in after if after[one] != before[one]} == {}
        assert set(TRANSACTION_SETTINGS) <= set(after)


@pytest.mark.parametrize("name", ["inline", "upsert", "delete"])
def test_foreign_keys_are_deferred_again(user, name):
    status = ClassificationStatus.objects.create(name="open")
    with transaction.atomic():
        DOING[name](user)

        row = transaction_of(FinancialAccount(pk=4711), status)
        FinancialTransaction.objects.create(**row)
        FinancialAccount.objects.create(pk=4711, name="later")

    assert FinancialTransaction.objects.get().financial_account.name == "later"


def test_workers_are_asked_when_their_work_is_there(user, monkeypatch):
    monkeypatch.undo()  # here there is a commit to wait for
    with transaction.atomic():
        operation = bulkql.create(FinancialAccount, [{"name": "a"}], user=user, mode="ASYNC")
        assert waiting_messages() == 0
    assert waiting_messages() == 1
    assert Operation.objects.get(pk=operation.id).state == "QUEUED"

    with transaction.atomic():
        bulkql.create(Animal, [{"char": "cat"}], user=user, mode="ASYNC")
        transaction.set_rollback(True)
    assert waiting_messages() == 1


@pytest.mark.parametrize("name", ["inline", "chunks", "upsert"])
@pytest.mark.parametrize("is_kept", [True, False], ids=["committed", "rolled back"])
def test_receivers_hear_of_what_is_committed_and_in_its_order(user, monkeypatch, name, is_kept):
    monkeypatch.undo()  # here there is a commit to wait for
    heard = []

    def hear_chunk(**_):
        heard.append("chunk")

    def hear_end(**_):
        heard.append("end")

    bulkql.chunk_written.connect(hear_chunk)
    bulkql.operation_finished.connect(hear_end)
    try:
        with transaction.atomic():
            DOING[name](user)
            assert heard == []
            transaction.set_rollback(not is_kept)
    finally:
        bulkql.chunk_written.disconnect(hear_chunk)
        bulkql.operation_finished.disconnect(hear_end)

    assert heard == (["chunk", "end"] if is_kept else [])
