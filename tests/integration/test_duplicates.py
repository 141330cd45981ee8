"""Duplicate keys in one request: the last row counts, however rows spell the key and wherever they are cut."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.files.base import ContentFile

from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.workers.enums import Verb
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.operations import running
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.uploads import uploads
from tests.conftest import Done
from tests.integration.writers import write_by

pytestmark = pytest.mark.django_db(transaction=True)

DAY = datetime(2024, 1, 1, tzinfo=UTC)
SUPERSEDED = [(0, None, "DUPLICATE_IN_REQUEST")]


@pytest.fixture(params=["postgres", "orm"], autouse=True)
def _writer(request, monkeypatch):
    """Everything by COPY and by the ORM."""
    write_by(request.param, monkeypatch)


@pytest.fixture
def rows():
    """One key in two spellings: the account by its primary key, and by its name."""
    account, status = FinancialAccount.objects.create(name="Cash"), ClassificationStatus.objects.create(name="New")
    rest = {"datetime": "2024-01-01T00:00:00Z", "description": "x", "classificationStatus": status.pk}
    return [
        {"financialAccount": account.pk, "amount": "1", **rest},
        {"financialAccountBy": {"name": "Cash"}, "amount": "2", **rest},
    ]


@pytest.fixture
def there(rows):
    """A transaction of that key."""
    return FinancialTransaction.objects.create(
        amount=9, description="x", datetime=DAY, financial_account_id=rows[0]["financialAccount"],
        classification_status_id=rows[0]["classificationStatus"],
    )  # fmt: skip


def amounts():
    return list(FinancialTransaction.objects.values_list("amount", flat=True))


@pytest.mark.parametrize("chunk_size", [1, 10])
@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPSERT])
def test_of_new_rows_the_last_one_counts(bulk, rows, verb, chunk_size):
    done = bulk(verb, "financialTransactions", rows, chunk_size=chunk_size)

    assert (done.outcomes, done.codes, amounts()) == (["FAILED", "CREATED"], SUPERSEDED, [Decimal(2)])


@pytest.mark.parametrize("chunk_size", [1, 10])
@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.REPLACE, Verb.UPSERT])
@pytest.mark.usefixtures("there")
def test_of_changes_the_last_one_counts(bulk, rows, verb, chunk_size):
    done = bulk(verb, "financialTransactions", rows, chunk_size=chunk_size)

    assert (done.outcomes, done.codes, amounts()) == (["FAILED", "UPDATED"], SUPERSEDED, [Decimal(2)])


@pytest.mark.parametrize("chunk_size", [1, 10])
@pytest.mark.usefixtures("there")
def test_a_row_is_deleted_once(bulk, rows, chunk_size):
    keys = [{name: row[name] for name in row if name.startswith(("financial", "datetime"))} for row in rows]

    done = bulk(Verb.DELETE, "financialTransactions", keys, chunk_size=chunk_size)

    assert (done.outcomes, done.codes, amounts()) == (["FAILED", "DELETED"], SUPERSEDED, [])


def test_a_name_that_nobody_has_is_a_key_of_its_own(bulk, rows):
    nobody = {**rows[1], "financialAccountBy": {"name": "Gold"}}

    done = bulk(Verb.CREATE, "financialTransactions", [rows[0], nobody, nobody])

    assert done.outcomes == ["CREATED", "FAILED", "FAILED"]
    assert done.codes == [
        (1, None, "DUPLICATE_IN_REQUEST"),
        (2, "financialAccountBy.name", "REFERENCE_NOT_FOUND"),
    ]


def test_a_file_may_spell_a_key_in_two_ways(user, rows):
    first, last = (f"2024-01-01T00:00:00Z,{row['amount']},x,{row['classificationStatus']}" for row in rows)
    content = (
        "financial_account,financial_account.name,datetime,amount,description,classification_status\n"
        f"{rows[0]['financialAccount']},,{first}\n,Cash,{last}\n"
    ).encode()
    upload = uploads.fill(uploads.announce(user, "rows.csv", len(content)), ContentFile(content))
    options = FileOptions(format=FileFormat.CSV)
    inputs = [InputRequest(resource=resource_named("financialTransactions"), upload=upload, file_options=options)]

    done = Done(running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.SYNC, chunk_size=1)))

    assert (done.outcomes, done.codes, amounts()) == (["FAILED", "CREATED"], SUPERSEDED, [Decimal(2)])


@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.REPLACE])
def test_rows_that_leave_out_what_they_owe_have_nothing_in_common(bulk, verb):
    pks = [FinancialAccount.objects.create(name=name).pk for name in "ab"]
    rows = [{}, {}] if verb == Verb.CREATE else [{"id": pk} for pk in pks]

    done = bulk(verb, "financialAccounts", rows)

    assert done.codes == [(0, "name", "REQUIRED"), (1, "name", "REQUIRED")]
    assert sorted(FinancialAccount.objects.values_list("name", flat=True)) == ["a", "b"]
