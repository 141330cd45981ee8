"""What get_queryset says of rows holds before a write and after it, whatever the verb and the way."""

from __future__ import annotations

import pytest
from django.db import models

from bulkql.workers.enums import OnError, Verb
from bulkql.workers.intake.requests import Mode
from bulkql.workers.operations import steps
from bulkql.workers.resources.registry import _registry
from bulkql.workers.resources.scope import is_all
from tests.conftest import Done
from tests.integration.writers import LANES, take_lane
from tests.zoo.bulk import Keepers, Notes, Toys
from tests.zoo.models import Keeper, Note, Shelf, Tag, Toy

pytestmark = pytest.mark.django_db(transaction=True)

FORBIDDEN = [(1, None, "FORBIDDEN")]


@pytest.fixture(params=LANES)
def _lane(request, monkeypatch):
    """All writers."""
    take_lane(request.param, monkeypatch)


@pytest.fixture
def _tenant(monkeypatch):
    """A user sees only toys that stand on the shelf A, or on none."""
    Shelf.objects.create(code="A")
    Shelf.objects.create(code="B")
    is_mine = models.Q(shelf__code="A") | models.Q(shelf=None)
    monkeypatch.setattr(Toys, "get_queryset", lambda self, user: Toy.objects.filter(is_mine))


def toys():
    return {toy.sku: (toy.name, toy.shelf and toy.shelf.code) for toy in Toy.objects.select_related("shelf")}


def toy(sku, shelf, name="toy", **fields):
    return {"sku": sku, "name": name, "shelf": str(Shelf.objects.get(code=shelf).pk), **fields}


pytestmark_lanes = pytest.mark.usefixtures("_lane", "_tenant")


@pytestmark_lanes
@pytest.mark.parametrize(
    "options", [{}, {"mode": Mode.ASYNC}, {"on_error": OnError.REJECT_ALL}, {"dry_run": True}], ids=str
)
@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPDATE, Verb.REPLACE, Verb.UPSERT])
def test_rows_are_not_written_where_their_user_could_not_see_them(bulk, verb, options):
    if verb != Verb.CREATE:
        for sku in "xyz":
            Toy.objects.create(sku=sku, name="old", shelf=Shelf.objects.get(code="A"))
    before = toys()

    done = bulk(verb, "toys", [toy("x", "A"), toy("y", "B"), toy("z", "A")], **options)
    for pk in done.operation.chunks.filter(recorded_at=None).values_list("pk", flat=True):
        steps.write_chunk(pk, dispatches=False)
    done = Done(done.operation)

    outcome = "CREATED" if verb == Verb.CREATE else "UPDATED"
    is_rejected = "on_error" in options
    assert done.codes == FORBIDDEN
    if is_rejected:
        assert done.outcomes == ["SKIPPED", "FAILED", "SKIPPED"]
    else:
        assert done.outcomes == [outcome, "FAILED", outcome]
    if is_rejected or "dry_run" in options:
        assert toys() == before
    else:
        assert toys() == {**before, "x": ("toy", "A"), "z": ("toy", "A")}


@pytestmark_lanes
def test_strays_take_their_neighbours_errors_with_them_once(bulk):
    """A chunk with all kinds of bad rows: each has one error, and the good ones are there."""
    Toy.objects.create(sku="own", name="old", shelf=Shelf.objects.get(code="A"))

    rows = [toy("a", "A"), toy("b", "B"), toy("own", "A"), toy("d", "A", stock=-1), toy("e", "B"), toy("f", "A")]
    done = bulk(Verb.CREATE, "toys", rows)

    assert done.outcomes == ["CREATED", "FAILED", "FAILED", "FAILED", "FAILED", "CREATED"]
    assert [(index, code) for index, _, code in done.codes] == [
        (1, "FORBIDDEN"), (2, "ALREADY_EXISTS"), (3, "CONSTRAINT"), (4, "FORBIDDEN"),
    ]  # fmt: skip
    assert sorted(toys()) == ["a", "f", "own"]


@pytestmark_lanes
def test_links_are_what_a_scope_may_look_at(bulk, monkeypatch):
    monkeypatch.setattr(Notes, "get_queryset", lambda self, user: Note.objects.filter(tags__name="mine"))
    mine, other = (Tag.objects.create(name=name) for name in ("mine", "other"))

    done = bulk(Verb.CREATE, "notes", [{"title": "a", "tags": [mine.pk, other.pk]}, {"title": "b", "tags": [other.pk]}])
    moved = bulk(Verb.UPDATE, "notes", [{"title": "a", "tags": [mine.pk]}])
    lost = bulk(Verb.UPDATE, "notes", [{"title": "a", "tags": [other.pk]}])

    assert (done.outcomes, done.codes) == (["CREATED", "FAILED"], FORBIDDEN)
    assert moved.outcomes == ["UPDATED"]
    assert (lost.outcomes, lost.codes) == (["FAILED"], [(0, None, "FORBIDDEN")])
    assert [tag.name for tag in Note.objects.get(title="a").tags.all()] == ["mine"]


