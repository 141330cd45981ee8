"""Who may apply whose plan, when, and how often; and resources that are written by plans alone."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.core import checks
from django.db import connection
from django.utils import timezone

import bulkql
from bulkql.workers.enums import State
from bulkql.workers.errors import Expired
from bulkql.workers.intake import authority
from bulkql.workers.ledger.retention import purge
from bulkql.workers.models import Operation
from bulkql.workers.operations import running
from bulkql.workers.operations.retry import retry
from bulkql.workers.resources.checks import check_resources
from bulkql.workers.resources.registry import resource_named
from tests.integration.conftest import Refused
from tests.integration.test_plans import _patient  # noqa: F401
from tests.zoo.models import Keeper, Shelf, Toy

pytestmark = pytest.mark.django_db

ROWS = [{"code": "a"}, {"code": "b"}]


@pytest.fixture
def another(django_user_model):
    """A user who may do all but what belongs to staff."""
    found = django_user_model.objects.create_user("eve", password="")
    found.user_permissions.set(Permission.objects.all())
    return found


@pytest.fixture
def plan(user):
    return bulkql.create(Keeper, ROWS, user=user, dry_run=True)


@pytest.fixture
def _approved(monkeypatch):
    for name in ("keepers", "toys"):
        monkeypatch.setattr(type(resource_named(name)), "approval", bulkql.BY_ANOTHER)


def take(user, codename):
    user.user_permissions.remove(Permission.objects.get(codename=codename))
    return type(user).objects.get(pk=user.pk)


def test_a_plan_tells_who_made_it_until_when_it_is_good_and_what_applied_it(user, another, plan, ask):
    query = """query($id: ID!) { operation(id: $id) {
        dryRun createdBy created planUntil appliedAs appliedFrom results { edges { node { outcome } } } } }"""
    before = ask(user, query, id=str(plan.id))["operation"]

    applied = ask(another, "mutation($id: ID!) { applyOperation(id: $id) { id } }", id=str(plan.id))["applyOperation"]

    stored = Operation.objects.get(pk=plan.id)
    assert (before["dryRun"], before["createdBy"], before["created"]) == (True, "ada", 2)
    assert before["planUntil"] == (stored.finished_at + timedelta(days=7)).isoformat()
    assert (before["appliedAs"], before["appliedFrom"]) == (None, None)
    assert ask(user, query, id=str(plan.id))["operation"]["appliedAs"] == applied["id"]
    after = ask(another, query, id=applied["id"])["operation"]
    assert (after["createdBy"], after["appliedFrom"], after["planUntil"]) == ("eve", str(plan.id), None)
    assert (after["dryRun"], after["created"]) == (False, 2)
    assert len(after["results"]["edges"]) == 2


def test_a_plan_is_applied_once(user, another, plan):
    applied = bulkql.apply(plan, user=user, idempotency_key="k")

    with pytest.raises(bulkql.BadInput, match=f"Plan {plan.id} was applied already, by operation {applied.id}"):
        bulkql.apply(plan, user=another)

    assert bulkql.apply(plan, user=user, idempotency_key="k").id == applied.id
    with pytest.raises(bulkql.IdempotencyConflict):
        bulkql.apply(bulkql.create(Keeper, ROWS, user=user, dry_run=True), user=user, idempotency_key="k")
    assert Keeper.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_who_apply_a_plan_at_the_same_moment_one_does(user, plan):
    barrier, answers = Barrier(2), []

    def apply():
        barrier.wait()
        try:
            answers.append(bulkql.apply(plan, user=user, mode="ASYNC").id)
        except bulkql.BadInput as error:
            answers.append(str(error))
        finally:
            connection.close()

    threads = [Thread(target=apply) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    (first,) = Operation.objects.filter(applied_from=plan.id)
    assert sorted(map(str, answers), key=len) == [
        str(first.pk),
        f"Plan {plan.id} was applied already, by operation {first.pk}.",
    ]


def test_what_is_no_plan_is_refused(user, plan):
    direct = bulkql.create(Keeper, [{"code": "c"}], user=user)
    queued = bulkql.create(Keeper, ROWS, user=user, mode="ASYNC")
    rejected = bulkql.create(Keeper, [{"code": "c"}], user=user, dry_run=True, on_error="REJECT_ALL")
    waiting = bulkql.create(Keeper, ROWS, user=user, dry_run=True, mode="ASYNC")
    canceled = bulkql.create(Keeper, ROWS, user=user, dry_run=True, mode="ASYNC").cancel()

    for operation, message in (
        (direct, "is not a plan: it was sent without dry_run=True, and writes its rows itself."),
        (queued, "is not a plan: it was sent without dry_run=True, and writes its rows itself."),
        (
            rejected,
            'is FAILED: 1 of 1 rows is bad; nothing was written, as on_error="REJECT_ALL" asks. Make a new one.',
        ),
        (waiting, "is QUEUED; wait until it is over."),
        (canceled, "is CANCELED. Make a new one."),
    ):
        with pytest.raises(bulkql.BadInput, match=message):
            bulkql.apply(operation, user=user)
    with pytest.raises(bulkql.NotFound):
        bulkql.apply(uuid4(), user=user)
    with pytest.raises(bulkql.NotFound):
        bulkql.apply("no id", user=user)


def test_a_plan_expires_and_is_kept_until_then(user, plan, settings):
    settings.BULKQL_PLAN_DAYS, settings.BULKQL_RETENTION_DAYS = 5, 2
    Operation.objects.update(finished_at=timezone.now() - timedelta(days=4))
    direct = bulkql.create(Keeper, [{"code": "z"}], user=user)
    Operation.objects.filter(pk=direct.id).update(finished_at=timezone.now() - timedelta(days=4))

    assert purge() == (1, 0)
    Operation.objects.update(finished_at=timezone.now() - timedelta(days=6))

    with pytest.raises(Expired, match=r"was good until .* UTC \(BULKQL_PLAN_DAYS\); make a new one"):
        bulkql.apply(plan, user=user)
    assert purge() == (1, 0)


def test_a_plan_stays_while_it_is_applied(user, plan):
    applied = bulkql.apply(plan, user=user, mode="ASYNC")
    Operation.objects.filter(pk=plan.id).update(finished_at=timezone.now() - timedelta(days=30))

    assert purge() == (0, 0)
    running.write_now(applied._stored)

    assert applied.refresh().created == 2
    assert purge() == (1, 0)
    assert applied.refresh().applied_from is None


def test_to_apply_takes_the_permission_and_those_of_the_verb(user, another, plan):
    for codename, message in (
        ("apply_operation", "needs the permission bulkql.apply_operation"),
        ("add_keeper", "needs the permission zoo.add_keeper"),
    ):
        another.user_permissions.set(Permission.objects.all())
        with pytest.raises(bulkql.Forbidden, match=message):
            bulkql.apply(plan, user=take(another, codename))

    assert not Operation.objects.exclude(pk=plan.id).exists()


@pytest.mark.parametrize("codename", ["apply_operation", "add_keeper"])
def test_permission_that_is_taken_meanwhile_stops_the_application(another, plan, codename):
    applied = bulkql.apply(plan, user=another, mode="ASYNC")
    take(another, codename)
    authority._granted.clear()

    running.write_now(applied._stored)

    assert (applied.refresh().state, Keeper.objects.count()) == ("FAILED", 0)
    assert codename in applied.message


def test_rows_are_those_that_who_applies_may_touch(user, another, monkeypatch):
    Shelf.objects.bulk_create(Shelf(code=code) for code in "AB")

    def seen(self, asker):
        return Shelf.objects.filter(**({} if asker == user else {"code": "B"}))

    monkeypatch.setattr(type(resource_named("shelves")), "get_queryset", seen)
    plan = bulkql.update(Shelf, [{"code": "A", "note": "x"}, {"code": "B", "note": "x"}], user=user, dry_run=True)

    applied = bulkql.apply(plan, user=another)

    assert [(row["index"], row["code"]) for row in applied.row_errors()] == [(0, "CONFLICT")]
    assert sorted(Shelf.objects.values_list("code", "note")) == [("A", ""), ("B", "x")]


def test_others_see_plans_that_they_could_apply_and_nothing_else_of_others(user, another, plan, ask, monkeypatch):
    one = "query($id: ID!) { operation(id: $id) { results { edges { node { outcome } } } } }"
    several = "{ operations(filters: {dryRun: true}) { totalCount edges { node { id } } } }"
    applied = bulkql.apply(bulkql.create(Keeper, [{"code": "c"}], user=another, dry_run=True), user=user)

    assert len(ask(another, one, id=str(plan.id))["operation"]["results"]["edges"]) == 2
    assert ask(another, several)["operations"]["totalCount"] == 2
    assert ask(another, "{ operations { totalCount } }")["operations"]["totalCount"] == 1
    # What became of a plan, its author sees.
    assert len(ask(another, one, id=str(applied.id))["operation"]["results"]["edges"]) == 1

    with pytest.raises(Refused, match="NOT_FOUND"):
        ask(another, "mutation($id: ID!) { cancelOperation(id: $id) { id } }", id=str(plan.id))
    with monkeypatch.context() as patch:
        patch.setattr(type(resource_named("keepers")), "get_queryset", lambda self, asker: Keeper.objects.all())
        with pytest.raises(Refused, match="NOT_FOUND"):
            ask(another, one, id=str(plan.id))
    for codename in ("view_keeper", "apply_operation"):
        another.user_permissions.set(Permission.objects.all())
        fewer = take(another, codename)
        with pytest.raises(Refused, match="NOT_FOUND"):
            ask(fewer, one, id=str(plan.id))
        assert ask(fewer, several)["operations"]["totalCount"] == 1


@pytest.mark.usefixtures("_approved")
def test_where_another_has_to_agree_nothing_is_written_without_a_plan(user):
    Shelf.objects.create(pk=1, code="A")
    Toy.objects.create(pk=1, sku="a", name="x", shelf_id=1)
    for write in (
        lambda: bulkql.create(Keeper, ROWS, user=user),
        lambda: bulkql.create({Shelf: [{"code": "B"}], Keeper: ROWS}, user=user, on_error="REJECT_ALL"),
        lambda: bulkql.delete(Toy, [1], user=user),
        lambda: bulkql.sync(Keeper, ROWS, user=user, delete_missing=True),
        # Toys go along with their shelves.
        lambda: bulkql.delete(Shelf, [1], user=user),
        lambda: bulkql.sync(Shelf, [], user=user, delete_missing=True),
    ):
        with pytest.raises(bulkql.Forbidden, match="needs the approval of another user: send it with dry_run=True"):
            write()
    bulkql.update(Shelf, [{"code": "A", "note": "x"}], user=user)

    assert (Keeper.objects.count(), Toy.objects.count()) == (0, 1)
    assert Shelf.objects.get().note == "x"


@pytest.mark.usefixtures("_approved")
def test_its_author_does_not_apply_a_plan_and_another_does(user, another):
    plan = bulkql.create(Keeper, [*ROWS, {"code": "far too long a code"}], user=user, dry_run=True)

    with pytest.raises(bulkql.Forbidden, match=f"You made plan {plan.id}, and plans of keepers are applied by another"):
        bulkql.apply(plan, user=user)
    applied = bulkql.apply(plan, user=another)

    assert (applied.created, applied.failed) == (2, 1)
    # To send again what failed is to write without a plan.
    with pytest.raises(bulkql.Forbidden, match="needs the approval of another user"):
        retry(applied._stored, another)
    assert retry(plan._stored, another).dry_run
    with pytest.raises(bulkql.Forbidden, match="written by plans that another user applies, and a revert is none"):
        bulkql.revert(applied, user=another)


def test_an_approval_that_nobody_knows_is_an_error(monkeypatch):
    monkeypatch.setattr(type(resource_named("keepers")), "approval", "BY_ANYBODY")

    (error,) = [one for one in check_resources() if one.id == "bulkql.E052"]

    assert (error.level, error.msg) == (checks.ERROR, "Keepers has the approval 'BY_ANYBODY', which is none.")


def test_dry_runs_of_a_version_before_are_no_plans(user, plan):
    plan._stored.chunks.update(evidence=None)

    with pytest.raises(bulkql.BadInput, match="did not keep plans; make a new one"):
        bulkql.apply(plan, user=user)


def test_async_code_applies_plans(user, plan):
    from asgiref.sync import async_to_sync

    applied = async_to_sync(bulkql.async_apply)(plan.id, user=user, label="at last")

    assert (applied.state, applied.created) == (State.COMPLETED, 2)
    assert Operation.objects.get(pk=applied.id).label == "at last"
