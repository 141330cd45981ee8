"""Who may no longer write writes no more: asked before each chunk, whatever way the rows came and are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.files.base import ContentFile
from django.test import Client

from bulkql.examples.ledger.models import FinancialAccount
from bulkql.workers.conf import limits
from bulkql.workers.enums import OnError, State, Verb
from bulkql.workers.errors import Forbidden
from bulkql.workers.intake import authority
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger import totals
from bulkql.workers.models import Input, Operation, Upload
from bulkql.workers.operations import running, steps
from bulkql.workers.operations.inline import InlineChunks
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.uploads.uploads import announce, fill

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("_asked_each_time")]


@pytest.fixture
def clerk(db: None, django_user_model: Any) -> Any:
    """A user with one permission of its own, and the same by a group."""
    clerk = django_user_model.objects.create_user("clerk")
    clerk.user_permissions.add(Permission.objects.get(codename="add_financialaccount"))
    return clerk


def take_permission(user: Any) -> None:
    user.user_permissions.clear()


def leave_group(user: Any) -> None:
    """The permission came from a group only."""
    user.groups.clear()


def deactivate(user: Any) -> None:
    type(user).objects.filter(pk=user.pk).update(is_active=False)


def delete(user: Any) -> None:
    type(user).objects.get(pk=user.pk).delete()


REVOCATIONS: dict[Callable[[Any], None], str] = {
    take_permission: "Create of financialAccounts needs the permission ledger.add_financialaccount. The user clerk "
    "lost it while the operation was waiting or being written. Rows that were not written by then are skipped; "
    "give the permission back, and retry the operation.",
    leave_group: "Create of financialAccounts needs the permission ledger.add_financialaccount. The user clerk "
    "lost it while the operation was waiting or being written. Rows that were not written by then are skipped; "
    "give the permission back, and retry the operation.",
    deactivate: "The user clerk was deactivated. Rows that were not written by then are skipped; activate the user "
    "again, and retry the operation.",
    delete: "The user who sent this operation was deleted. Rows that were not written by then are skipped.",
}


@pytest.fixture(params=REVOCATIONS, ids=lambda revoke: revoke.__name__)
def revoke(request: pytest.FixtureRequest, clerk: Any) -> Callable[[Any], None]:
    if request.param is leave_group:
        group = Group.objects.create(name="clerks")
        group.permissions.set(clerk.user_permissions.all())
        clerk.groups.add(group)
        clerk.user_permissions.clear()
    revocation: Callable[[Any], None] = request.param
    return revocation


def accepted(user: Any, **options: Any) -> Operation:
    """Thirty inline rows in three chunks, stored and not written."""
    rows = [{"name": f"Account {number}"} for number in range(30)]
    inputs = [InputRequest(resource=resource_named("financialAccounts"), rows=rows)]
    request = BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.ASYNC, chunk_size=10, **options)
    return accept(request)[0]


def accepted_file(user: Any, **options: Any) -> Operation:
    """The same thirty rows as a file, announced, sent and not read."""
    content = "name\n" + "".join(f"Account {number}\n" for number in range(30))
    upload = fill(announce(user, "accounts.csv", None), ContentFile(content.encode()))
    how = FileOptions(format=FileFormat.CSV)
    inputs = [InputRequest(resource=resource_named("financialAccounts"), upload=upload, file_options=how)]
    request = BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.ASYNC, chunk_size=10, **options)
    return accept(request)[0]


def ended(operation: Operation) -> tuple[str, str, int, int]:
    """State, message, rows created and rows skipped."""
    progress = totals.progress(operation.pk)
    return progress.state, progress.message, progress.created, progress.skipped


def test_queued_rows_of_a_revoked_user_are_skipped_with_the_reason(clerk, revoke, request):
    operation = accepted(clerk)

    revoke(clerk)
    for chunk in operation.chunks.all():
        steps.write_chunk(chunk.pk)

    assert ended(operation) == (State.FAILED, REVOCATIONS[revoke], 0, 30)
    assert FinancialAccount.objects.count() == 0


def test_revocation_stops_an_operation_between_two_chunks_and_what_is_written_stays(clerk, revoke):
    operation = accepted(clerk)
    first, *rest = operation.chunks.order_by("number")
    steps.write_chunk(first.pk)

    revoke(clerk)
    for chunk in rest:
        steps.write_chunk(chunk.pk)

    assert ended(operation) == (State.FAILED, REVOCATIONS[revoke], 10, 20)
    assert FinancialAccount.objects.count() == 10


@pytest.mark.parametrize("options", [{"on_error": OnError.REJECT_ALL}, {"dry_run": True}], ids=str)
def test_one_transaction_of_a_revoked_user_writes_nothing(clerk, revoke, options):
    operation = accepted(clerk, **options)

    revoke(clerk)
    steps.write_operation(operation.pk)

    assert ended(operation) == (State.FAILED, REVOCATIONS[revoke], 0, 30)
    assert FinancialAccount.objects.count() == 0


def test_revocation_amid_one_transaction_rolls_all_of_it_back(clerk, revoke, monkeypatch):
    from bulkql.workers.operations import chunks

    operation = accepted(clerk, on_error=OnError.REJECT_ALL)
    written, rows_written = [], chunks.rows_written

    def revoking(*arguments: Any, **options: Any) -> Any:
        entry = rows_written(*arguments, **options)
        written.append(entry)
        if len(written) == 2:
            revoke(clerk)
        return entry

    monkeypatch.setattr(chunks, "rows_written", revoking)
    steps.write_operation(operation.pk)

    # The revocation is part of the transaction here, and rolled back with it; only its being seen is shown.
    assert len(written) == 2
    assert ended(operation) == (State.FAILED, REVOCATIONS[revoke], 0, 30)
    assert FinancialAccount.objects.count() == 0


@pytest.mark.parametrize("options", [{}, {"on_error": OnError.REJECT_ALL}, {"dry_run": True}], ids=str)
def test_file_of_a_revoked_user_is_not_read(clerk, revoke, options):
    operation = accepted_file(clerk, **options)

    revoke(clerk)
    for stored in operation.inputs.all():
        steps.read_input(stored.pk)

    assert ended(operation) == (State.FAILED, REVOCATIONS[revoke], 0, 0)
    assert not operation.chunks.exists()


def test_revocation_stops_a_file_that_is_being_read(clerk, revoke, monkeypatch):
    operation = accepted_file(clerk)
    dispatched = []

    def revoking(stored: Any) -> bool:
        if not dispatched:
            revoke(clerk)
        dispatched.append(stored)
        return True

    monkeypatch.setattr(steps, "dispatch_next", revoking)
    for stored in operation.inputs.all():
        steps.read_input(stored.pk)
    for chunk in operation.chunks.all():
        steps.write_chunk(chunk.pk)

    state, message, created, _ = ended(operation)
    assert (state, message, created) == (State.FAILED, REVOCATIONS[revoke], 0)


def test_revocation_amid_a_request_that_writes_directly_leaves_nothing(clerk, monkeypatch):
    chunk_of = InlineChunks.chunk_of

    def revoking(self: InlineChunks, *arguments: Any) -> Any:
        chunk = chunk_of(self, *arguments)
        take_permission(clerk)
        return chunk

    monkeypatch.setattr(InlineChunks, "chunk_of", revoking)
    rows = [{"name": f"Account {number}"} for number in range(30)]
    inputs = [InputRequest(resource=resource_named("financialAccounts"), rows=rows)]

    with pytest.raises(Forbidden, match="The user clerk lost it"):
        running.run(BulkRequest(verb=Verb.CREATE, user=clerk, inputs=inputs, mode=Mode.SYNC, chunk_size=10))

    assert (FinancialAccount.objects.count(), Operation.objects.count()) == (0, 0)


def test_permission_is_asked_for_once_in_so_many_seconds(clerk, settings, django_assert_num_queries):
    settings.BULKQL_AUTHORITY_SECONDS = 60
    limits.cache_clear()
    operation = accepted(clerk)
    authority._granted.clear()  # as in another process than the one that accepted it

    def asked_again() -> None:
        fresh = Input.objects.select_related("operation__created_by").get(operation=operation)
        authority.check_authority(fresh)

    with django_assert_num_queries(3):  # the operation; the user's permissions; the groups'
        asked_again()
    with django_assert_num_queries(1):
        asked_again()


def test_deactivated_user_is_noticed_at_once_whatever_was_permitted_before(clerk, settings):
    settings.BULKQL_AUTHORITY_SECONDS = 60
    limits.cache_clear()
    operation = accepted(clerk)
    first, *rest = operation.chunks.order_by("number")
    steps.write_chunk(first.pk)

    deactivate(clerk)
    for chunk in rest:
        steps.write_chunk(chunk.pk)

    assert ended(operation)[0] == State.FAILED
    assert FinancialAccount.objects.count() == 10


def test_user_with_uploads_and_operations_is_deleted_in_the_admin_and_they_stay(clerk, user):
    operation = accepted_file(clerk)
    for stored in operation.inputs.all():
        steps.read_input(stored.pk)
    for chunk in operation.chunks.all():
        steps.write_chunk(chunk.pk)
    browser = Client()
    browser.force_login(user)

    answer = browser.post(f"/admin/auth/user/{clerk.pk}/delete/", {"post": "yes"})

    assert (answer.status_code, type(clerk).objects.filter(pk=clerk.pk).exists()) == (302, False)
    operation.refresh_from_db()
    assert (operation.created_by, operation.state) == (None, State.COMPLETED)
    assert list(Upload.objects.values_list("created_by", flat=True)) == [None]
