"""What an operation left is written by another one, and nothing else is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.files.base import ContentFile
from django.db import connection

from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.workers.enums import State, Verb
from bulkql.workers.errors import BadInput, Forbidden
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.models import Operation
from bulkql.workers.operations import running, steering, steps
from bulkql.workers.operations.retry import retry
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.uploads import uploads
from tests.conftest import Done
from tests.integration.conftest import Refused
from tests.zoo.models import Animal, Keeper

pytestmark = pytest.mark.django_db(transaction=True)

RETRY = "mutation Retry($id: ID!) { retryOperation(id: $id) { id state total label retryOf createdBy } }"


def written(operation: Operation) -> Done:
    """The operation, once its workers are through."""
    running.write_now(operation)
    operation.refresh_from_db()
    return Done(operation)


def accepted(user: Any, names: str, chunk_size: int) -> Operation:
    """An operation on accounts of these names, that nobody was rung for."""
    rows = [{"name": name} for name in names]
    inputs = [InputRequest(resource=resource_named("financialAccounts"), rows=rows)]
    operation, _ = accept(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, chunk_size=chunk_size))
    return operation


def orphans(count: int) -> list[dict[str, Any]]:
    """Animals, every other one of which has a keeper who is not there."""
    return [{"char": f"no {n}", **({"keeper": "late"} if n % 2 else {})} for n in range(count)]


def names() -> str:
    return "".join(FinancialAccount.objects.order_by("pk").values_list("name", flat=True))


def test_failed_rows_are_written_once_the_obstacle_is_gone(create, user):
    first = create("animals", orphans(10), chunk_size=3, label="orphans")
    Keeper.objects.create(code="late")

    again = retry(first.operation, user)

    assert (again.verb, again.state, again.on_error, again.dry_run, again.label, again.retry_of, again.created_by) == (
        Verb.CREATE,
        State.QUEUED,
        "SKIP_ROWS",
        False,
        "orphans",
        first.operation,
        user,
    )
    done = written(again)
    assert (again.state, done.errors) == (State.COMPLETED, [])
    stored = Animal.objects.filter(keeper="late").order_by("pk").values_list("pk", "char")
    assert [char for _, char in stored] == ["no 1", "no 3", "no 5", "no 7", "no 9"]
    assert done.results == [
        {"resource": "animals", "index": index, "outcome": "CREATED", "pk": str(pk)}
        for index, (pk, _) in enumerate(stored)
    ]
    assert Animal.objects.count() == 10


def test_what_is_left_is_stored_in_whole_chunks(create, user):
    first = create("animals", orphans(14), chunk_size=3)

    again = retry(first.operation, user)

    (stored,) = again.inputs.all()
    assert (stored.chunk_size, stored.total, stored.read_at is not None) == (3, 7, True)
    chunks = again.chunks.order_by("number").values_list("number", "row_start", "row_count")
    assert list(chunks) == [(0, 0, 3), (1, 3, 3), (2, 6, 1)]


def test_workers_are_rung_for_a_retry(create, user):
    again = retry(create("animals", orphans(2)).operation, user)

    assert again.chunks.get().dispatched_at is not None


def test_skipped_rows_of_a_canceled_operation_are_written(user):
    first = accepted(user, "abcdefgh", chunk_size=3)
    steps.write_chunk(first.chunks.get(number=0).pk, dispatches=False)
    steering.cancel(first.pk)
    first.refresh_from_db()

    done = written(retry(first, user))

    assert (first.state, done.operation.state, names()) == (State.CANCELED, State.COMPLETED, "abcdefgh")
    assert done.outcomes == ["CREATED"] * 5


def test_rows_that_a_later_row_superseded_stay_out(user):
    first = accepted(user, "abacb", chunk_size=2)
    steering.cancel(first.pk)
    first.refresh_from_db()

    done = written(retry(first, user))

    assert (done.outcomes, names()) == (["CREATED"] * 3, "acb")


def test_rows_that_are_still_bad_fail_again_with_their_errors(create, user):
    rows = [{"char": "good"}, {"char": "odd", "integer": 3}, {"chr": "typo"}, {"char": "lost", "keeper": "late"}]
    first = create("animals", rows, chunk_size=1)

    done = written(retry(first.operation, user))

    assert first.codes == [(1, "integer", "INVALID"), *[(2, *of) for of in lacks], (3, "keeper", "REFERENCE_NOT_FOUND")]
    assert done.codes == [(0, "integer", "INVALID"), *[(1, *of) for of in lacks], (2, "keeper", "REFERENCE_NOT_FOUND")]


lacks = [("char", "REQUIRED"), ("chr", "UNKNOWN_FIELD")]


def test_rows_are_retried_once(create, user):
    first = create("animals", orphans(6)).operation
    Keeper.objects.create(code="late")
    again = retry(first, user)

    with pytest.raises(BadInput) as during:
        retry(first, user)
    assert written(again).outcomes == ["CREATED"] * 3
    with pytest.raises(BadInput) as afterwards:
        retry(first, user)

    assert str(during.value) == f"Operation {first.pk} is being retried by operation {again.pk}; wait until it is over."
    assert str(afterwards.value) == (
        f"Operation {first.pk} was retried by operation {again.pk}; retry that one, which has the rows that are left."
    )
    assert Animal.objects.filter(keeper="late").count() == 3
    assert list(first.retries.all()) == [again]


def test_of_two_who_retry_at_once_one_is_told_of_the_other(create, user):
    first = create("animals", orphans(6)).operation
    Keeper.objects.create(code="late")
    at_once = Barrier(2)

    def retried() -> Operation | BadInput:
        try:
            at_once.wait(10)
            return retry(Operation.objects.get(pk=first.pk), user)
        except BadInput as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: retried(), range(2))

    assert {type(one), type(two)} == {Operation, BadInput}
    assert first.retries.count() == 1


def test_a_dry_run_is_retried_as_often_as_wanted(create, user):
    first = create("animals", orphans(4), dry_run=True).operation

    assert [written(retry(first, user)).outcomes for _ in range(2)] == [["FAILED"] * 2] * 2
    assert first.retries.count() == 2


def test_retry_can_be_retried(create, user):
    first = create("animals", orphans(6))
    second = written(retry(first.operation, user))
    Keeper.objects.create(code="late")

    third = written(retry(second.operation, user))

    assert (second.outcomes, third.outcomes) == (["FAILED"] * 3, ["CREATED"] * 3)
    assert third.operation.retry_of == second.operation


def test_only_resources_with_rows_left_are_in_and_keep_their_places(user):
    ClassificationStatus.objects.create(pk=1, name="open")
    account, transaction = resource_named("financialAccounts"), resource_named("financialTransactions")
    movement = {"amount": "1", "description": "x", "financialAccount": "7", "classificationStatus": "1"}
    movements = [{**movement, "datetime": f"2024-01-0{day}T00:00:00Z"} for day in (1, 2)]
    inputs = [
        InputRequest(resource=transaction, rows=movements),
        InputRequest(resource=account, rows=[{"name": "Cash"}]),
    ]
    first = running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.SYNC))
    FinancialAccount.objects.update(id=7)

    again = retry(first, user)

    assert list(first.inputs.values_list("position", "resource")) == [(0, account.name), (1, transaction.name)]
    assert list(again.inputs.values_list("position", "resource", "total")) == [(1, transaction.name, 2)]
    assert written(again).outcomes == ["CREATED", "CREATED"]
    assert FinancialTransaction.objects.count() == 2


def test_rows_of_a_file_are_retried_without_it(user):
    content = b"name\nCash\n" + b"x" * 101 + b"\nBank\n"
    upload = uploads.fill(uploads.announce(user, "accounts.csv", None), ContentFile(content))
    options = FileOptions(format=FileFormat.CSV)
    inputs = [InputRequest(resource=resource_named("financialAccounts"), upload=upload, file_options=options)]
    first = running.run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.SYNC))

    done = written(retry(first, user))

    assert (Done(first).codes, done.codes) == ([(1, "name", "TOO_LONG")], [(0, "name", "TOO_LONG")])
    stored = done.operation.inputs.get()
    assert (stored.upload, stored.file_options, stored.total) == (None, first.inputs.get().file_options, 1)


def test_operation_that_is_not_over_is_not_retried(user):
    first = accepted(user, "ab", chunk_size=1)

    with pytest.raises(BadInput) as refused:
        retry(first, user)

    assert str(refused.value) == f"Operation {first.id} is QUEUED; wait until it is over, or cancel it."
    assert Operation.objects.count() == 1


@pytest.mark.parametrize("rows", ["ab", "aba"])
def test_operation_that_left_nothing_is_not_retried(create, user, rows):
    first = create("financialAccounts", [{"name": name} for name in rows]).operation

    with pytest.raises(BadInput) as refused:
        retry(first, user)

    assert str(refused.value) == (
        f"Operation {first.id} has no rows to retry: none failed or was skipped, except for rows whose key "
        f"appears again in a later row."
    )
    assert Operation.objects.count() == 1


def test_retry_needs_the_permission_of_its_verb_again(create, django_user_model):
    first = create("animals", orphans(2)).operation
    staff = django_user_model.objects.create_user("eve", is_staff=True)

    with pytest.raises(Forbidden) as refused:
        retry(first, staff)

    assert str(refused.value) == "Create of animals needs the permission zoo.add_animal."
    assert Operation.objects.count() == 1


def test_verb_that_the_resource_gave_up_is_not_retried(create, user, monkeypatch):
    first = create("animals", orphans(2)).operation
    monkeypatch.setattr(type(resource_named("animals")), "operations", frozenset({Verb.DELETE}))

    with pytest.raises(BadInput) as refused:
        retry(first, user)

    assert str(refused.value) == "animals no longer offers CREATE; see the operations of its BulkResource."


def test_mutation_retries_what_its_user_may_see(ask, create, user, django_user_model):
    first = create("animals", orphans(4), label="orphans").operation
    stranger = django_user_model.objects.create_user("bob")
    staff = django_user_model.objects.create_user("eve", is_staff=True)
    for one in (stranger, staff):
        one.user_permissions.add(Permission.objects.get(codename="add_animal"))

    with pytest.raises(Refused) as refused:
        ask(stranger, RETRY, id=str(first.id))
    answer = ask(staff, RETRY, id=str(first.id))["retryOperation"]

    assert refused.value.args == ([("NOT_FOUND", f"There is no operation {first.id} that you may see.")],)
    again = Operation.objects.get(retry_of=first)
    assert answer == {
        "id": str(again.id),
        "state": "QUEUED",
        "total": 2,
        "label": "orphans",
        "retryOf": str(first.id),
        "createdBy": "eve",
    }


def test_retry_of_an_operation_that_was_purged_tells_of_none(ask, create, user):
    again = retry(create("animals", orphans(2)).operation, user)
    Operation.objects.exclude(pk=again.pk).delete()

    assert ask(user, "query ($id: ID!) { operation(id: $id) { retryOf total } }", id=str(again.id)) == {
        "operation": {"retryOf": None, "total": 1}
    }