def test_a_scope_that_looks_at_other_rows_is_asked_until_it_holds(bulk, monkeypatch):
    """Only the first three keepers may be seen: of ten new ones the others go, as a whole."""

    def get_queryset(self, user):
        return Keeper.objects.filter(pk__in=Keeper.objects.order_by("pk").values("pk")[:3])

    monkeypatch.setattr(Keepers, "get_queryset", get_queryset)

    done = bulk(Verb.CREATE, "keepers", [{"code": f"k{number}"} for number in range(10)])

    assert done.outcomes == ["CREATED"] * 3 + ["FAILED"] * 7
    assert Keeper.objects.count() == 3


class LazyQuery(models.sql.Query):
    """As django-safedelete's: the condition comes with the compiler."""

    def get_compiler(self, *args, **kwargs):
        query = self.clone()
        query.__class__ = models.sql.Query
        query.add_q(models.Q(code__startswith="a"))
        return query.get_compiler(*args, **kwargs)


class LazyQuerySet(models.QuerySet):
    """As older ones: the condition comes when the rows are fetched."""

    def _fetch_all(self):
        if self._result_cache is None:
            self.query.add_q(models.Q(code__startswith="a"))
        super()._fetch_all()


@pytest.fixture(params=["query", "rows"])
def _lazy(request, monkeypatch):
    """A scope that looks like all rows until it is evaluated: codes with an a."""

    def get_queryset(self, user):
        return models.QuerySet(Keeper, query=LazyQuery(Keeper)) if request.param == "query" else LazyQuerySet(Keeper)

    monkeypatch.setattr(Keepers, "get_queryset", get_queryset)
    for code in ("ada", "bob"):
        Keeper.objects.create(code=code)


@pytest.mark.usefixtures("_lane", "_lazy")
def test_a_scope_that_is_known_only_when_it_is_evaluated_holds(bulk):
    ada, bob = Keeper.objects.order_by("code")

    created = bulk(Verb.CREATE, "keepers", [{"code": "alf"}, {"code": "ben"}])
    updated = bulk(Verb.UPDATE, "keepers", [{"id": ada.pk, "code": "abe"}, {"id": bob.pk, "code": "abc"}])
    moved = bulk(Verb.UPDATE, "keepers", [{"id": ada.pk, "code": "cat"}])
    upserted = bulk(Verb.UPSERT, "keepers", [{"code": "bob"}, {"code": "eve"}])
    deleted = bulk(Verb.DELETE, "keepers", [{"id": bob.pk}, {"id": ada.pk}], ["id"])

    assert (created.outcomes, created.codes) == (["CREATED", "FAILED"], FORBIDDEN)
    assert (updated.outcomes, updated.codes) == (["UPDATED", "FAILED"], [(1, "id", "NOT_FOUND")])
    assert (moved.outcomes, moved.codes) == (["FAILED"], [(0, None, "FORBIDDEN")])
    assert upserted.codes == [(0, "code", "FORBIDDEN"), (1, None, "FORBIDDEN")]
    assert (deleted.outcomes, deleted.codes) == (["FAILED", "DELETED"], [(0, "id", "NOT_FOUND")])
    assert sorted(Keeper.objects.values_list("code", flat=True)) == ["alf", "bob"]


@pytest.mark.usefixtures("_lazy")
def test_targets_of_such_a_scope_are_not_named_either(create):
    done = create("animals", [{"char": "ab", "keeper": "ada"}, {"char": "cd", "keeper": "bob"}])

    assert (done.outcomes, done.codes) == (["CREATED", "FAILED"], [(1, "keeper", "REFERENCE_NOT_FOUND")])


@pytest.mark.usefixtures("_lazy")
def test_lists_and_filters_show_what_such_a_scope_does(ask, user):
    delete = 'mutation { bulkDelete(input: {keepers: {where: {code: {contains: "b"}}}}) { deleted failed } }'
    Keeper.objects.create(code="abe")

    assert ask(user, "{ keepers(order: {code: ASC}) { code } }") == {"keepers": [{"code": "abe"}, {"code": "ada"}]}
    assert ask(user, delete) == {"bulkDelete": {"deleted": 1, "failed": 0}}
    assert sorted(Keeper.objects.values_list("code", flat=True)) == ["ada", "bob"]


def test_targets_without_a_resource_are_those_that_the_registration_names(create, monkeypatch):
    monkeypatch.delitem(_registry, Shelf)
    a, b = (Shelf.objects.create(code=code) for code in "AB")
    seen = []

    def get_targets(self, field, user):
        seen.append((field, user.username))
        return Shelf.objects.filter(code="A")

    monkeypatch.setattr(Toys, "get_targets", get_targets)

    done = create("toys", [{"sku": one.code, "name": "n", "shelf": str(one.pk)} for one in (a, b)])

    assert (done.outcomes, done.codes) == (["CREATED", "FAILED"], [(1, "shelf", "REFERENCE_NOT_FOUND")])
    assert seen == [("shelf", "ada")]


def test_plain_managers_are_read_and_not_evaluated():
    class Handy(models.QuerySet):
        def handy(self):
            return self

    assert is_all(Keeper.objects.all())
    assert is_all(Handy(Keeper))
    assert not is_all(LazyQuerySet(Keeper))
    assert not is_all(models.QuerySet(Keeper, query=LazyQuery(Keeper)))
