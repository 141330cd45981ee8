"""What changed behind a plan's back is CONFLICT, and nothing else; what the plan says of all other rows is done."""

from __future__ import annotations

import pytest
from django.db.models import F, Q

import bulkql
from bulkql.workers.resources.registry import resource_named
from tests.integration.test_plans import _patient, asked, fill, table, toys  # noqa: F401
from tests.zoo.models import Keeper, Locker, Note, Shelf, Tag, Toy

pytestmark = pytest.mark.django_db


def one_came_that_is_to_be_new_and_one_changed():
    Toy.objects.create(sku="t11", name="x")
    Toy.objects.filter(pk=1).update(name="new")


def one_went_and_one_changed():
    Toy.objects.filter(pk=2).delete()
    Toy.objects.filter(pk=8).update(price=1)


def missing_rows_changed_and_went_and_one_that_is_to_stay():
    Toy.objects.filter(pk__in=[0, 8]).update(name="new")
    Toy.objects.filter(pk=4).delete()


def children_changed_and_came():
    Toy.objects.filter(pk=3).update(place=F("place") + 100)
    Toy.objects.create(sku="new", name="x", shelf_id=2)


def lists_changed_and_a_target_went():
    Note.objects.get(pk=1).tags.add(2)
    Tag.objects.filter(name="tag0").delete()


#: By request: what happens before it is applied, and the rows that are CONFLICT then.
CASES = {
    "create": (lambda: Toy.objects.create(sku="t11", name="x"), [("toys", 1)]),
    "create for new rows": (lambda: Shelf.objects.create(code="N"), [("shelves", 0), ("toys", 0), ("toys", 1)]),
    "update": (one_went_and_one_changed, [("toys", 2), ("toys", 4)]),
    "replace": (one_went_and_one_changed, [("toys", 2)]),
    "upsert": (one_came_that_is_to_be_new_and_one_changed, [("toys", 2), ("toys", 5)]),
    "delete": (lambda: Toy.objects.filter(pk=7).update(name="new"), [("toys", 1)]),
    "delete by primary key": (one_went_and_one_changed, [("toys", 1)]),
    "delete with cascades": (children_changed_and_came, [("shelves", 0), ("shelves", 1)]),
    "sync": (missing_rows_changed_and_went_and_one_that_is_to_stay, [("toys", 0), ("toys", 6), ("toys", 10)]),
    "lists": (lists_changed_and_a_target_went, [("notes", 0), ("notes", 1)]),
    "trades": (lambda: Locker.objects.filter(pk=2).update(floor=1), [("lockers", 2), ("lockers", 3)]),
}


def became(operation):
    return {(row["resource"], row["index"]): row["outcome"] for row in operation.results()}


def codes(operation):
    return {(row["resource"], row["index"]): row["code"] for row in operation.row_errors()}


@pytest.fixture(params=[bulkql.COPY, bulkql.SAVE], ids=str)
def lane(request, monkeypatch):
    for name in ("shelves", "toys", "lockers", "notes"):
        monkeypatch.setattr(type(resource_named(name)), "writes", request.param)
    return request.param


@pytest.mark.parametrize("case", CASES)
def test_rows_that_changed_are_the_conflicts(user, lane, case):
    happens, conflicts = CASES[case]
    fill()
    plan = asked(case, user, chunk_size=3, dry_run=True)
    planned, failed = became(plan), codes(plan)
    # Rows that failed in the plan cannot come to be in conflict: in the lane SAVE no row of a trade is good.
    conflicts = [row for row in conflicts if row not in failed]
    if lane == bulkql.SAVE and case == "create for new rows":
        # Nobody reserved a key for the shelf: that of the same name is as good.
        conflicts = [("shelves", 0)]

    happens()
    applied = bulkql.apply(plan, user=user)

    assert codes(applied) == failed | dict.fromkeys(conflicts, "CONFLICT")
    assert became(applied) == planned | dict.fromkeys(conflicts, "FAILED")


