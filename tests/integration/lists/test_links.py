"""Many-to-many fields: lists of ids or keys, by both writers."""

from __future__ import annotations

import json

import polars as pl
import pytest

import bulkql
from bulkql.workers.enums import OnError, State, Verb
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.operations.running import run
from bulkql.workers.resources.registry import resource_named
from tests.conftest import Done
from tests.integration.lists.tables import table
from tests.zoo.bulk import Notes
from tests.zoo.models import Note, Tag

pytestmark = pytest.mark.django_db(transaction=True)


def test_new_rows_come_with_their_lists(create, tags):
    done = create(
        "notes",
        [
            {"title": "ids", "tags": [str(tags[0]), tags[1], str(tags[0])]},
            {"title": "keys", "tagsBy": [{"name": "a"}, {"color": "red", "number": 2}, {"name": "c"}]},
            {"title": "one", "tags": tags[3]},
            {"title": "empty", "tags": []},
            {"title": "nothing"},
        ],
        chunk_size=2,
    )

    assert done.errors == []
    assert done.outcomes == ["CREATED"] * 5
    assert table() == {"ids": "ab", "keys": "ac", "one": "d", "empty": "", "nothing": ""}


def test_an_update_sets_the_lists_that_rows_give(bulk, tags, note):
    for title in ("second", "third", "fourth", "fifth"):
        Note.objects.create(title=title).tags.set(tags[:2])
    changed = dict(Note.objects.values_list("title", "changed"))

    done = bulk(
        Verb.UPDATE,
        "notes",
        [
            {"title": "first", "tags": [tags[1], tags[2]]},
            {"title": "second", "text": "y"},
            {"title": "third", "tagsBy": [{"name": "b"}, {"name": "a"}]},
            {"title": "fourth", "tags": []},
            {"title": "fifth", "text": "y", "tags": tags[:2]},
        ],
    )

    assert done.errors == []
    assert done.outcomes == ["UPDATED", "UPDATED", "UNCHANGED", "UPDATED", "UPDATED"]
    assert table() == {"first": "bc", "second": "ab", "third": "ab", "fourth": "", "fifth": "ab"}
    assert [keeper.code for keeper in note.keepers.all()] == ["ada"]
    assert Note.objects.get(title="first").changed == changed["first"]


def test_a_link_that_stays_is_the_same_row(bulk, tags, note):
    before = Note.tags.through.objects.get(tag=tags[0]).pk

    bulk(Verb.UPDATE, "notes", [{"id": note.pk, "tags": [tags[0], tags[3]]}])

    assert Note.tags.through.objects.get(tag=tags[0]).pk == before
    assert table() == {"first": "ad"}


def test_a_replacement_empties_the_lists_that_are_not_given(bulk, tags, note):
    done = bulk(Verb.REPLACE, "notes", [{"title": "first", "text": "x", "tagsBy": [{"name": "d"}]}])
    again = bulk(Verb.REPLACE, "notes", [{"title": "first", "text": "x"}])

    assert (done.outcomes, again.outcomes) == (["UPDATED"], ["UPDATED"])
    assert table() == {"first": ""}
    assert not note.keepers.exists()


def test_an_upsert_sets_the_lists_of_old_and_new_rows(bulk, tags, note):
    Note.objects.create(title="other").tags.set(tags[:1])

    done = bulk(
        Verb.UPSERT,
        "notes",
        [
            {"title": "first", "tags": [tags[3]]},
            {"title": "other", "text": ""},
            {"title": "new", "tagsBy": [{"name": "c"}]},
        ],
    )

    assert done.outcomes == ["UPDATED", "UNCHANGED", "CREATED"]
    assert table() == {"first": "d", "other": "a", "new": "c"}
    assert note.keepers.count() == 1


@pytest.mark.parametrize(("fields", "text", "kept"), [(["tags"], "x", "d"), (["text"], "y", "ab")])
def test_update_fields_narrow_an_upsert(bulk, tags, note, fields, text, kept):
    rows = [{"title": title, "text": "y", "tags": [tags[3]]} for title in ("first", "new")]

    done = bulk(Verb.UPSERT, "notes", rows, update_fields=fields)

    assert done.outcomes == ["UPDATED", "CREATED"]
    assert table() == {"first": kept, "new": "d"}
    assert list(Note.objects.order_by("pk").values_list("text", flat=True)) == [text, "y"]


