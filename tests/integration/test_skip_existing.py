"""skipExisting: new rows whose unique key the table has already are UNCHANGED, by all writers, in every way."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.core.files.base import ContentFile
from django.db import connection

import bulkql
from bulkql.examples.ledger.bulk import FinancialAccounts
from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.workers.enums import Lane, OnError, Verb
from bulkql.workers.errors import BadInput, IdempotencyConflict
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.messaging.broker import broker
from bulkql.workers.operations import existing, retry, running, steps
from bulkql.workers.operations import rows as writing
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import BulkResource, resource_named
from bulkql.workers.uploads.uploads import announce, fill
from bulkql.workers.writers import orm, postgres, staging
from tests.conftest import Done
from tests.zoo.models import Animal, Note, Tag

pytestmark = pytest.mark.django_db

SKIP = {"skip_existing": True}


@pytest.fixture(params=["postgres", "orm", "save"], autouse=True)
def writer(request, monkeypatch):
    """Everything by COPY, by the ORM's bulk methods, and one by one."""
    if request.param == "save":
        monkeypatch.setattr(BulkResource, "writes", Lane.SAVE)
    if request.param == "orm":
        monkeypatch.setattr(writing, "writer", lambda plan: orm.write)
        monkeypatch.setattr(existing, "backend", lambda alias: NoCopy)
    return request.param


class NoCopy:
    """What SQLite and MariaDB can do."""

    supports_copy = False


@pytest.fixture
def cash():
    return FinancialAccount.objects.create(name="Cash")


def named(*names):
    return [{"name": name} for name in names]


def names():
    return sorted(FinancialAccount.objects.values_list("name", flat=True))


def elsewhere(act):
    """Do something on another connection, and wait for it."""

    def run():
        act()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


@pytest.mark.parametrize("way", [{}, {"on_error": OnError.REJECT_ALL}, {"mode": Mode.ASYNC, "chunk_size": 2}])
def test_what_is_there_is_unchanged_and_told_by_its_primary_key(create, cash, way):
    done = create("financialAccounts", named("Bank", "Cash", "Safe"), **SKIP, **way)
    if way.get("mode"):
        for chunk in done.operation.chunks.all():
            steps.write_chunk(chunk.pk)
        done = Done(done.operation)

    assert (done.outcomes, done.errors) == (["CREATED", "UNCHANGED", "CREATED"], [])
    pks = dict(FinancialAccount.objects.values_list("name", "pk"))
    assert [row["pk"] for row in done.results] == [str(pks[name]) for name in ("Bank", "Cash", "Safe")]
    assert pks["Cash"] == cash.pk


def test_without_it_the_same_row_is_an_error(create, cash):
    done = create("financialAccounts", named("Bank", "Cash"))

    assert done.codes == [(1, "name", "ALREADY_EXISTS")]


def test_a_dry_run_tells_it_and_writes_nothing(create, cash):
    done = create("financialAccounts", named("Bank", "Cash"), dry_run=True, **SKIP)

    assert [(row["outcome"], row["pk"]) for row in done.results] == [("CREATED", None), ("UNCHANGED", str(cash.pk))]
    assert names() == ["Cash"]


def test_all_of_them_may_be_there_and_sending_again_changes_nothing(create):
    first, again = (create("financialAccounts", named("a", "b", "c"), **SKIP) for _ in range(2))

    assert (first.outcomes, again.outcomes) == (["CREATED"] * 3, ["UNCHANGED"] * 3)
    assert [row["pk"] for row in first.results] == [row["pk"] for row in again.results]


def test_what_else_is_wrong_with_rows_stays_an_error(create, cash):
    rows = [{"name": "Cash"}, {"name": None}, {"name": "x" * 101}, {"name": "Bank"}, {"name": "Bank"}]

    done = create("financialAccounts", rows, **SKIP)

    assert done.outcomes == ["UNCHANGED", "FAILED", "FAILED", "FAILED", "CREATED"]
    assert done.codes == [
        (1, "name", "NULL_NOT_ALLOWED"), (2, "name", "TOO_LONG"), (3, "name", "DUPLICATE_IN_REQUEST"),
    ]  # fmt: skip


def test_keys_of_several_fields_count_too_and_nothing_of_the_row_is_changed(create, cash):
    status = ClassificationStatus.objects.create(name="New")
    row = {"amount": "1", "description": "first", "datetime": "2024-01-01T00:00:00Z"}
    row |= {"financialAccountBy": {"name": "Cash"}, "classificationStatus": status.pk}
    (first,) = create("financialTransactions", [row]).results

    done = create("financialTransactions", [{**row, "description": "second"}], **SKIP)

    assert [(one["outcome"], one["pk"]) for one in done.results] == [("UNCHANGED", first["pk"])]
    assert FinancialTransaction.objects.get().description == "first"


def test_rows_of_several_resources_point_to_what_is_there(user, cash):
    row = {"amount": "1", "description": "x", "datetime": "2024-01-01T00:00:00Z"}
    rows = [{**row, "financialAccountBy": {"name": name}, "classificationStatusBy": {"name": "New"}} for name in "ab"]
    FinancialAccount.objects.create(name="a")
    given = {
        "financialTransactions": rows,
        "financialAccounts": named("a", "b"),
        "classificationStatuses": named("New"),
    }
    inputs = [InputRequest(resource=resource_named(name), rows=its) for name, its in given.items()]

    done = Done(running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.SYNC, **SKIP)))

    assert done.errors == []
    assert sorted(done.outcomes) == ["CREATED"] * 4 + ["UNCHANGED"]
    assert FinancialTransaction.objects.count() == 2