def test_one_conflict_keeps_all_out_under_reject_all(user):
    fill()
    plan = bulkql.update(Toy, toys(0, 1, 2), user=user, on_error="REJECT_ALL", dry_run=True)
    Toy.objects.filter(pk=1).update(name="new")
    before = table()

    applied = bulkql.apply(plan, user=user)

    assert (applied.state, applied.failed, applied.skipped) == ("FAILED", 1, 2)
    assert codes(applied) == {("toys", 1): "CONFLICT"}
    assert table() == before


def test_a_row_that_would_become_something_else_is_taken_back_and_its_neighbours_stay(user, monkeypatch):
    """A rule of the resource looks at more than the row."""
    fill()
    monkeypatch.setattr(
        type(resource_named("shelves")),
        "before_write",
        lambda self, rows: rows.with_columns(note=rows["note"].replace({"n1": note})),
    )
    note = ""
    plan = bulkql.update(Shelf, [{"code": "S0", "note": "n0"}, {"code": "S1", "note": "n1"}], user=user, dry_run=True)
    note = "x"

    applied = bulkql.apply(plan, user=user)

    assert became(plan) == {("shelves", 0): "UPDATED", ("shelves", 1): "UNCHANGED"}
    assert codes(applied) == {("shelves", 1): "CONFLICT"}
    (error,) = applied.row_errors()
    assert error["message"] == "This shelf would be UPDATED now, and the plan says UNCHANGED."
    assert sorted(Shelf.objects.values_list("code", "note")) == [("S0", "n0"), ("S1", ""), ("S2", "")]


def test_messages_say_what_happened(user):
    fill()
    rows = [
        {"sku": "t1", "name": "x"},
        {"sku": "t2", "name": "x"},
        {"sku": "new", "name": "x"},
        {"sku": "t3", "shelf": 1},
    ]
    plan = bulkql.upsert(Toy, [*rows[:3], rows[3] | {"name": "x", "place": 50}], user=user, dry_run=True)
    Toy.objects.filter(pk=1).update(stock=7)
    Toy.objects.filter(pk=2).delete()
    Toy.objects.create(sku="new", name="y")
    Toy.objects.filter(pk=4).update(place=50)

    applied = bulkql.apply(plan, user=user)

    assert [(row["index"], row["path"], row["message"]) for row in applied.row_errors()] == [
        (0, None, "This toy has changed since the plan was made."),
        (1, None, "The toy that the plan found no longer exists, or you may not see it."),
        (2, None, "The plan found no toy with this key, and now there is one."),
        (3, None, "Not as planned: Another toy with this shelf and place already exists."),
    ]


def test_messages_tell_what_goes_along_from_the_row_itself(user):
    fill()
    deletes = bulkql.delete(Shelf, [0, 1], user=user, dry_run=True)
    lists = bulkql.update(Note, [{"title": "note0", "text": "x"}], user=user, match_by=["title"], dry_run=True)
    names = bulkql.update(Toy, [{"sku": "t8", "name": "x"}], user=user, dry_run=True)
    Toy.objects.filter(pk=0).update(stock=7)
    Shelf.objects.filter(pk=1).update(note="x")
    Note.objects.get(pk=0).tags.add(2)
    Toy.objects.filter(pk=8).delete()
    Toy.objects.create(pk=9, sku="t8", name="n8")

    told = [row["message"] for plan in (deletes, lists, names) for row in bulkql.apply(plan, user=user).row_errors()]

    assert told == [
        "Rows that would be deleted along with this shelf have changed since the plan was made.",
        "This shelf has changed since the plan was made.",
        "A list of this note has changed since the plan was made.",
        "Another toy has this key now than when the plan was made.",
    ]


