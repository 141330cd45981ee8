"""Members of lists that are not there, cannot be read, or are not for this user."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from bulkql.workers.enums import Verb
from bulkql.workers.operations import rows
from tests.integration.lists.tables import table
from tests.zoo.bulk import Notes, Tags
from tests.zoo.models import Note, Tag

pytestmark = pytest.mark.django_db(transaction=True)


def test_rows_with_unknown_members_are_not_written(create, tags):
    done = create(
        "notes",
        [
            {"title": "ids", "tags": [tags[0], "0", "-1"]},
            {"title": "keys", "tagsBy": [{"name": "a"}, {"name": "x"}, {"name": "y"}]},
            {"title": "pairs", "tagsBy": [{"color": "red", "number": 9}]},
            {"title": "good", "tags": [tags[0]]},
            {"title": "two", "tags": ["0"], "keepers": ["0"]},
        ],
    )

    assert done.outcomes == ["FAILED", "FAILED", "FAILED", "CREATED", "FAILED"]
    assert {code for _, _, code in done.codes} == {"REFERENCE_NOT_FOUND"}
    assert [(error["index"], error["path"], error["message"], error["data"]) for error in done.errors] == [
        (0, "tags", "There is no tag 0.", "0"),
        (1, "tagsBy.name", "There is no tag with name x.", "x"),
        (2, "tagsBy", "There is no tag with color red and number 9.", "red, 9"),
        (4, "keepers", "There is no keeper 0.", "0"),
        (4, "tags", "There is no tag 0.", "0"),
    ]
    assert table() == {"good": "a"}


def test_lists_that_cannot_be_read_are_errors_of_their_rows(create, tags):
    done = create(
        "notes",
        [
            {"title": "a", "tags": None},
            {"title": "b", "tagsBy": None},
            {"title": "c", "tags": [None]},
            {"title": "d", "tags": ["x", True]},
            {"title": "e", "tagsBy": ["a"]},
            {"title": "f", "tagsBy": [{"nam": "a"}]},
            {"title": "g", "tagsBy": [{"name": "a", "color": "red"}, {"color": "red", "number": "x"}]},
            {"title": "h", "tags": [tags[0]], "tagsBy": [{"name": "a"}]},
            {"title": "i", "tags": {"name": "a"}},
            {"title": "no slug, and too long for a title", "tags": ["x"]},
        ],
    )

    assert done.outcomes == ["FAILED"] * 10
    assert done.codes == [
        (0, "tags", "NULL_NOT_ALLOWED"),
        (1, "tagsBy", "NULL_NOT_ALLOWED"),
        (2, "tags", "NULL_NOT_ALLOWED"),
        (3, "tags", "INVALID"),
        (3, "tags", "INVALID"),
        (4, "tagsBy", "INVALID"),
        (5, "tagsBy.nam", "UNKNOWN_FIELD"),
        (6, "tagsBy", "INVALID"),
        (6, "tagsBy.number", "INVALID"),
        (7, "tagsBy", "INVALID"),
        (8, "tags", "INVALID"),
        (9, "tags", "INVALID"),
        (9, "title", "TOO_LONG"),
    ]
    assert Note.objects.count() == 0


def test_nobody_links_to_what_he_may_not_see(create, tags, monkeypatch):
    monkeypatch.setattr(Tags, "get_queryset", lambda self, user: Tag.objects.exclude(name="b"))

    done = create("notes", [{"title": "x", "tags": tags[:2]}, {"title": "y", "tagsBy": [{"name": "b"}]}])

    assert done.codes == [(0, "tags", "REFERENCE_NOT_FOUND"), (1, "tagsBy.name", "REFERENCE_NOT_FOUND")]
    assert table() == {}


def test_the_lists_of_rows_that_are_not_for_this_user_stay(bulk, tags, note, monkeypatch):
    monkeypatch.setattr(Notes, "get_queryset", lambda self, user: Note.objects.none())

    done = [bulk(verb, "notes", [{"title": "first", "tags": []}]) for verb in (Verb.UPDATE, Verb.UPSERT)]

    assert [one.codes for one in done] == [[(0, "title", "NOT_FOUND")], [(0, "title", "FORBIDDEN")]]
    assert table() == {"first": "ab"}


@pytest.mark.postgresql
def test_a_target_that_goes_meanwhile_is_named_by_the_next_try(create, tags, monkeypatch):
    resolve = rows.resolve_lists

    def delete():
        Tag.objects.filter(name="b").delete()
        connection.close()

    def resolve_and_delete(*args):
        resolved = resolve(*args)
        other = threading.Thread(target=delete)
        other.start()
        other.join()
        return resolved

    monkeypatch.setattr(rows, "resolve_lists", resolve_and_delete)

    done = create("notes", [{"title": "x", "tags": [tags[0]]}, {"title": "y", "tags": tags[:2]}])

    assert done.outcomes == ["CREATED", "FAILED"]
    assert done.codes == [(1, "tags", "REFERENCE_NOT_FOUND")]
    assert table() == {"x": "a"}