def test_lists_of_rows_that_are_there_stay(create):
    tags = [Tag.objects.create(name=name, number=place) for place, name in enumerate("ab")]
    create("notes", [{"title": "x", "tags": [tags[0].pk]}])

    done = create("notes", [{"title": "x", "tags": [tags[1].pk]}, {"title": "y", "tags": [tags[1].pk]}], **SKIP)

    assert done.outcomes == ["UNCHANGED", "CREATED"]
    assert set(Note.objects.values_list("title", "tags__name")) == {("x", "a"), ("y", "b")}


@pytest.mark.postgresql
def test_keys_that_only_the_database_knows_are_found_without_a_primary_key(create):
    create("animals", [{"char": "ox", "text": "moo"}])

    done = create("animals", [{"char": "cow", "text": "MOO"}, {"char": "cat", "text": "meow"}], **SKIP)

    assert [row["outcome"] for row in done.results] == ["UNCHANGED", "CREATED"]
    assert done.results[0]["pk"] is None
    assert Animal.objects.count() == 2


def test_a_row_out_of_the_users_sight_is_unchanged_and_not_told(create, cash, monkeypatch):
    visible = FinancialAccount.objects.exclude(name="Cash")
    monkeypatch.setattr(FinancialAccounts, "get_queryset", lambda self, user: visible.all())
    bank = FinancialAccount.objects.create(name="Bank")

    done = create("financialAccounts", named("Cash", "Bank", "Safe"), **SKIP)

    assert done.outcomes == ["UNCHANGED", "UNCHANGED", "CREATED"]
    assert [row["pk"] for row in done.results[:2]] == [None, str(bank.pk)]


def test_who_may_not_view_rows_is_not_told_which_one_it_is(cash, django_user_model):
    clerk = django_user_model.objects.create_user("clerk")
    clerk.user_permissions.set(Permission.objects.filter(codename="add_financialaccount"))

    (row,) = bulkql.create(FinancialAccount, named("Cash"), user=clerk, skip_existing=True).results()

    assert (row["outcome"], row["pk"]) == ("UNCHANGED", None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_a_row_that_somebody_inserts_meanwhile_is_there_already(create, monkeypatch, writer):
    places = {"postgres": (postgres, "copy"), "orm": (orm, "insert"), "save": (FinancialAccount, "full_clean")}
    insert, rivals = places[writer], ["Bank"]
    original = getattr(*insert)

    def beaten(*args, **kwargs):
        if rivals:
            name = rivals.pop()
            elsewhere(lambda: FinancialAccount.objects.bulk_create([FinancialAccount(name=name)]))
        return original(*args, **kwargs)

    monkeypatch.setattr(*insert, beaten)

    done = create("financialAccounts", named("Bank", "Safe"), **SKIP)

    assert (done.outcomes, names()) == (["UNCHANGED", "CREATED"], ["Bank", "Safe"])
    assert done.results[0]["pk"] == str(FinancialAccount.objects.get(name="Bank").pk)


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_so_is_one_that_is_inserted_while_guilty_rows_are_looked_for(create, cash, monkeypatch, writer):
    if writer != "postgres":
        return
    find, rivals = staging.guilty_errors, ["Bank", "Safe"]

    def beaten(*args, **kwargs):
        found = find(*args, **kwargs)
        if rivals:
            name = rivals.pop()
            elsewhere(lambda: FinancialAccount.objects.create(name=name))
        return found

    monkeypatch.setattr(staging, "guilty_errors", beaten)

    done = create("financialAccounts", named("Cash", "Bank", "Safe", "Till"), **SKIP)

    assert done.outcomes == ["UNCHANGED"] * 3 + ["CREATED"]
    assert None not in [row["pk"] for row in done.results]


def test_a_file_may_bring_what_is_there(user, cash):
    content = b"name\nCash\nBank\n"
    upload = fill(announce(user, "accounts.csv", len(content)), ContentFile(content))
    options = FileOptions(format=FileFormat.CSV)
    inputs = [InputRequest(resource=resource_named("financialAccounts"), upload=upload, file_options=options)]

    done = Done(running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.SYNC, **SKIP)))

    assert done.outcomes == ["UNCHANGED", "CREATED"]


def test_a_retry_skips_as_its_operation_did(user, create):
    done = create("financialAccounts", [{"name": None}, {"name": "Bank"}], **SKIP)

    again = retry.retry(done.operation, user)

    assert again.skip_existing
    broker.client.flushdb()


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb.takes_rows and verb != Verb.CREATE])
def test_other_verbs_refuse_it(bulk, cash, verb):
    with pytest.raises(BadInput, match=r"^skipExisting is for rows to create; .* Leave it out\.$"):
        bulk(verb, "financialAccounts", [{"id": cash.pk, "name": "x"}], **SKIP)


def test_an_idempotency_key_tells_it_apart(create):
    create("financialAccounts", named("a"), idempotency_key="k", **SKIP)

    with pytest.raises(IdempotencyConflict):
        create("financialAccounts", named("a"), idempotency_key="k")


def test_the_example_of_the_docs(user, ask, cash):
    page = (Path(__file__).parents[2] / "docs/unique.md").read_text()
    document = page.split("```graphql\n")[1].split("```")[0]

    answer = ask(user, document)["bulkCreate"]

    assert (answer["created"], answer["unchanged"], answer["failed"]) == (1, 1, 0)
