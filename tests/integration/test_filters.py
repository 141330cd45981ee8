"""Filters: what says nothing deletes nothing, and what the database does not take is told with its place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import pytest

from bulkql.workers.models import Operation
from tests.integration.conftest import Ask, Refused
from tests.zoo.models import Animal, Shelf, Tag

pytestmark = pytest.mark.django_db

DELETE = """
mutation ($input: BulkDeleteInput!, $options: BulkOptions) {
  bulkDelete(input: $input, options: $options) { id deleted }
}
"""
TAGS = """
query ($filters: TagFilter, $pagination: OffsetPaginationInput) {
  tags(filters: $filters, pagination: $pagination) { name }
}
"""
ANIMALS = "query ($filters: AnimalFilter) { animals(filters: $filters) { char } }"

#: Parts of a filter that say nothing.
EMPTY: list[dict[str, Any]] = [
    {},
    {"name": {}},
    {"name": None},
    {"name": {"exact": None}},
    {"name": {"inList": None}},
    {"name": {"isNull": None}},
    {"id": {"inList": None}},
    {"number": {"gt": None}},
    {"number": {"range": None}},
    {"number": {"range": {"start": 1}}},
    {"DISTINCT": None},
    {"AND": None},
    {"OR": None},
    {"NOT": None},
]
#: What lets every row through, and what lets none through, which is every row once it is turned around.
EVERY: list[dict[str, Any]] = [
    {"DISTINCT": True},
    {"DISTINCT": False},
    {"name": {"contains": ""}},
    {"name": {"iStartsWith": ""}},
    {"name": {"regex": ""}},
    {"name": {"isNull": False}},
    {"id": {"isNull": False}},
]
NONE: list[dict[str, Any]] = [{"name": {"inList": []}}, {"id": {"inList": []}}, {"name": {"isNull": True}}]


def disguises() -> Iterator[dict[str, Any]]:
    """Filters that filter nothing: the above under AND, OR and NOT to the third level, and side by side."""
    level = [*EMPTY, *EVERY, *({"NOT": one} for one in NONE)]
    yield from level
    for _ in range(2):
        level = [
            *({junction: one} for junction, one in product(("AND", "OR"), level)),
            *({"NOT": {"NOT": one}} for one in level),
        ]
        yield from level
    for one, other in combinations([*EMPTY, *EVERY], 2):
        if one.keys().isdisjoint(other):
            yield one | other
    for one, other in product([*EMPTY, *EVERY], EMPTY):
        for junction in ("AND", "OR", "NOT"):
            if junction not in one:
                yield one | {junction: other}


@pytest.fixture
def tags(db: None) -> list[Tag]:
    return Tag.objects.bulk_create(
        Tag(name=name, color=color, number=number)
        for name, color, number in (("a", "red", 1), ("b", "red", 2), ("c", "blue", None))
    )


def refused(ask: Ask, user: Any, document: str, **variables: Any) -> list[tuple[str, str]]:
    """The errors of a request, each with its code."""
    with pytest.raises(Refused) as caught:
        ask(user, document, **variables)
    errors: list[tuple[str, str]] = caught.value.args[0]
    return errors


def test_no_filter_that_filters_nothing_deletes_anything(ask, user, tags):
    count = 0
    for where in disguises():
        ((code, message),) = refused(ask, user, DELETE, input={"tags": {"where": where}})
        assert code == "BAD_INPUT", where
        assert message.startswith("tags.where"), where
        assert "all: true" in message or "isNull" in message or "start and end" in message, message
        count += 1

    assert count > 1_000
    assert Tag.objects.count() == len(tags)
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ({"name": {"exact": "a"}}, ["b", "c"]),
        ({"NOT": {"name": {"exact": "a"}}}, ["a"]),
        ({"NOT": {"number": {"exact": 1}}, "color": {"exact": "red"}}, ["a", "c"]),
        ({"name": {"exact": "a"}, "OR": {"name": {"exact": "c"}}}, ["b"]),
        ({"AND": {"color": {"exact": "red"}}, "DISTINCT": True}, ["c"]),
        ({"number": {"isNull": False}}, ["c"]),
        ({"number": {"range": {"start": 2, "end": 3}}}, ["a", "c"]),
        ({"name": {"exact": "a"}, "OR": {"name": {"inList": []}}}, ["b", "c"]),
        ({"name": {"inList": []}}, ["a", "b", "c"]),
        ({"name": {"startsWith": "a", "contains": "a"}}, ["b", "c"]),
    ],
)
def test_filter_that_says_something_deletes_just_that(ask, user, tags, where, left):
    answer = ask(user, DELETE, input={"tags": {"where": where}}, options={"idempotencyKey": "once"})

    assert sorted(Tag.objects.values_list("name", flat=True)) == left
    assert answer["bulkDelete"]["deleted"] == len(tags) - len(left)


def test_everything_is_deleted_by_saying_so(ask, user, tags):
    assert ask(user, DELETE, input={"tags": {"all": True}})["bulkDelete"]["deleted"] == len(tags)

    assert not Tag.objects.exists()


def test_all_stands_alone(ask, user, tags):
    both = {"where": {"name": {"exact": "a"}}, "all": True}

    assert refused(ask, user, DELETE, input={"tags": both}) == [
        ("BAD_INPUT", "tags has both where and all; give exactly one of them.")
    ]
    assert refused(ask, user, DELETE, input={"tags": {"all": False}}) == [
        ("BAD_INPUT", "tags has neither ids nor keys nor where nor all nor a file; give exactly one of them.")
    ]
    assert Tag.objects.count() == len(tags)


def test_all_is_all_that_the_user_may_see(ask, user):
    Shelf.objects.create(code="a")
    Shelf.objects.create(code="b", hidden=True)

    assert ask(user, DELETE, input={"shelves": {"all": True}})["bulkDelete"]["deleted"] == 1
    assert list(Shelf.objects.values_list("code", flat=True)) == ["b"]


@pytest.mark.parametrize(
    ("filters", "path"),
    [
        ({"name": {"exact": None}}, "tags.filters.name.exact"),
        ({"id": {"inList": None}}, "tags.filters.id.inList"),
        ({"AND": {"number": {"gte": None}}}, "tags.filters.AND.number.gte"),
        ({"name": None}, "tags.filters.name"),
    ],
)
def test_null_in_a_list_query_is_bad_input(ask, user, tags, filters, path):
    assert refused(ask, user, TAGS, filters=filters) == [
        (
            "BAD_INPUT",
            f"{path} is null, and would filter nothing. Leave it out, or give it a value; "
            "{isNull: true} finds the rows that have none.",
        )
    ]


def test_empty_filter_of_a_list_query_lets_all_rows_through(ask, user, tags):
    for filters in (None, {}, {"name": {}}, {"DISTINCT": True}):
        assert len(ask(user, TAGS, filters=filters)["tags"]) == len(tags)


#: Filter, what the error begins with.
IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"id": {"exact": "abc"}}, "animals.filters.id.exact: Field 'id' expected a number but got 'abc'."),
    ({"id": {"inList": ["1", "x"]}}, "animals.filters.id.inList: Field 'id' expected a number but got 'x'."),
    ({"id": {"exact": "9" * 5_000}}, "animals.filters.id.exact: "),
    ({"token": {"exact": "abc"}}, "animals.filters.token.exact: “abc” is not a valid UUID."),
    ({"char": {"regex": "("}}, "animals.filters: invalid regular expression: parentheses () not balanced"),
    ({"char": {"iRegex": "[b-a]"}}, "animals.filters: invalid regular expression: "),
    ({"datetime": {"year": {"exact": 0}}}, "animals.filters.datetime.year.exact: year 0 is out of range"),
    ({"date": {"year": {"gte": 123456}}}, "animals.filters.date.year.gte: year 123456 is out of range"),
    ({"datetime": {"exact": "0001-01-01T00:00:00"}}, None),
    ({"time": {"exact": "12:00:00+01:00"}}, "animals.filters.time.exact: A time of day has no offset here"),
    ({"decimal": {"exact": "NaN"}}, "animals.filters.decimal.exact: "),
    ({"decimal": {"exact": "Infinity"}}, None),
    ({"decimal": {"gt": "1e999999"}}, "animals.filters: "),
    ({"integer": {"inList": list(range(10_001))}}, "10,001 values of animals.filters.integer.inList exceed"),
    ({"keeper": {"exact": "x" * 10}}, None),
]


@pytest.mark.parametrize(("filters", "message"), IMPOSSIBLE, ids=lambda one: str(one)[:60])
def test_value_that_the_database_does_not_take_is_bad_input_with_its_path(ask, user, filters, message):
    Animal.objects.create(char="ant")
    try:
        ask(user, ANIMALS, filters=filters)
        errors = []
    except Refused as caught:
        errors = caught.args[0]

    if message is not None:
        ((code, text),) = errors
        assert code == ("LIMIT_EXCEEDED" if "exceed" in message else "BAD_INPUT"), text
        assert text.startswith(message)
    else:
        assert [code for code, _ in errors] in ([], ["BAD_INPUT"])


def test_offset_before_the_first_row_is_bad_input(ask, user, tags):
    assert refused(ask, user, TAGS, pagination={"offset": -1}) == [
        ("BAD_INPUT", "tags.pagination.offset is -1; the first row has the offset 0.")
    ]