def test_rows_of_the_plan_that_failed_are_not_written_though_they_would_be_good_by_now(user):
    fill()
    rows = [{"sku": "u", "name": "x", "shelf_by": {"code": "late"}}, {"sku": "v", "name": "x"}]
    plan = bulkql.create(Toy, rows, user=user, dry_run=True)
    Shelf.objects.create(code="lat")
    Shelf.objects.filter(code="lat").update(code="S9")
    told = list(plan.row_errors())

    applied = bulkql.apply(plan, user=user)

    assert list(applied.row_errors()) == told
    assert not Toy.objects.filter(sku="u").exists()
    assert Toy.objects.filter(sku="v").exists()


def test_a_name_that_means_another_row_by_now_is_a_conflict(user):
    fill()
    rows = [
        {"sku": "u", "name": "x", "shelf_by": {"code": "S1"}},
        {"sku": "v", "name": "x", "shelf_by": {"code": "S2"}},
    ]
    plan = bulkql.upsert(Toy, rows, user=user, dry_run=True)
    lists = [{"title": f"note{n}", "tags_by": [{"name": f"tag{n}"}]} for n in range(3)]
    of_lists = bulkql.upsert(Note, lists, user=user, dry_run=True)
    for model, name, value in ((Shelf, "code", "S1"), (Tag, "name", "tag1")):
        model.objects.filter(pk=1).update(**{name: "old"})
        model.objects.create(pk=50, **{name: value})

    applied, lists_applied = bulkql.apply(plan, user=user), bulkql.apply(of_lists, user=user)

    assert became(applied) == {("toys", 0): "FAILED", ("toys", 1): "CREATED"}
    assert codes(applied) == {("toys", 0): "CONFLICT"}
    assert codes(lists_applied) == {("notes", 1): "CONFLICT"}


@pytest.mark.parametrize("is_hidden", [True, False])
def test_a_row_that_appeared_where_the_user_may_not_write_it_is_a_conflict(user, lane, is_hidden):
    """Outside of get_queryset, or of the `where` of a sync."""
    fill()
    rows = [{"sku": "t0", "name": "x"}, {"sku": "new", "name": "x"}]
    plan = bulkql.sync(Toy, rows, user=user, where=Q(stock=0), dry_run=True)
    Toy.objects.create(sku="new", name="y", hidden=is_hidden, stock=0 if is_hidden else 1)

    applied = bulkql.apply(plan, user=user)

    assert became(applied) == became(plan) | {("toys", 1): "FAILED"}
    (error,) = applied.row_errors()
    told = "The plan found no toy with this key, and now there is one."
    assert (error["index"], error["path"], error["code"], error["message"]) == (1, None, "CONFLICT", told)
    assert Toy.objects.get(sku="new").name == "y"


def test_a_row_that_the_user_may_not_see_any_more_is_a_conflict(user, lane):
    fill()
    plan = bulkql.upsert(Toy, [{"sku": "t0", "name": "x"}], user=user, dry_run=True)
    Toy.objects.filter(sku="t0").update(hidden=True)

    applied = bulkql.apply(plan, user=user)

    (error,) = applied.row_errors()
    told = "The toy that the plan found no longer exists, or you may not see it."
    assert (error["code"], error["message"]) == ("CONFLICT", told)


def test_of_many_rows_exactly_those_that_changed_conflict(user):
    count = 2_000
    Keeper.objects.bulk_create(Keeper(code=f"k{n}") for n in range(count))
    rows = [{"code": f"k{n}"} for n in range(count // 2, count + count // 2)]
    plan = bulkql.upsert(Keeper, rows, user=user, chunk_size=500, dry_run=True)
    changed = [f"k{n}" for n in range(count - 70, count, 3)]
    came = [f"k{n}" for n in range(count + 5, count + 15)]
    Keeper.objects.filter(code__in=changed).delete()
    Keeper.objects.bulk_create(Keeper(code=code) for code in [*changed, *came])

    applied = bulkql.apply(plan, user=user)

    conflicts = {rows[row["index"]]["code"] for row in applied.row_errors() if row["code"] == "CONFLICT"}
    assert conflicts == {*changed, *came}
    assert (applied.failed, applied.created) == (len(conflicts), count // 2 - len(came))
    assert applied.unchanged == count // 2 - len(changed)
