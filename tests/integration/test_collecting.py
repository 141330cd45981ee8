"""What goes along with deleted rows is what Django's own collector takes, in statements that do not grow with rows."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.models import ProtectedError
from django.db.models.signals import post_delete
from django.test.utils import CaptureQueriesContext

from bulkql.workers.writers.collecting import KeyCollector
from tests.zoo.models import Animal, Folder, Keeper, Locker, Note, Seal, Shelf, Tag, Toy

pytestmark = pytest.mark.django_db


def keepers(count: int) -> list[Keeper]:
    """Keepers, each with two animals that point to its code, with a locker and with a note."""
    found = Keeper.objects.bulk_create(Keeper(code=f"k{number}") for number in range(count))
    Animal.objects.bulk_create(Animal(char="ab", keeper=one) for one in found for _ in range(2))
    Locker.objects.bulk_create(
        Locker(number=one.pk, keeper=one, place=one.pk, label=f"l{one.pk}", badge=f"b{one.pk}") for one in found
    )
    links = Note.keepers.through
    note = Note.objects.create(title=f"note {count}")
    links.objects.bulk_create(links(note=note, keeper=one) for one in found)
    return found


def left() -> list[int]:
    models = (Keeper, Animal, Locker, Note, Note.keepers.through, Folder)
    return [model._base_manager.count() for model in models]


def deleted(model, rows):
    counts = KeyCollector("default", model, [one.pk for one in rows]).delete_rows()
    return {label.rpartition(".")[2]: count for label, count in counts.items() if count}


def test_cascades_by_primary_and_by_other_keys_and_links_go_along():
    first, *others = keepers(4)

    assert deleted(Keeper, others) == {"Keeper": 3, "Animal": 6, "Locker": 3, "Note_keepers": 3}
    assert left() == [1, 2, 1, 1, 1, 0]
    assert Animal.objects.filter(keeper=first).count() == 2


def test_rows_of_the_same_table_that_go_along_are_counted_and_gone():
    root = Folder.objects.create(name="root")
    child = Folder.objects.create(name="child", parent=root)
    Folder.objects.create(name="grandchild", parent=child)
    Folder.objects.create(name="other")

    assert deleted(Folder, [root]) == {"Folder": 3}
    assert list(Folder.objects.values_list("name", flat=True)) == ["other"]


def test_what_is_protected_further_down_stays_with_all_that_leads_there():
    shelf = Shelf.objects.create(code="S")
    toy = Toy.objects.create(sku="t", name="n", shelf=shelf)
    Seal.objects.create(toy=toy)

    with pytest.raises(ProtectedError):
        deleted(Shelf, [shelf])

    assert Toy.objects.filter(pk=toy.pk).exists()


def test_listeners_get_whole_instances():
    tag = Tag.objects.create(name="a", color="red", number=7)
    heard = []

    def listen(instance, **kwargs):
        heard.append((instance.name, instance.color, instance.number))

    post_delete.connect(listen, sender=Tag)
    try:
        deleted(Tag, [tag])
    finally:
        post_delete.disconnect(listen, sender=Tag)

    assert heard == [("a", "red", 7)]
    assert not Tag.objects.exists()


@pytest.mark.postgresql
def test_statements_do_not_grow_with_the_rows():
    def statements(count):
        rows = keepers(count)
        with CaptureQueriesContext(connection) as asked:
            deleted(Keeper, rows)
        return len(asked)

    assert statements(5) == statements(500)
