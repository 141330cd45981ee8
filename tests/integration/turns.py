"""Operations that are accepted and that nobody works on, as tests of their turns need them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from bulkql.examples.ledger.models import FinancialAccount
from bulkql.workers.enums import Verb
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.messaging import continuity, dispatch
from bulkql.workers.messaging.broker import broker
from bulkql.workers.models import Operation
from bulkql.workers.operations import running, steps
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.uploads.uploads import announce, fill


@pytest.fixture(autouse=True)
def fresh_queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Redis is as it was when it was told of all that is due, and is left so.

    The transaction of a test is never committed: what waits for that is done at once.
    """
    for module in (dispatch, steps):
        monkeypatch.setattr(module, "on_commit", lambda send, robust: send())
    broker.client.flushdb()
    continuity.note_told()
    yield
    broker.client.flushdb()


def waiting_messages() -> int:
    return sum(broker.client.llen(f"{broker.namespace}:{queue}") for queue in ("default", "small"))


def rows_for(verb: Verb) -> list[dict[str, Any]]:
    """Four rows that each come to something."""
    if verb == Verb.CREATE:
        return [{"name": name} for name in "abcd"]
    ones = [FinancialAccount.objects.create(name=name) for name in "abcd"]
    if verb in (Verb.UPSERT, Verb.SYNC):
        return [{"name": name} for name in "abef"]
    rows = [{"id": one.pk} for one in ones]
    return rows if verb == Verb.DELETE else [{**row, "name": f"new {row['id']}"} for row in rows]


def stored(user: Any, verb: Verb = Verb.CREATE, **options: Any) -> Operation:
    match_by = ["name"] if verb in (Verb.UPSERT, Verb.SYNC) else None
    resource = resource_named("financialAccounts")
    inputs = [InputRequest(resource=resource, rows=rows_for(verb), match_by=match_by)]
    how = {"mode": Mode.ASYNC, "chunk_size": 2, **options}
    operation = running.run(BulkRequest(verb=verb, user=user, inputs=inputs, **how))
    Operation.objects.filter(pk=operation.pk).update(created_at=timezone.now() - timedelta(minutes=1))
    return operation


def of_a_file(user: Any, names: int = 30, **options: Any) -> Operation:
    content = b"name\n" + b"".join(b"n%d\n" % number for number in range(names))
    upload = fill(announce(user, "accounts.csv", len(content)), ContentFile(content))
    file = FileOptions(format=FileFormat.CSV)
    inputs = [InputRequest(resource=resource_named("financialAccounts"), upload=upload, file_options=file)]
    operation = running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, chunk_size=10, **options))
    Operation.objects.filter(pk=operation.pk).update(created_at=timezone.now() - timedelta(minutes=1))
    return operation


def write(operation: Operation) -> None:
    """What workers do with the messages for chunks that they have."""
    for chunk_id in operation.chunks.order_by("number").values_list("pk", flat=True):
        steps.write_chunk(chunk_id)


def state(operation: Operation) -> str:
    return Operation.objects.values_list("state", flat=True).get(pk=operation.pk)
