"""Who may revert what, and which operations can be reverted at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection

from bulkql.workers.enums import Approval, State, Verb
from bulkql.workers.errors import BadInput, Forbidden, IdempotencyConflict
from bulkql.workers.intake.accept import accept
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.ledger import endings
from bulkql.workers.ledger.retention import purge_operations
from bulkql.workers.ledger.totals import Heaps, cascades, heaps
from bulkql.workers.models import Chunk, Operation
from bulkql.workers.operations import running, steering, steps
from bulkql.workers.operations.retry import retry
from bulkql.workers.operations.revert import RevertOptions, revert
from bulkql.workers.resources.registry import resource_named
from tests.conftest import Done
from tests.zoo.bulk import Shelves, Tags, Toys
from tests.zoo.models import Animal, Keeper, Locker, Note, Shelf, Tag, Toy

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]


def undo(operation: Operation, user: Any, **options: Any) -> Done:
    again = revert(operation, user, RevertOptions(**options))
    again.refresh_from_db()
    return Done(again)


@pytest.fixture
def other(django_user_model: Any) -> Any:
    """A user with all permissions, one of which may be taken."""
    found = django_user_model.objects.create_user("grace")
    found.user_permissions.set(Permission.objects.all())
    return found


def without(user: Any, codename: str) -> Any:
    user.user_permissions.remove(Permission.objects.get(codename=codename))
    return type(user).objects.get(pk=user.pk)


@pytest.fixture
def tags(db: None) -> list[Tag]:
    return [Tag.objects.create(name=f"t{n}") for n in range(4)]


@pytest.mark.parametrize(
    ("verb", "rows", "codename"),
    [
        (Verb.CREATE, [{"name": "new"}], "delete_tag"),
        (Verb.UPDATE, [{"name": "t0", "color": "red"}], "change_tag"),
        (Verb.DELETE, [{"name": "t0"}], "add_tag"),
    ],
)
def test_it_takes_the_opposite_permission(bulk, other, tags, verb, rows, codename):
    done = bulk(verb, "tags", rows)

    with pytest.raises(Forbidden) as refused:
        undo(done.operation, without(other, codename))

    assert str(refused.value) == f"Reverting tags needs the permission zoo.{codename}."


def test_what_went_along_takes_its_permission(bulk, other):
    keeper = Keeper.objects.create(code="k")
    Animal.objects.create(char="ox", keeper=keeper)
    Locker.objects.create(number=1, keeper=keeper, label="l", badge="b")
    Note.objects.create(title="n").keepers.add(keeper)
    done = bulk(Verb.DELETE, "keepers", [{"code": "k"}])
    assert done.outcomes == ["DELETED"]

    with pytest.raises(Forbidden, match="add_locker"):
        undo(done.operation, without(other, "add_locker"))
    other.user_permissions.set(Permission.objects.all())
    undone = undo(done.operation, type(other).objects.get(pk=other.pk))

    assert (undone.errors, undone.outcomes) == ([], ["CREATED"])
    assert (Animal.objects.get().keeper, Locker.objects.get().keeper) == (keeper, keeper)
    assert Note.objects.get().keepers.get() == keeper
    assert cascades(undone.operation) == {"zoo.Animal": 1, "zoo.Locker": 1, "zoo.Note_keepers": 1}


def test_rows_out_of_sight_are_not_found(bulk, user, monkeypatch):
    done = bulk(Verb.CREATE, "toys", [{"sku": "a", "name": "x"}, {"sku": "b", "name": "x"}])
    monkeypatch.setattr(Toys, "get_queryset", lambda self, user: Toy.objects.exclude(sku="a"))

    undone = undo(done.operation, user)

    assert [code for *_, code in undone.codes] == ["NOT_FOUND"]
    assert list(Toy.objects.values_list("sku", flat=True)) == ["a"]


def test_rows_that_would_be_out_of_reach_afterwards_are_forbidden(bulk, user, monkeypatch):
    Shelf.objects.create(code="A", note="old"), Shelf.objects.create(code="B", note="old")
    done = bulk(Verb.UPDATE, "shelves", [{"code": "A", "note": "new"}, {"code": "B", "note": "new"}])
    monkeypatch.setattr(Shelves, "get_queryset", lambda self, user: Shelf.objects.exclude(code="A", note="old"))

    undone = undo(done.operation, user)

    assert [code for *_, code in undone.codes] == ["FORBIDDEN"]
    assert set(Shelf.objects.values_list("code", "note")) == {("A", "new"), ("B", "old")}


def test_fields_that_the_user_may_not_write_are_not_set_back(bulk, user, tags, monkeypatch):
    rows = [{"name": "t0", "color": "red"}, {"name": "t1", "number": 3}]
    done = bulk(Verb.UPDATE, "tags", rows)
    monkeypatch.setattr(Tags, "writable_fields", lambda self, user: ("name", "number"), raising=False)

    undone = undo(done.operation, user)

    assert [code for *_, code in undone.codes] == ["FORBIDDEN"]
    assert set(Tag.objects.exclude(color="", number=None).values_list("name", flat=True)) == {"t0"}


def accepted(user: Any, rows: list[dict[str, Any]]) -> Operation:
    inputs = [InputRequest(resource=resource_named("tags"), rows=rows)]
    operation, _ = accept(BulkRequest(verb=Verb.UPSERT, user=user, inputs=inputs, mode=Mode.ASYNC, chunk_size=2))
    return operation


@pytest.mark.parametrize("end", [steering.cancel, lambda pk: endings.fail(pk, "enough")], ids=["canceled", "failed"])
def test_of_an_operation_that_ended_early_what_was_written_is_undone(user, tags, end):
    operation = accepted(user, [{"name": f"t{n}", "color": "red"} for n in range(2, 8)])
    ids = list(operation.chunks.order_by("number").values_list("pk", flat=True))
    for chunk_id in ids[:2]:
        steps.write_chunk(chunk_id, dispatches=False)
    end(operation.pk)
    operation.refresh_from_db()
    assert Tag.objects.filter(color="red").count() == 4

    undone = undo(operation, user)

    assert sorted(undone.outcomes) == ["DELETED"] * 2 + ["UPDATED"] * 2
    assert list(Tag.objects.order_by("pk").values_list("name", "color")) == [(f"t{n}", "") for n in range(4)]


def test_an_operation_that_goes_on_is_waited_for(user, tags):
    operation = accepted(user, [{"name": "new"}])

    with pytest.raises(BadInput, match="wait until it is over"):
        undo(operation, user)


def test_a_resource_that_keeps_no_images_says_so(bulk, user, tags, monkeypatch):
    monkeypatch.setattr(Tags, "keeps_images", False)
    done = bulk(Verb.UPDATE, "tags", [{"name": "t0", "color": "red"}])

    with pytest.raises(BadInput, match="tags does not keep images of its rows"):
        undo(done.operation, user)


def test_a_revert_is_retried_and_reverted_again_for_what_it_left(bulk, user, tags):
    done = bulk(Verb.UPDATE, "tags", [{"name": f"t{n}", "color": "red"} for n in range(4)])
    Tag.objects.filter(name="t1").update(number=7)
    first = undo(done.operation, user)
    assert heaps(first.operation) == Heaps(undone=3, changed_since=1, impossible=0)
    Tag.objects.filter(name="t2").update(color="blue")

    again = retry(first.operation, user)
    running.write_now(again)
    forced = undo(done.operation, user, forces=True)

    assert [code for *_, code in Done(again).codes] == ["CONFLICT"]
    assert forced.outcomes == ["UPDATED"]
    assert set(Tag.objects.values_list("name", "color")) == {("t0", ""), ("t1", ""), ("t2", "blue"), ("t3", "")}


def test_rows_that_need_approval_are_reverted_and_retried_by_plans_alone(bulk, user, tags, monkeypatch):
    done = bulk(Verb.UPDATE, "tags", [{"name": "t0", "color": "red"}, {"name": "t1", "color": "red"}])
    Tag.objects.filter(name="t1").update(number=7)
    first = undo(done.operation, user)
    monkeypatch.setattr(Tags, "approval", Approval.BY_ANOTHER)

    for again in (undo, retry):
        with pytest.raises(Forbidden, match="Rows of tags are written by plans that another user applies"):
            again(first.operation if again is retry else done.operation, user)
    assert undo(done.operation, user, dry_run=True).codes == [(0, None, "CONFLICT")]
    assert Tag.objects.get(name="t1").color == "red"


def test_the_same_key_gives_the_first_revert(bulk, user, tags):
    done = bulk(Verb.UPDATE, "tags", [{"name": "t0", "color": "red"}])
    first = undo(done.operation, user, idempotency_key="k")

    assert undo(done.operation, user, idempotency_key="k").operation == first.operation
    with pytest.raises(IdempotencyConflict):
        undo(done.operation, user, idempotency_key="k", forces=True)
    with pytest.raises(IdempotencyConflict):
        undo(done.operation, user, idempotency_key="k", max_rows_per_second=9)


def test_the_same_key_gives_the_first_revert_to_who_asked_at_the_same_moment(bulk, user, tags):
    done = bulk(Verb.UPDATE, "tags", [{"name": "t0", "color": "red"}])
    at_once = Barrier(2)

    def reverted(_: int) -> Operation:
        try:
            at_once.wait(10)
            return revert(done.operation, user, RevertOptions(idempotency_key="k"))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(reverted, range(2))

    assert one == two
    assert done.operation.reverts.count() == 1


def test_a_revert_keeps_what_it_needs_from_the_purge(bulk, user, tags):
    done = bulk(Verb.UPDATE, "tags", [{"name": "t0", "color": "red"}])
    again = revert(done.operation, user, RevertOptions(mode=Mode.ASYNC))
    Operation.objects.filter(pk=done.operation.pk).update(finished_at="2000-01-01T00:00:00Z")

    assert purge_operations() == 0
    running.write_now(again)
    assert purge_operations() == 1
    assert Operation.objects.get(pk=again.pk).state == State.COMPLETED


def test_images_that_are_gone_are_told_row_by_row(bulk, user, tags):
    done = bulk(Verb.UPDATE, "tags", [{"name": "t0", "color": "red"}, {"name": "t1", "color": "red"}])
    again = revert(done.operation, user, RevertOptions(mode=Mode.ASYNC))
    Chunk.objects.filter(operation=done.operation).update(images=None)

    running.write_now(again)

    assert [code for *_, code in Done(again).codes] == ["REJECTED"] * 2
    assert heaps(again) == Heaps(undone=0, changed_since=0, impossible=2)


REVERT = """mutation Undo($id: ID!, $force: Boolean! = false) {
  revertOperation(id: $id, force: $force, options: {label: "back"}) {
    kind state revertOf label total updated failed reverted { undone changedSince impossible }
    rowErrors { edges { node { code data } } } files { name }
  }
}"""


def test_over_graphql(ask, bulk, user, tags):
    done = bulk(Verb.UPDATE, "tags", [{"name": f"t{n}", "color": "red"} for n in range(3)])
    Tag.objects.filter(name="t2").update(color="blue")

    answer = ask(user, REVERT, id=str(done.operation.id))["revertOperation"]

    names = [file["name"] for file in answer.pop("files")]
    assert names == ["results.csv", "results.ndjson", "results.parquet"]
    assert answer == {
        "kind": "REVERT",
        "state": "COMPLETED",
        "revertOf": str(done.operation.id),
        "label": "back",
        "total": 3,
        "updated": 2,
        "failed": 1,
        "reverted": {"undone": 2, "changedSince": 1, "impossible": 0},
        "rowErrors": {"edges": [{"node": {"code": "CONFLICT", "data": str(tags[2].pk)}}]},
    }
    assert ask(user, REVERT, id=str(done.operation.id), force=True)["revertOperation"]["updated"] == 1
