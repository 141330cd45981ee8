"""What a list query tells can be sent back as it is."""

from __future__ import annotations

import pytest

from bulkql.workers.enums import Verb
from tests.zoo.models import Keeper, Note, Shelf, Tag, Toy

pytestmark = pytest.mark.django_db(transaction=True)


def test_names_of_types_are_no_fields(bulk):
    tag = Tag.objects.create(name="t")
    rows = [
        {"__typename": "Note", "title": "a", "tagsBy": [{"__typename": "Tag", "name": "t"}]},
        {"__typename": "Note", "title": "b"},
    ]

    notes = bulk(Verb.CREATE, "notes", rows)
    shelf = Shelf.objects.create(code="A")
    toys = bulk(
        Verb.CREATE,
        "toys",
        [{"__typename": "Toy", "sku": "a", "name": "n", "shelfBy": {"__typename": "Shelf", "code": "A"}}],
    )

    assert (notes.errors, toys.errors) == ([], [])
    assert list(Note.objects.get(title="a").tags.all()) == [tag]
    assert Toy.objects.get().shelf == shelf


def test_objects_that_were_read_stand_for_their_keys(bulk):
    tag, keeper, shelf = Tag.objects.create(name="t"), Keeper.objects.create(code="ada"), Shelf.objects.create(code="A")
    read = {"__typename": "Tag", "id": str(tag.pk), "name": "t"}

    notes = bulk(Verb.CREATE, "notes", [{"title": "a", "tags": [read, str(tag.pk)], "keepers": []}, {"title": "b"}])
    toys = bulk(Verb.CREATE, "toys", [{"sku": "a", "name": "n", "shelf": {"id": str(shelf.pk), "code": "A"}}])
    animals = bulk(Verb.CREATE, "animals", [{"char": "ab", "keeper": {"id": str(keeper.pk), "code": "ada"}}])
    wrong = bulk(Verb.CREATE, "toys", [{"sku": "b", "name": "n", "shelf": {"code": "A"}}])

    assert (notes.errors, toys.errors, animals.errors) == ([], [], [])
    assert wrong.codes == [(0, "shelf", "INVALID")]
