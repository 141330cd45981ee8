"""How an export is carried out: at one moment, by one worker, whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone

import bulkql
from bulkql.examples.ledger.models import FinancialAccount
from bulkql.workers.columns import copied
from bulkql.workers.conf import limits
from bulkql.workers.exports import postgres, records, relay, writing
from bulkql.workers.intake import authority
from bulkql.workers.ledger.retention import purge
from bulkql.workers.ledger.totals import progress
from bulkql.workers.models import Chunk, Export, Operation, StoredFile, StoredPart
from bulkql.workers.operations import steering, steps
from bulkql.workers.operations.retry import retry
from tests.zoo.models import Item

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

ROWS = 3_000


@pytest.fixture
def items() -> None:
    Item.objects.bulk_create(Item(code=f"c{n:05}", note="some words of a note") for n in range(ROWS))


@pytest.fixture
def queued(user, items) -> bulkql.BulkOperation:
    return bulkql.export(Item, user=user, fields=["code", "note"], mode="ASYNC")


@pytest.fixture(autouse=True)
def often(monkeypatch) -> None:
    """Many pieces, and many looks at how far it is."""
    monkeypatch.setattr(copied, "BLOCK_BYTES", 10_000)
    monkeypatch.setattr(writing, "PROGRESS_SECONDS", 0.01)


def carried_out(operation: bulkql.BulkOperation) -> bulkql.BulkOperation:
    """What a worker does when its message comes."""
    steps.read_input(operation._stored.inputs.order_by("position")[0].pk)
    return operation.refresh()


def elsewhere(work: Any, *given: Any) -> Any:
    """Done by somebody with a connection of his own."""

    def alone() -> Any:
        try:
            return work(*given)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(alone).result()


def assert_whole(operation: bulkql.BulkOperation) -> None:
    (file,) = operation.files
    lines = file.read().decode().splitlines()
    assert lines == ["code,note", *(f"c{n:05},some words of a note" for n in range(ROWS))]
    assert (operation.state, operation.total, operation.exported) == ("COMPLETED", ROWS, ROWS)
    assert StoredFile.objects.count() == 1


def test_a_worker_reads_and_stores_at_a_time_and_tells_how_far_it_is(queued, monkeypatch):
    seen = []
    enter = records.enter

    def noting(job: Any, exported: int) -> bool:
        found = enter(job, exported)
        seen.append(progress(queued.id))
        return found

    monkeypatch.setattr(records, "enter", noting)

    assert_whole(carried_out(queued))

    assert [one.exported for one in seen] == sorted(one.exported for one in seen)
    assert [one.sequence for one in seen] == sorted(one.sequence for one in seen)
    assert {one.total for one in seen} == {ROWS}


def test_all_files_show_one_moment(user, items, monkeypatch):
    write = relay.pieces_of_file

    def late(job: Any) -> Any:
        if job.stored.position == 1:
            elsewhere(lambda: Item.objects.create(code="late"))
        yield from write(job)

    monkeypatch.setattr(relay, "pieces_of_file", late)
    FinancialAccount.objects.create(name="Cash")

    operation = carried_out(bulkql.export([FinancialAccount, Item], user=user, mode="ASYNC"))

    assert [(file.name, file.rows) for file in operation.files] == [("financialAccounts.csv", 1), ("items.csv", ROWS)]


def test_what_a_killed_worker_left_is_deleted_and_the_file_is_whole(queued, monkeypatch):
    def die(*_: Any) -> None:
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(records, "finish_files", die)
        patch.setattr(writing, "delete_files", lambda paths: None)
        with pytest.raises(SystemExit):
            carried_out(queued)
    left = StoredFile.objects.get()
    assert (queued.refresh().state, queued.files) == ("RUNNING", [])

    assert_whole(carried_out(queued))

    assert not StoredFile.objects.filter(pk=left.pk).exists()


def test_a_second_try_that_finds_fewer_rows_tells_what_is_in_the_file(queued, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(
            records, "finish_files", lambda leader, jobs, files: [records.enter(one, one.exported) for one in jobs]
        )
        patch.setattr(steps, "end", lambda operation_id: True)
        carried_out(queued)
    Operation.objects.filter(pk=queued.id).update(dispatched_at=None)
    queued._stored.inputs.update(lease=None, leased_until=None)
    assert progress(queued.id).exported == ROWS
    Item.objects.filter(code__gte="c01000").delete()

    carried_out(queued)

    assert (queued.state, queued.total, queued.exported) == ("COMPLETED", 1_000, 1_000)
    assert queued.files[0].rows == 1_000


def test_a_database_that_goes_away_is_no_end(queued, monkeypatch):
    def away(*_: Any, **__: Any) -> Any:
        raise OperationalError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(postgres.CopyQuery, "blocks", away)
        with pytest.raises(OperationalError):
            carried_out(queued)
    assert (queued.refresh().state, StoredPart.objects.count()) == ("RUNNING", 0)

    assert_whole(carried_out(queued))


def test_a_cancel_in_the_middle_leaves_no_file(queued, monkeypatch):
    asked = threading.Event()

    def endless(job: Any) -> Any:
        job.total = 10
        while True:
            job.exported += 1
            yield b"a piece"
            if not asked.is_set():
                elsewhere(steering.cancel, queued.id)
                asked.set()
            time.sleep(0.001)

    monkeypatch.setattr(relay, "pieces_of_file", endless)

    carried_out(queued)

    assert (queued.state, queued.files) == ("CANCELED", [])
    assert not StoredFile.objects.exists()
    assert [one.name for one in threading.enumerate() if one.name.startswith("bulkql-export")] == []


def test_a_cancel_before_anybody_began_is_the_end(queued):
    queued.cancel()

    assert (queued.state, queued.exported, queued.files) == ("CANCELED", 0, [])
    assert carried_out(queued).state == "CANCELED"


def test_who_may_no_more_gets_nothing(queued, user, settings, monkeypatch):
    monkeypatch.setattr(authority, "is_granted", lambda stored: False)
    user.is_superuser = False
    user.save()

    carried_out(queued)

    assert (queued.state, queued.files) == ("FAILED", [])
    assert queued.message.startswith("Export of items needs the permission zoo.view_item. The user ada lost it while")
    assert not StoredFile.objects.exists()


def test_a_permission_that_is_lost_in_the_middle_ends_it(user, items, monkeypatch, settings):
    user.is_superuser = False
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename="view_item"))
    settings.BULKQL_AUTHORITY_SECONDS = 0
    limits.cache_clear()
    queued = bulkql.export(Item, user=type(user).objects.get(), mode="ASYNC")
    write = relay.pieces_of_file

    def losing(job: Any) -> Any:
        yield from write(job)
        elsewhere(user.user_permissions.clear)
        while True:
            time.sleep(0.001)
            yield b""

    monkeypatch.setattr(relay, "pieces_of_file", losing)

    try:
        carried_out(queued)
    finally:
        limits.cache_clear()

    assert (queued.state, queued.files) == ("FAILED", [])
    assert not StoredFile.objects.exists()


def test_an_export_counts_among_a_users_stored_bytes(user, items, settings):
    bulkql.export(Item, user=user)
    settings.BULKQL_USER_STORED_BYTES = Export.objects.get().size
    limits.cache_clear()

    try:
        operation = bulkql.export(Item, user=user)
    finally:
        limits.cache_clear()

    assert operation.state == "FAILED"
    assert "bytes of uploads and exports are yours" in operation.message


def test_a_follower_is_not_sent_for(user, items):
    operation = bulkql.export([FinancialAccount, Item], user=user, mode="ASYNC")

    sent = operation._stored.inputs.exclude(dispatched_at=None)

    assert [one.position for one in sent] == [0]


def test_an_export_has_nothing_to_retry(user, items):
    operation = bulkql.export(Item, user=user)

    with pytest.raises(bulkql.BadInput, match="is an export, which has no rows to retry; ask for the export again"):
        retry(operation._stored, user)


def test_an_export_that_failed_too_often_is_asked_for_again(queued, monkeypatch):
    monkeypatch.setattr(steps, "write_files", broken)

    for _ in range(limits().max_attempts):
        with pytest.raises(RuntimeError):
            carried_out(queued)

    assert carried_out(queued).message.endswith(
        "The workers' log has more details. Fix the cause, then ask for the export again."
    )


def test_an_export_whose_workers_died_says_what_takes_less_memory(queued):
    queued._stored.inputs.update(attempts=limits().max_attempts)

    assert carried_out(queued).message == (
        "Reading items failed 5 times. Each time its worker process ended without reporting an error, as happens when "
        "it runs out of memory. An export of fewer rows or fields may need less."
    )


def broken(claimed: Any) -> Any:
    raise RuntimeError("a value of a row")


def test_the_files_of_old_exports_are_purged(user, items):
    bulkql.export(Item, user=user)
    assert StoredPart.objects.exists()
    Operation.objects.update(finished_at=timezone.now() - timedelta(days=8))

    assert purge() == (1, 0)

    assert (StoredFile.objects.count(), StoredPart.objects.count(), Chunk.objects.count()) == (0, 0, 0)


def test_in_the_callers_transaction_its_own_rows_are_seen(user):
    with transaction.atomic():
        Item.objects.create(code="not committed")
        operation = bulkql.export(Item, user=user)
        assert operation.exported == 1
        assert connection.in_atomic_block
