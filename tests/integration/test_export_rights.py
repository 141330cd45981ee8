"""Nobody exports what he may not see: rows, fields, and what foreign keys and lists lead to."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission

import bulkql
from bulkql.schema.types import operation_files
from tests.integration.conftest import Refused
from tests.zoo.bulk import Items, Keepers, Shelves, Toys
from tests.zoo.models import Item, Keeper, Note, Shelf, Toy

pytestmark = pytest.mark.django_db

EXPORT = "mutation ($input: BulkExportInput!) { bulkExport(input: $input) { state files { name } } }"


@pytest.fixture
def viewer(django_user_model):
    """May view toys, notes and items; neither shelves, nor tags, nor keepers."""
    user = django_user_model.objects.create_user("viewer")
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_toy", "view_note", "view_item"]))
    return django_user_model.objects.get(pk=user.pk)


def header(operation) -> str:
    return operation.files[0].read().decode().splitlines()[0]


def test_reading_a_resource_takes_its_view_permission(viewer, ask):
    with pytest.raises(Refused) as refused:
        ask(viewer, EXPORT, input={"shelves": {}})

    assert refused.value.args[0] == [("FORBIDDEN", "Reading shelves needs the permission zoo.view_shelf.")]


@pytest.mark.parametrize("name", ["shelf", "shelf.code", "shelf.id"])
def test_a_foreign_key_takes_the_view_permission_of_its_target(viewer, name):
    with pytest.raises(bulkql.Forbidden, match=r"Reading shelves needs the permission zoo\.view_shelf\."):
        bulkql.export(Toy, user=viewer, fields=["sku", name])

    assert header(bulkql.export(Toy, user=viewer)) == "sku,name,price,stock,place"


@pytest.mark.parametrize("name", ["tags", "tags.name"])
def test_a_list_takes_the_view_permission_of_its_targets(viewer, name):
    with pytest.raises(bulkql.Forbidden, match=r"Reading tags needs the permission zoo\.view_tag\."):
        bulkql.export(Note, user=viewer, fields=["title", name])

    assert header(bulkql.export(Note, user=viewer)) == "title,text"


def test_a_field_that_is_not_readable_is_left_out_and_refused_by_name(viewer, monkeypatch, ask):
    monkeypatch.setattr(Items, "readable_fields", lambda self, user: set(self.fields) - {"note", "qty"})

    assert header(bulkql.export(Item, user=viewer)) == "code,name,big,price,ratio,active,day,at,colour"
    with pytest.raises(bulkql.Forbidden, match=r"fields of items names note, which you may not read; leave it out\."):
        bulkql.export(Item, user=viewer, fields=["code", "note"])
    for given in ({"where": {"note": {"exact": "x"}}}, {"order": [{"qty": "ASC"}]}):
        with pytest.raises(Refused) as refused:
            ask(viewer, EXPORT, input={"items": given})
        assert refused.value.args[0][0][0] == "FORBIDDEN"


def test_write_only_fields_are_in_no_file(user, monkeypatch):
    monkeypatch.setattr(Items, "write_only_fields", ("note",))

    assert "note" not in header(bulkql.export(Item, user=user))
    with pytest.raises(bulkql.Forbidden):
        bulkql.export(Item, user=user, fields=["note"])


def test_a_targets_field_that_is_not_readable_is_refused(user, monkeypatch):
    monkeypatch.setattr(Shelves, "readable_fields", lambda self, user: {"code"})

    with pytest.raises(bulkql.Forbidden, match=r"names shelf\.note, which you may not read"):
        bulkql.export(Toy, user=user, fields=["sku", "shelf.note"])


def test_rows_and_targets_are_bounded_by_their_get_queryset(user):
    seen, hidden = Shelf.objects.create(code="a"), Shelf.objects.create(code="b", hidden=True)
    for sku, shelf, is_hidden in (("x", seen, False), ("y", hidden, False), ("z", seen, True)):
        Toy.objects.create(sku=sku, name="n", shelf=shelf, hidden=is_hidden)

    (file,) = bulkql.export(Toy, user=user, fields=["sku", "shelf", "shelf.code"]).files

    assert file.read().decode() == f"sku,shelf,shelf.code\nx,{seen.pk},a\ny,,\n"


def test_members_of_lists_are_bounded_too(user, monkeypatch):
    keepers = [Keeper.objects.create(code=code) for code in ("seen", "unseen")]
    Note.objects.create(title="n").keepers.set(keepers)
    monkeypatch.setattr(Keepers, "get_queryset", lambda self, user: Keeper.objects.filter(code="seen"))

    (file,) = bulkql.export(Note, user=user, fields=["title", "keepers.code"]).files

    assert file.read().decode() == 'title,keepers.code\nn,"[""seen""]"\n'


def test_export_fields_are_the_default(user, viewer, monkeypatch):
    monkeypatch.setattr(Toys, "export_fields", ("sku", "shelf.code"))

    assert header(bulkql.export(Toy, user=user)) == "sku,shelf.code"
    assert header(bulkql.export(Toy, user=viewer)) == "sku"


def test_files_are_for_the_one_who_asked_as_long_as_he_may_view(user, viewer, django_user_model):
    operation = bulkql.export(Item, user=viewer)
    stored = operation._stored
    assert [one.name for one in operation_files(stored, "", viewer)] == ["items.csv"]

    assert operation_files(stored, "", user) == []  # a superuser, whose operation it is not
    viewer.user_permissions.clear()
    assert operation_files(stored, "", django_user_model.objects.get(pk=viewer.pk)) == []


def test_an_export_permission_lets_nobody_upload(viewer, ask):
    with pytest.raises(Refused) as refused:
        ask(viewer, 'mutation { createUpload(name: "a.csv") { id } }')

    assert refused.value.args[0][0][0] == "FORBIDDEN"
