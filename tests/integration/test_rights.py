"""A value is shown, filtered by, written or deleted only by those who have the right to do so."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.core.files.base import ContentFile

from bulkql.schema.schema import schema
from bulkql.workers.enums import OnError, Verb
from bulkql.workers.errors import BadInput, Forbidden
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.operations import running
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.writers import cascades
from tests.conftest import Done
from tests.integration.conftest import Refused
from tests.integration.writers import LANES, take_lane
from tests.zoo.bulk import Shelves, Tags, Toys
from tests.zoo.models import Note, Seal, Shelf, Tag, Toy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=LANES)
def _lane(request, monkeypatch):
    """All writers."""
    take_lane(request.param, monkeypatch)


@pytest.fixture
def clerk(user, django_user_model):
    """A user with just these permissions: clerk("change_toy")."""

    def make(*codenames):
        one = django_user_model.objects.create_user("-".join(codenames))
        one.user_permissions.set(Permission.objects.filter(codename__in=codenames, content_type__app_label="zoo"))
        return django_user_model.objects.get(pk=one.pk)

    return make


def run(user, verb, name, rows=None, match_by=None, **options):
    how = {name: options.pop(name) for name in ("queryset", "content", "file_options") if name in options}
    update_fields = options.pop("update_fields", None)
    inputs = [
        InputRequest(resource=resource_named(name), rows=rows, match_by=match_by, update_fields=update_fields, **how)
    ]
    return Done(running.run(BulkRequest(verb=verb, user=user, inputs=inputs, **{"mode": Mode.SYNC, **options})))


@pytest.fixture
def _shelves():
    """A shelf with two toys, of which one is sealed, and an empty one."""
    full, _ = (Shelf.objects.create(code=code) for code in ("F", "E"))
    for sku in "ab":
        Toy.objects.create(sku=sku, name="old", price="9.99", shelf=full)
    Seal.objects.create(toy=Toy.objects.get(sku="b"))


# -- Django's permissions


@pytest.mark.usefixtures("_shelves")
def test_a_dry_run_shows_what_was_there_to_those_who_may_view_it(clerk):
    row = [{"sku": "a", "name": "new"}]

    blind = run(clerk("change_toy"), Verb.UPDATE, "toys", row, dry_run=True)
    seeing = run(clerk("change_toy", "view_toy"), Verb.UPDATE, "toys", row, dry_run=True)

    assert (blind.outcomes, seeing.outcomes) == (["UPDATED"], ["UPDATED"])
    assert [one.results[0].get("changes") for one in (blind, seeing)] == [None, '[["name", "old", "new"]]']


@pytest.mark.usefixtures("_shelves")
@pytest.mark.parametrize("dry_run", [True, False])
def test_deleting_by_a_filter_takes_the_permission_to_view(ask, clerk, dry_run):
    Seal.objects.all().delete()
    delete = """mutation($dry: Boolean!) {
      bulkDelete(input: {toys: {where: {name: {startsWith: "o"}}}}, options: {dryRun: $dry}) { deleted }
    }"""

    with pytest.raises(Refused) as refused:
        ask(clerk("delete_toy", "delete_seal"), delete, dry=dry_run)
    answer = ask(clerk("delete_toy", "delete_seal", "view_toy"), delete, dry=dry_run)

    assert refused.value.args[0] == [("FORBIDDEN", "Reading toys needs the permission zoo.view_toy.")]
    assert answer == {"bulkDelete": {"deleted": 2}}


@pytest.mark.usefixtures("_shelves")
@pytest.mark.parametrize("options", [{}, {"dry_run": True}, {"on_error": OnError.REJECT_ALL}], ids=str)
def test_nobody_deletes_by_a_cascade_what_he_may_not_delete(clerk, options):
    Seal.objects.all().delete()
    rows = [{"code": "F"}, {"code": "E"}]

    done = run(clerk("delete_shelf"), Verb.DELETE, "shelves", rows, **options)
    with_toys = run(clerk("delete_shelf", "delete_toy"), Verb.DELETE, "shelves", rows[:1], dry_run=True)

    assert done.outcomes == ["FAILED", "SKIPPED" if "on_error" in options else "DELETED"]
    assert [(error["index"], error["code"], error["message"]) for error in done.errors] == [
        (
            0,
            "FORBIDDEN",
            "Rows of zoo.Toy would be deleted along with this shelf, which needs the permission zoo.delete_toy.",
        )
    ]
    assert Shelf.objects.filter(code="F").exists()
    assert Toy.objects.count() == 2
    assert with_toys.outcomes == ["DELETED"]


@pytest.mark.usefixtures("_shelves")
def test_a_cascade_that_no_relation_tells_of_is_refused_too(clerk, monkeypatch):
    """Some ways are known only to Django's collector: generic relations, and trees."""
    Seal.objects.all().delete()
    monkeypatch.setattr(cascades, "cascading", lambda model: [])

    done = run(clerk("delete_shelf"), Verb.DELETE, "shelves", [{"code": "F"}, {"code": "E"}])

    assert (done.outcomes, done.codes) == (["FAILED", "DELETED"], [(0, None, "FORBIDDEN")])
    assert Toy.objects.count() == 2