def test_links_go_with_their_row(bulk, note):
    done = bulk(Verb.DELETE, "notes", [{"title": "first"}])

    assert done.outcomes == ["DELETED"]
    assert Note.tags.through.objects.count() == Note.keepers.through.objects.count() == 0
    assert Tag.objects.count() == 4


def test_targets_may_be_rows_of_the_same_request(user):
    inputs = [
        InputRequest(resource=resource_named("notes"), rows=[{"title": "x", "tagsBy": [{"name": "new"}]}]),
        InputRequest(resource=resource_named("tags"), rows=[{"name": "new"}]),
    ]

    done = Done(run(BulkRequest(verb=Verb.CREATE, user=user, inputs=inputs, mode=Mode.SYNC)))

    assert done.errors == []
    assert Note.objects.get().tags.get().name == "new"


def test_a_dry_run_tells_how_lists_would_change(bulk, tags, note):
    done = bulk(
        Verb.UPSERT,
        "notes",
        [{"title": "first", "tags": [tags[3], tags[1]]}, {"title": "new", "tags": tags}],
        dry_run=True,
    )

    assert done.outcomes == ["UPDATED", "CREATED"]
    before, after = (json.dumps([str(pk) for pk in pks]) for pks in (tags[:2], [tags[1], tags[3]]))
    assert [row["changes"] for row in done.results] == [json.dumps([["tags", before, after]]), None]
    assert table() == {"first": "ab"}


def test_rejected_rows_leave_lists_as_they_are(bulk, tags, note):
    rows = [{"title": "first", "tags": []}, {"title": "new", "tags": tags}, {"title": "bad", "tags": ["0"]}]

    done = bulk(Verb.UPSERT, "notes", rows, on_error=OnError.REJECT_ALL)

    assert done.operation.state == State.FAILED
    assert done.outcomes == ["SKIPPED", "SKIPPED", "FAILED"]
    assert table() == {"first": "ab"}


@pytest.mark.parametrize("_writer", ["postgres", "orm"], indirect=True)
def test_statements_do_not_grow_with_rows(bulk, tags, django_assert_max_num_queries):
    def statements(count):
        rows = [{"title": f"{count} {place}", "tags": tags[: place % 4], "keepers": []} for place in range(count)]
        with django_assert_max_num_queries(1000) as seen:
            bulk(Verb.UPSERT, "notes", rows)
            bulk(Verb.UPSERT, "notes", [{**row, "tags": tags[:1]} for row in rows])
        return len(seen)

    statements(1)  # whether the user may is asked once in some seconds
    assert statements(100) <= statements(10)


def test_rows_written_into_a_query_have_lists(ask, user, tags):
    document = """mutation {
      bulkCreate(input: { notes: { rows: [
        { title: "keys", tagsBy: [{ name: "b" }, { color: "red", number: 3 }] },
        { title: "one", tagsBy: { name: "c" } },
        { title: "none", tags: [], keepers: ["0"] },
      ] } }) { created rowErrors(first: 5) { edges { node { index path code data } } } }
    }"""

    done = ask(user, document)["bulkCreate"]

    error = {"index": 2, "path": "keepers", "code": "REFERENCE_NOT_FOUND", "data": "0"}
    assert done == {"created": 2, "rowErrors": {"edges": [{"node": error}]}}
    assert table() == {"keys": "bd", "one": "c"}


def test_hooks_see_lists_of_primary_keys(create, tags, monkeypatch):
    columns, rows = [], []

    def clean_rows(self, frame):
        columns.append(frame["tags"].to_list())
        return bulkql.row_errors(frame.filter(pl.col("tags").list.len() > 1), "tags", "One is enough.")

    monkeypatch.setattr(Notes, "clean_rows", clean_rows)
    monkeypatch.setattr(Notes, "clean_row", lambda self, row: rows.append(row))

    done = create(
        "notes", [{"title": "x", "tagsBy": [{"name": "b"}]}, {"title": "y"}, {"title": "z", "tags": tags[:2]}]
    )

    pks = [str(pk) for pk in tags]
    assert columns == [[[pks[1]], None, pks[:2]]]
    assert rows == [{"title": "x", "tags": [tags[1]]}, {"title": "y"}]
    assert [(error["path"], error["message"], error["data"]) for error in done.errors] == [
        ("tags", "One is enough.", f"{pks[0]}, {pks[1]}")
    ]
