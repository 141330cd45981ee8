"""Foreign keys and lists: read as the rows that they lead to, filtered by their keys, within what may be seen."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bulkql.schema.context import Context
from bulkql.schema.failures import coded
from bulkql.schema.schema import schema
from bulkql.workers.conf import limits
from bulkql.workers.resources.registry import _registry
from tests.integration.conftest import Refused
from tests.zoo.bulk import Shelves, Tags
from tests.zoo.models import Folder, Keeper, Note, Shelf, Tag, Toy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def toys():
    """Toys a and b on the shelf A, c on the hidden shelf B, d on none."""
    shelves = {code: Shelf.objects.create(code=code, hidden=code == "B") for code in "AB"}
    for sku, code in (("a", "A"), ("b", "A"), ("c", "B"), ("d", None)):
        Toy.objects.create(sku=sku, name="n", shelf=shelves[code] if code else None)
    return shelves


@pytest.fixture
def notes():
    """A note with tags a and b, one with b, one without any."""
    tags = {name: Tag.objects.create(name=name, color="red", number=place) for place, name in enumerate("abc")}
    for title, names in (("ab", "ab"), ("b", "b"), ("none", "")):
        Note.objects.create(title=title).tags.set([tags[name] for name in names])
    return tags


def found(ask, user, name, key, filters):
    kind = {"toys": "Toy", "notes": "Note", "folders": "Folder"}[name]
    document = f"query ($filters: {kind}Filter) {{ {name}(filters: $filters, order: [{{{key}: ASC}}]) {{ {key} }} }}"
    return [row[key] for row in ask(user, document, filters=filters)[name]]


def refused(ask, user, document, **variables):
    with pytest.raises(Refused) as caught:
        ask(user, document, **variables)
    return caught.value.args[0]


def answer(user: Any, document: str) -> tuple[Any, list[tuple[str, list[Any]]]]:
    """The data, and the code and path of each error."""
    result = async_to_sync(schema().execute)(document, context_value=Context(request=None, user=user))
    return result.data, [(coded(error).extensions["code"], error.path) for error in result.errors or ()]


# -- filters


def test_foreign_keys_are_filtered_by_id_by_key_and_by_whether_there_is_one(ask, user, toys):
    a, b = (str(toys[code].pk) for code in "AB")

    for filters, expected in [
        ({"exact": a}, ["a", "b"]),
        ({"inList": [a, "0"]}, ["a", "b"]),
        ({"code": {"exact": "A"}}, ["a", "b"]),
        ({"code": {"startsWith": "a"}}, []),
        ({"exact": a, "code": {"exact": "A"}}, ["a", "b"]),
        ({"pk": a}, ["a", "b"]),
        ({"pk": b}, []),
        ({"isNull": False}, ["a", "b"]),
        # Whoever may not see a shelf finds nothing by it: where rows are read, it is null.
        ({"isNull": True}, ["c", "d"]),
        ({"exact": b}, []),
        ({"inList": [b]}, []),
        ({"code": {"exact": "B"}}, []),
        ({"code": {"regex": "B"}}, []),
        ({}, ["a", "b", "c", "d"]),
    ]:
        assert found(ask, user, "toys", "sku", {"shelf": filters}) == expected, filters
    assert found(ask, user, "toys", "sku", {"NOT": {"shelf": {"code": {"exact": "B"}}}}) == ["a", "b", "c", "d"]
    assert found(ask, user, "toys", "sku", {"NOT": {"shelf": {"exact": a}}}) == ["c", "d"]


def test_lists_are_filtered_by_their_members_and_count_once(ask, user, notes, monkeypatch):
    a, b = (str(notes[name].pk) for name in "ab")

    def by(filters):
        return found(ask, user, "notes", "title", {"tags": filters})

    assert by({"exact": a}) == ["ab"]
    assert by({"inList": [a, b]}) == ["ab", "b"]
    assert by({"name": {"inList": ["a", "b"]}}) == ["ab", "b"]
    assert by({"color": {"exact": "red"}, "number": {"exact": 0}}) == ["ab"]
    assert by({"isNull": True}) == ["none"]
    assert by({"isNull": False}) == ["ab", "b"]
    assert found(ask, user, "notes", "title", {"NOT": {"tags": {"exact": a}}}) == ["b", "none"]

    monkeypatch.setattr(Tags, "get_queryset", lambda self, user: Tag.objects.exclude(name="b"))
    assert (by({"exact": b}), by({"name": {"exact": "b"}}), by({"isNull": True})) == ([], [], ["b", "none"])


def test_a_reference_is_no_way_around_rights(ask, user, toys, django_user_model, monkeypatch):
    from django.contrib.auth.models import Permission

    clerk = django_user_model.objects.create_user("clerk")
    clerk.user_permissions.set(Permission.objects.filter(codename="view_toy"))
    by_code = 'query { toys(filters: {NOT: {shelf: {code: {startsWith: "A"}}}}) { sku } }'
    by_id = "query { toys(filters: {shelf: {isNull: true}}) { sku } }"

    message = "Reading shelves needs the permission zoo.view_shelf."
    assert refused(ask, clerk, by_code) == [("FORBIDDEN", message)]
    assert refused(ask, clerk, by_id) == [("FORBIDDEN", message)]
    monkeypatch.setattr(Shelves, "readable_fields", lambda self, user: ("note",))
    assert refused(ask, user, by_code) == [
        ("FORBIDDEN", "toys cannot be filtered by shelf.code, which you may not read.")
    ]
    assert len(ask(user, by_id)["toys"]) == 2


DELETE = "mutation ($where: ToyFilter) { bulkDelete(input: {toys: {where: $where}}) { deleted } }"


@pytest.mark.parametrize(
    "shelf", [{}, {"code": {}}, {"code": {"contains": ""}}, {"exact": None}, {"code": {"exact": None}}]
)
def test_a_reference_that_says_nothing_deletes_nothing(ask, user, toys, shelf):
    ((code, _),) = refused(ask, user, DELETE, where={"shelf": shelf})

    assert code == "BAD_INPUT"
    assert Toy.objects.count() == 4


def test_rows_are_deleted_by_what_they_point_to(ask, user, toys):
    assert ask(user, DELETE, where={"shelf": {"code": {"exact": "A"}}})["bulkDelete"]["deleted"] == 2
    assert sorted(Toy.objects.values_list("sku", flat=True)) == ["c", "d"]


@pytest.mark.parametrize(
    ("shelf", "message"),
    [
        ({"exact": "x"}, "toys.filters.shelf.exact: Field 'id' expected a number but got 'x'."),
        ({"inList": ["1", "x"]}, "toys.filters.shelf.inList: Field 'id' expected a number but got 'x'."),
        ({"code": {"regex": "("}}, "toys.filters: "),
    ],
)
def test_a_key_that_is_none_is_bad_input_with_its_path(ask, user, toys, shelf, message):
    ((code, text),) = refused(ask, user, "query ($f: ToyFilter) { toys(filters: $f) { sku } }", f={"shelf": shelf})

    assert (code, text.startswith(message)) == ("BAD_INPUT", True), text


# -- reading


def test_references_to_the_own_table_are_read_to_any_depth(ask, user):
    root = Folder.objects.create(name="root")
    Folder.objects.create(name="leaf", parent=Folder.objects.create(name="branch", parent=root))

    read = ask(
        user, '{ folders(filters: {name: {exact: "leaf"}}) { parent { name parent { name parent { name } } } } }'
    )

    assert read == {"folders": [{"parent": {"name": "branch", "parent": {"name": "root", "parent": None}}}]}
    assert found(ask, user, "folders", "name", {"parent": {"name": {"exact": "root"}}}) == ["branch"]


def test_lists_are_read_as_their_rows_without_those_that_are_hidden(ask, user, notes, monkeypatch):
    monkeypatch.setattr(Tags, "get_queryset", lambda self, user: Tag.objects.exclude(name="a"))

    assert ask(user, "{ notes(order: [{title: ASC}]) { title tags { name } } }") == {
        "notes": [
            {"title": "ab", "tags": [{"name": "b"}]},
            {"title": "b", "tags": [{"name": "b"}]},
            {"title": "none", "tags": []},
        ]
    }


def test_a_list_whose_rows_may_not_be_viewed_is_null_with_an_error(django_user_model, notes):
    from django.contrib.auth.models import Permission

    clerk = django_user_model.objects.create_user("clerk")
    clerk.user_permissions.set(Permission.objects.filter(codename="view_note"))

    data, errors = answer(clerk, '{ notes(filters: {title: {exact: "b"}}) { title tags { name } } }')

    assert data == {"notes": [{"title": "b", "tags": None}]}
    assert errors == [("FORBIDDEN", ["notes", 0, "tags"])]


def test_statements_do_not_grow_with_rows_or_members(ask, user, notes):
    document = "{ notes { title tags(pagination: {limit: 2}) { name } keepers { code } } toys { shelf { code } } }"

    def statements():
        with CaptureQueriesContext(connection) as seen:
            ask(user, document)
        return len(seen)

    few = statements()
    for number in range(30):
        Note.objects.create(title=f"n{number}").tags.set(notes.values())
    assert statements() == few


def test_a_list_is_told_as_a_whole_or_in_pages(ask, user, notes):
    most = limits().default_page_rows
    Note.objects.get(title="none").tags.set(
        Tag.objects.bulk_create(Tag(name=f"t{number}", color="blue", number=number) for number in range(most + 1))
    )

    data, errors = answer(user, "{ notes(order: [{title: ASC}]) { title tags { name } } }")
    document = '{ notes(filters: {title: {exact: "none"}}) { tags(pagination: {offset: 99, limit: 5}) { name } } }'
    pages = ask(user, document)

    assert [row["tags"] and len(row["tags"]) for row in data["notes"]] == [2, 1, None]
    assert errors == [("LIMIT_EXCEEDED", ["notes", 2, "tags"])]
    assert [one["name"] for one in pages["notes"][0]["tags"]] == ["t99", "t100"]


def test_two_ways_at_once_are_refused_and_one_way_twice_is_not(user, notes):
    _, same = answer(user, "{ notes { a: tags { name } b: tags { id } } }")
    _, two = answer(user, "{ notes { a: tags(pagination: {limit: 1}) { name } b: tags { id } } }")

    assert same == []
    assert {code for code, _ in two} == {"BAD_INPUT"}


def test_targets_without_a_resource_are_told_by_their_keys(ask, user, monkeypatch):
    ada = Keeper.objects.create(code="ada")
    for title in "ab":
        Note.objects.create(title=title).keepers.add(ada)
    monkeypatch.delitem(_registry, Keeper)
    schema.cache_clear()
    try:
        assert ask(user, "{ notes { keepers } }") == {"notes": [{"keepers": [str(ada.pk)]}] * 2}
        assert found(ask, user, "notes", "title", {"keepers": {"exact": str(ada.pk)}}) == ["a", "b"]
        assert found(ask, user, "notes", "title", {"keepers": {"isNull": True}}) == []
    finally:
        monkeypatch.undo()
        schema.cache_clear()
