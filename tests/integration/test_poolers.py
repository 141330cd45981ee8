"""Behind a pooler of transactions, nothing that one client sets reaches another, and nothing is looked for in vain."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.backends.postgresql.base import Cursor

from bulkql.server.processes.commits import AT_LEISURE, IDLE, begin_at_leisure, commit_at_leisure
from bulkql.workers.backends import sending_bytes
from bulkql.workers.enums import Verb
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger import claims, endings
from bulkql.workers.models import Operation, StoredFile, StoredPart
from bulkql.workers.operations import steps
from bulkql.workers.resources.registry import resource_named
from tests.pooler import MISSING, PGBOUNCER

ROOT = Path(__file__).parents[2]
#: What goes through PgBouncer in every run of the tests.
SLICE = ["test_exactly_once.py", "test_retry.py", "test_atomic.py"]


@pytest.fixture
def worker() -> Iterator[None]:
    """This thread's connection is a worker's."""
    connection.ensure_connection()
    commit_at_leisure(connection)
    yield
    connection.execute_wrappers.remove(begin_at_leisure)


def setting() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        return str(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_commits_at_leisure_end_with_their_transaction(worker, user):
    with transaction.atomic():
        Operation.objects.filter(pk=None).exists()
        user.save()
        assert setting() == "off"

    user.save()
    assert setting() == "on"


@pytest.mark.django_db(transaction=True)
def test_update_at_leisure_counts_its_rows(worker, user):
    found = type(user).objects.filter(pk=user.pk)

    assert (found.update(first_name="Ada"), found.exclude(pk=user.pk).update(first_name="")) == (1, 0)
    assert [one.first_name for one in found] == ["Ada"]


@pytest.mark.django_db(transaction=True)
def test_bytes_are_stored_at_leisure_as_they_are(worker, user):
    everything = bytes(range(256)) * 100
    stored = StoredFile.objects.create(name="a")
    with transaction.atomic(), sending_bytes("default"):
        StoredPart.objects.bulk_create([StoredPart(file=stored, number=number, data=everything) for number in (0, 1)])
        assert setting() == "off"

    with sending_bytes("default"):
        StoredPart.objects.filter(number=1).update(data=everything[:-1])

    assert [bytes(data) for (data,) in StoredPart.objects.order_by("number").values_list("data")] == [
        everything, everything[:-1],
    ]  # fmt: skip
    assert connection.connection.cursor_factory is Cursor
    assert setting() == "on"


@pytest.mark.django_db(transaction=True)
def test_rows_and_their_ledger_entry_commit_durably(worker, user, monkeypatch):
    rows = [{"name": "Cash"}]
    inputs = [InputRequest(resource=resource_named("financialAccounts"), rows=rows)]
    operation, _ = accept(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.ASYNC))
    seen: list[str] = []
    record = steps.chunks.entries.record

    def spied(*arguments: Any) -> None:
        record(*arguments)
        seen.append(setting())

    monkeypatch.setattr(steps.chunks.entries, "record", spied)
    steps.write_chunk(operation.chunks.get().pk)

    assert seen == ["on"]


@pytest.mark.skipif(PGBOUNCER is None, reason=MISSING)
def test_pipeline_works_through_a_pool_of_two():
    files = [str(ROOT / "tests/integration" / name) for name in SLICE]
    # The server and its databases are thrown away with the run.
    options = ("-x", "--create-db", "--reuse-db", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", *options, *files]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}

    done = subprocess.run(
        command, cwd=ROOT, env={**environment, "TEST_POOLER": "2"}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout[-3000:]
    assert "PgBouncer: a pool of 2" in done.stdout


ENDS = {
    "finished": lambda operation: endings.finish(operation.pk),
    "failed": lambda operation: endings.fail(operation.pk, "by the test"),
    "read to its end": lambda operation: claims.read_to_end(operation.inputs.get(), 1),
    "rolled back": lambda operation: steps.write_operation(operation.pk),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ENDS)
def test_an_end_that_is_told_is_on_the_disk(worker, user, name):
    inputs = [InputRequest(resource=resource_named("financialAccounts"), rows=[{"name": "Cash"}])]
    request = BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.ASYNC, dry_run=name == "rolled back")
    operation, _ = accept(request)
    ends: list[bool] = []
    is_at_leisure = False

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """Whether the transaction in which something ends waits for the disk."""
        nonlocal is_at_leisure
        if connection.connection.info.transaction_status == IDLE:
            is_at_leisure = sql.startswith(AT_LEISURE)
        if '"finished_at" = ' in sql or '"read_at" = ' in sql:
            ends.append(is_at_leisure)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        ENDS[name](operation)

    assert ends
    assert not any(ends)