def test_links_that_a_user_may_not_see_stay_and_are_not_shown(bulk, monkeypatch):
    seen, hidden, new = (Tag.objects.create(name=name) for name in ("seen", "hidden", "new"))
    note = Note.objects.create(title="n")
    note.tags.set([seen, hidden])
    monkeypatch.setattr(Tags, "get_queryset", lambda self, user: Tag.objects.exclude(name="hidden"))

    looked = bulk(Verb.UPDATE, "notes", [{"title": "n", "tags": [str(new.pk)]}], dry_run=True)
    done = bulk(Verb.UPDATE, "notes", [{"title": "n", "tags": [str(new.pk)]}])
    emptied = bulk(Verb.REPLACE, "notes", [{"title": "n", "keepers": []}])

    assert looked.results[0]["changes"] == f'[["tags", "[\\"{seen.pk}\\"]", "[\\"{new.pk}\\"]"]]'
    assert (done.outcomes, emptied.outcomes) == (["UPDATED"], ["UPDATED"])
    assert list(note.tags.all()) == [hidden]


# -- the resource's fields


@pytest.fixture
def _fields(monkeypatch):
    """Prices of toys are written by nobody, their stock is read by nobody."""
    monkeypatch.setattr(Toys, "writable_fields", lambda self, user: ("sku", "name", "stock", "shelf", "place"))
    monkeypatch.setattr(Toys, "readable_fields", lambda self, user: ("sku", "name", "price", "shelf", "place"))
    schema.cache_clear()
    yield
    schema.cache_clear()


@pytest.mark.usefixtures("_lane", "_fields", "_shelves")
@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPDATE, Verb.REPLACE, Verb.UPSERT])
def test_a_field_is_written_by_those_who_may(bulk, verb):
    one, other = "cd" if verb == Verb.CREATE else "ab"

    done = bulk(verb, "toys", [{"sku": one, "name": "new", "price": "1.00"}, {"sku": other, "name": "new"}])

    assert done.outcomes == ["FAILED", "CREATED" if verb == Verb.CREATE else "UPDATED"]
    assert [(error["path"], error["code"], error["message"]) for error in done.errors] == [
        ("price", "FORBIDDEN", "You may not write this field; leave it out.")
    ]
    # A replacement sets what it may, and leaves the price as it is.
    written = Toy.objects.get(sku=other)
    assert (written.name, written.price and str(written.price)) == ("new", None if verb == Verb.CREATE else "9.99")


@pytest.mark.usefixtures("_fields", "_shelves")
def test_a_row_is_found_by_a_field_that_its_user_may_not_write(bulk, monkeypatch):
    monkeypatch.setattr(Toys, "writable_fields", lambda self, user: ("name",))

    found = bulk(Verb.UPDATE, "toys", [{"sku": "a", "name": "new"}])
    created = bulk(Verb.UPSERT, "toys", [{"sku": "z", "name": "new"}])
    gone = bulk(Verb.DELETE, "toys", [{"sku": "a"}])

    assert (found.outcomes, gone.outcomes) == (["UPDATED"], ["DELETED"])
    assert created.codes == [(0, "sku", "FORBIDDEN")]


def file(text, **options):
    return {"content": ContentFile(text, name="toys.csv"), "file_options": FileOptions(**options)}


@pytest.mark.usefixtures("_fields", "_shelves")
def test_a_file_with_a_column_that_its_user_may_not_write_is_refused_before_it_is_read(user):
    csv = file(b"sku,name,Preis\na,new,1.00\n", format=FileFormat.CSV, columns={"Preis": "price"})
    late = file(b'{"sku": "a", "name": "n"}\n' + b'{"sku": "b", "price": "1.00"}\n', format=FileFormat.NDJSON)

    with pytest.raises(BadInput) as refused:
        run(user, Verb.UPDATE, "toys", **csv)
    done = run(user, Verb.UPDATE, "toys", **late)

    assert str(refused.value) == "The file has Preis, which you may not write to toys; leave it out."
    # Lines name their fields themselves: each is looked at.
    assert (done.outcomes, done.codes) == (["UPDATED", "FAILED"], [(1, "price", "FORBIDDEN")])


