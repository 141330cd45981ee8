"""An upload is read into chunks, whoever reads it, and however often a reader dies."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import OperationalError
from django.utils import timezone

from bulkql.examples.ledger.models import FinancialAccount
from bulkql.workers.enums import State, Verb
from bulkql.workers.intake import reading
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger import claims, totals
from bulkql.workers.models import Input, Operation
from bulkql.workers.operations import running, steps
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.uploads import uploads

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 95


def accepted(user: Any, content: bytes) -> Operation:
    """An operation on a file, chunks of ten rows, that nobody has begun to read."""
    upload = uploads.fill(uploads.announce(user, "accounts.csv", len(content)), ContentFile(content))
    options = FileOptions(format=FileFormat.CSV)
    inputs = [InputRequest(resource=resource_named("financialAccounts"), upload=upload, file_options=options)]
    operation, _ = accept(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.ASYNC, chunk_size=10))
    return operation


def accounts() -> bytes:
    return b"name\n" + b"".join(b"Account %d\n" % number for number in range(ROWS))


def write_all(operation: Operation) -> None:
    for chunk_id in operation.chunks.filter(recorded_at=None).values_list("pk", flat=True):
        steps.write_chunk(chunk_id)


def test_reader_that_takes_over_goes_on_behind_the_last_stored_chunk(user):
    operation = accepted(user, accounts())
    dead = claims.claim_input(operation.inputs.get().pk)
    assert dead is not None
    assert len(list(islice(reading.read_upload(dead), 3))) == 3
    Input.objects.update(leased_until=timezone.now() - timedelta(seconds=1))

    steps.read_input(dead.pk)
    write_all(operation)

    operation.refresh_from_db()
    progress = totals.progress(operation.pk)
    assert (operation.state, progress.total, progress.created) == (State.COMPLETED, ROWS, ROWS)
    names = FinancialAccount.objects.order_by("pk").values_list("name", flat=True)
    assert list(names) == [f"Account {number}" for number in range(ROWS)]


def test_reader_that_was_thought_dead_stores_nothing_more(user):
    operation = accepted(user, accounts())
    slow = claims.claim_input(operation.inputs.get().pk)
    assert slow is not None
    chunks = reading.read_upload(slow)
    next(chunks)
    Input.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    other = claims.claim_input(slow.pk)
    assert other is not None

    with pytest.raises(claims.LeaseLost):
        next(chunks)

    assert operation.chunks.count() == 1


def test_chunks_of_a_file_that_its_request_could_not_write_are_rung_for_at_once(user, monkeypatch):
    def fail(chunk_id):
        raise OperationalError("the connection is gone")

    monkeypatch.setattr("bulkql.workers.operations.chunks.claim_and_write", fail)
    upload = uploads.fill(uploads.announce(user, "accounts.csv", None), ContentFile(accounts()))
    options = FileOptions(format=FileFormat.CSV)
    inputs = [InputRequest(resource=resource_named("financialAccounts"), upload=upload, file_options=options)]

    operation = running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.SYNC, chunk_size=ROWS))

    assert [chunk.dispatched_at is not None for chunk in operation.chunks.all()] == [True]


def test_message_to_read_that_comes_twice_reads_once(user):
    operation = accepted(user, accounts())
    input_id = operation.inputs.get().pk
    steps.read_input(input_id)

    steps.read_input(input_id)

    assert operation.chunks.count() == 10


def test_file_that_cannot_be_read_on_fails_its_operation_with_the_line_and_writes_nothing(user, monkeypatch):
    monkeypatch.setattr("bulkql.workers.readers.csv.FIRST_BYTES", 256)
    monkeypatch.setattr("bulkql.workers.readers.csv.BLOCK_BYTES", 256)
    before = accounts()
    operation = accepted(user, before + "Müller\n".encode("cp1252") + b"Account\n" * 5)

    steps.read_input(operation.inputs.get().pk)

    operation.refresh_from_db()
    progress = totals.progress(operation.pk)
    assert (operation.state, progress.total, progress.processed) == (State.FAILED, 0, 0)
    line = before.count(b"\n") + 1
    assert operation.message.startswith(f"Line {line} is not utf-8: invalid start byte (byte 0xfc).")
    assert FinancialAccount.objects.count() == 0


def test_duplicates_far_apart_in_a_file_are_found(user):
    content = accounts() + b"Account 0\nAccount 50\n"
    operation = accepted(user, content)

    steps.read_input(operation.inputs.get().pk)
    write_all(operation)

    assert FinancialAccount.objects.count() == ROWS
    progress = totals.progress(operation.pk)
    assert (progress.created, progress.failed) == (ROWS, 2)
