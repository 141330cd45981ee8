"""What a list query tells can be sent back as it is."""

from __future__ import annotations

import pytest

from bulkql.examples.places.models import Country
from bulkql.workers.enums import Verb
from tests.zoo.models import Animal, Keeper, Note, Shelf, Tag, Toy

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


FIELDS = (
    "id big binary boolean char date datetime decimal duration email number address integer json positive shout size "
    "slug plate text time token keeper { id code } born"
)
VALUES = [
    {"char": "ab"},
    {
        "char": "cd",
        "big": 2**63 - 1,
        "binary": b"\x00\xff",
        "date": "0001-01-01",
        "datetime": "9999-12-31T23:59:59.999999Z",
        "decimal": "12.50",
        "duration": "-P3DT04H00M00.000001S",
        "number": -0.1,
        "address": "2001:db8::1",
        "json": {"a": [1, None, "x"]},
        "size": 2,
        "plate": "AB-1",
        "time": "23:59:59.5",
        "keeper_id": "ada",
    },
]


def animals(ask, user, filters=None):
    document = f"query ($filters: AnimalFilter) {{ animals(filters: $filters, order: [{{id: ASC}}]) {{ {FIELDS} }} }}"
    return ask(user, document, filters=filters)["animals"]


@pytest.fixture
def _animals():
    Keeper.objects.create(code="ada")
    for values in VALUES:
        Animal.objects.create(**{name: python_of(name, value) for name, value in values.items()})


def python_of(name, value):
    return value if name in ("binary", "keeper_id") else Animal._meta.get_field(name).to_python(value)


@pytest.mark.usefixtures("_animals")
@pytest.mark.parametrize("match_by", [["id"], ["token"]])
def test_a_page_of_every_field_is_sent_back_and_changes_nothing(ask, bulk, user, match_by):
    read = animals(ask, user)
    sent = [{name: value for name, value in row.items() if name != "id" or match_by == ["id"]} for row in read]

    done = bulk(Verb.UPDATE, "animals", sent, match_by)

    assert done.errors == []
    assert done.outcomes == ["UNCHANGED", "UNCHANGED"]
    assert (read[1]["big"], read[1]["duration"], read[1]["binary"]) == (str(2**63 - 1), "-P3DT04H00M00.000001S", "AP8=")
    assert (read[1]["size"], read[1]["address"], read[1]["keeper"]["code"]) == ("LARGE", "2001:db8::1", "ada")


@pytest.mark.usefixtures("_animals")
def test_a_filter_finds_a_value_as_it_was_told(ask, user):
    _, full = animals(ask, user)
    values = {name: value for name, value in full.items() if name not in ("json", "shout", "email", "slug", "text")}
    keeper = values.pop("keeper")

    for name, value in values.items():
        found = animals(ask, user, {name: {"inList": [value]}})
        assert full["id"] in [one["id"] for one in found], name
    assert [one["id"] for one in animals(ask, user, {"duration": {"lt": "P0D"}})] == [full["id"]]
    assert animals(ask, user, {"keeper": {"exact": keeper["code"]}}) == [full]
    assert animals(ask, user, {"json": {"isNull": False}}) == [full]


def test_a_key_is_told_under_its_own_name_too(ask, user):
    Country.objects.create(iso="LI", iso3="LIE", name="Liechtenstein", continent="EU")

    assert ask(user, "{ countries { pk iso } }") == {"countries": [{"pk": "LI", "iso": "LI"}]}


def test_null_leaves_a_choice_blank(ask, bulk, user, monkeypatch):
    field = Country._meta.get_field("continent")
    monkeypatch.setattr(field, "blank", True)
    row = {"iso": "LI", "iso3": "LIE", "name": "Liechtenstein", "continent": None}

    done = bulk(Verb.CREATE, "countries", [row])

    assert done.errors == []
    assert ask(user, "{ countries { continent } }") == {"countries": [{"continent": None}]}


def test_null_is_as_not_given(ask, user):
    document = """{
      operations(filters: null, order: null, first: null, after: null) {
        totalCount edges { node { rowErrors(first: null) { totalCount } results(first: null) { totalCount } } }
      }
      tags(filters: null, order: null, pagination: null) { name }
    }"""

    assert ask(user, document) == {"operations": {"totalCount": 0, "edges": []}, "tags": []}
    created = ask(
        user, 'mutation { bulkCreate(input: {tags: {rows: [{name: "a"}]}}) { results(first: null) { totalCount } } }'
    )
    assert created == {"bulkCreate": {"results": {"totalCount": 1}}}
