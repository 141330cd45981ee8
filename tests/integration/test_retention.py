"""What is past its time is deleted, with all that belongs to it; what is not, stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db.models.signals import pre_delete
from django.utils import timezone

from bulkql.examples.ledger.models import FinancialAccount
from bulkql.workers.enums import Verb
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger.retention import purge
from bulkql.workers.models import Chunk, Input, Operation, StoredPart, Upload
from bulkql.workers.operations.running import run
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.uploads import uploads

pytestmark = pytest.mark.django_db(transaction=True)


def imported(user: Any, name: str) -> Operation:
    """A finished operation on a file of one row."""
    content = f"name\n{name}\n".encode()
    upload = uploads.fill(uploads.announce(user, "accounts.csv", None), ContentFile(content))
    options = FileOptions(format=FileFormat.CSV)
    inputs = [InputRequest(resource=resource_named("financialAccounts"), upload=upload, file_options=options)]
    return run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.SYNC))


def test_old_operations_go_with_their_chunks_and_files_and_young_ones_stay(user):
    old, young = imported(user, "old"), imported(user, "young")
    long_ago = timezone.now() - timedelta(days=8)
    Operation.objects.filter(pk=old.pk).update(finished_at=long_ago)
    Upload.objects.update(uploaded_at=long_ago)

    assert purge() == (1, 1)

    assert [operation.pk for operation in Operation.objects.all()] == [young.pk]
    assert {Input.objects.get().operation_id, Chunk.objects.get().operation_id} == {young.pk}
    assert (Upload.objects.count(), StoredPart.objects.count()) == (1, 1)
    assert FinancialAccount.objects.count() == 2
    assert purge() == (0, 0)


def test_no_bytes_are_loaded_for_those_who_listen_to_every_delete(user):
    imported(user, "old")
    long_ago = timezone.now() - timedelta(days=8)
    Operation.objects.update(finished_at=long_ago)
    Upload.objects.update(uploaded_at=long_ago)

    def listen(sender: Any, **_: Any) -> None:
        heard.append(sender)

    heard: list[Any] = []
    pre_delete.connect(listen)
    try:
        assert purge() == (1, 1)
    finally:
        pre_delete.disconnect(listen)

    assert {Operation, Input, Upload} <= set(heard)
    assert not {Chunk, StoredPart} & set(heard)
    assert (Operation.objects.count(), Chunk.objects.count(), StoredPart.objects.count()) == (0, 0, 0)


def test_unfinished_operations_are_never_purged(user):
    operation = imported(user, "going on")
    Operation.objects.update(created_at=timezone.now() - timedelta(days=30), finished_at=None)

    assert purge() == (0, 0)

    assert Operation.objects.get().pk == operation.pk


def test_announced_uploads_that_never_came_go_after_a_day(user):
    uploads.announce(user, "late.csv", None)
    uploads.announce(user, "soon.csv", None)
    Upload.objects.filter(name="late.csv").update(created_at=timezone.now() - timedelta(days=2))

    assert purge() == (0, 1)

    assert Upload.objects.get().name == "soon.csv"