@pytest.mark.usefixtures("_fields", "_shelves")
def test_what_a_user_may_not_write_or_read_is_no_way_to_write_or_to_find(bulk, monkeypatch):
    with pytest.raises(Forbidden) as updated:
        bulk(Verb.UPSERT, "toys", [{"sku": "a", "name": "n"}], update_fields=["price"])
    monkeypatch.setattr(Toys, "readable_fields", lambda self, user: ("name",))
    with pytest.raises(Forbidden) as matched:
        bulk(Verb.UPDATE, "toys", [{"sku": "a", "name": "n"}])

    assert str(updated.value) == "updateFields of toys names PRICE, which you may not write; leave it out."
    assert str(matched.value) == "toys cannot be matched by SKU: you may not read it. Give another matchBy."


def test_targets_are_not_named_by_what_a_user_may_not_read(bulk, monkeypatch):
    monkeypatch.setattr(Shelves, "readable_fields", lambda self, user: ())
    monkeypatch.setattr(Tags, "readable_fields", lambda self, user: ())
    shelf, tag = Shelf.objects.create(code="A"), Tag.objects.create(name="t")

    toys = bulk(
        Verb.CREATE,
        "toys",
        [{"sku": "a", "name": "n", "shelfBy": {"code": "A"}}, {"sku": "b", "name": "n", "shelf": str(shelf.pk)}],
    )
    notes = bulk(Verb.CREATE, "notes", [{"title": "a", "tagsBy": [{"name": "t"}]}, {"title": "b", "tags": [tag.pk]}])

    assert (toys.outcomes, toys.codes) == (["FAILED", "CREATED"], [(0, "shelfBy.code", "FORBIDDEN")])
    assert (notes.outcomes, notes.codes) == (["FAILED", "CREATED"], [(0, "tagsBy", "FORBIDDEN")])


@pytest.mark.usefixtures("_shelves", "_fields")
def test_lists_differences_filters_and_orders_keep_to_the_fields_that_a_user_may_read(ask, bulk, user):
    assert ask(user, "{ toys(order: {sku: ASC}) { sku stock price shelf { code } } }") == {
        "toys": [{"sku": sku, "stock": None, "price": "9.99", "shelf": {"code": "F"}} for sku in "ab"]
    }
    looked = bulk(Verb.UPDATE, "toys", [{"sku": "a", "name": "new", "stock": 7}], dry_run=True)
    assert looked.results[0]["changes"] == '[["name", "old", "new"]]'

    for query, how in [
        ("{ toys(filters: {stock: {gt: 0}}) { sku } }", "filtered"),
        ("{ toys(filters: {NOT: {OR: {stock: {gt: 0}}}}) { sku } }", "filtered"),
        ("{ toys(order: [{sku: ASC}, {stock: DESC}]) { sku } }", "ordered"),
        ("mutation { bulkDelete(input: {toys: {where: {stock: {gt: 0}}}}) { id } }", "filtered"),
    ]:
        with pytest.raises(Refused) as refused:
            ask(user, query)
        assert refused.value.args[0] == [("FORBIDDEN", f"toys cannot be {how} by stock, which you may not read.")]
    infos = ask(user, "{ bulkResources { name writableFields readableFields } }")["bulkResources"]
    assert next(one for one in infos if one["name"] == "toys") == {
        "name": "toys",
        "writableFields": ["sku", "name", "stock", "shelf", "place"],
        "readableFields": ["sku", "name", "price", "shelf", "place"],
    }


@pytest.mark.usefixtures("_lane")
def test_passwords_are_stored_as_their_hashes_and_read_by_nobody(ask, bulk, user, monkeypatch):
    monkeypatch.setattr(Tags, "written_as", {"color": str.upper})
    schema.cache_clear()
    try:
        done = bulk(Verb.CREATE, "tags", [{"name": "a", "color": "red"}, {"name": "b"}])
        looked = bulk(Verb.UPDATE, "tags", [{"name": "a", "color": "blue", "number": 1}], dry_run=True)
        shown = ask(user, "{ tags { name color } }")
    finally:
        schema.cache_clear()

    assert done.outcomes == ["CREATED", "CREATED"]
    assert list(Tag.objects.order_by("name").values_list("name", "color")) == [("a", "RED"), ("b", "")]
    assert looked.results[0]["changes"] == '[["number", null, "1"]]'
    assert shown == {"tags": [{"name": "a", "color": None}, {"name": "b", "color": None}]}
