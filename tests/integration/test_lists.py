"""Many-to-many fields: lists of ids or keys, by both writers."""

from __future__ import annotations

import json
import threading

import polars as pl
import pytest
from django.core.files.base import ContentFile
from django.db import connection

import bulkql
from bulkql.workers.downloads.files import downloads
from bulkql.workers.enums import OnError, State, Verb
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.operations import chunks
from bulkql.workers.operations.steps import run
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.uploads import uploads
from bulkql.workers.writers import links
from tests.conftest import Done
from tests.integration.writers import WRITERS, write_by
from tests.zoo.bulk import Notes, Tags
from tests.zoo.models import Keeper, Note, Tag

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=WRITERS, autouse=True)
def _writer(request, monkeypatch):
    """Everything by COPY, by the ORM's bulk methods, and one by one."""
    write_by(request.param, monkeypatch)
    if request.param == "orm":
        monkeypatch.setattr(links, "add_by_copy", links.add_by_orm)


@pytest.fixture
def tags():
    """Tags a to d, as their primary keys."""
    return [Tag.objects.create(name=name, color="red", number=place).pk for place, name in enumerate("abcd")]


@pytest.fixture
def note(tags):
    """A note with tags a and b, kept by somebody."""
    note = Note.objects.create(title="first", text="x")
    note.tags.set(tags[:2])
    note.keepers.add(Keeper.objects.create(code="ada"))
    return note


@pytest.fixture
def upload(user):
    """Carry out a verb with a file, now."""

    def perform(verb, content, file_format):
        stored = uploads.fill(uploads.announce(user, "file", None), ContentFile(content))
        options = FileOptions(format=file_format)
        inputs = [InputRequest(resource=resource_named("notes"), upload=stored, file_options=options)]
        return Done(run(BulkRequest(verb=verb, user=user, inputs=inputs, mode=Mode.SYNC)))

    return perform


def table():
    """The names of each note's tags."""
    return {note.title: "".join(sorted(tag.name for tag in note.tags.all())) for note in Note.objects.all()}


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
        (1, "tagsBy.name", "There is no tag of name x.", "x"),
        (2, "tagsBy", "There is no tag of color, number red, 9.", "red, 9"),
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


def test_csv_has_lists_with_commas_or_as_json(upload, tags):
    content = f"""title,tags
commas,"{tags[0]}, {tags[2]}"
json,"[{tags[0]}, ""{tags[3]}""]"
empty,""
missing,
unknown,"{tags[0]},0"
"""

    done = upload(Verb.CREATE, content.encode(), FileFormat.CSV)

    assert done.outcomes == ["CREATED"] * 4 + ["FAILED"]
    assert done.codes == [(4, "tags", "REFERENCE_NOT_FOUND")]
    assert table() == {"commas": "ac", "json": "ad", "empty": "", "missing": ""}


def test_csv_names_members_by_a_key(upload, note):
    content = b"""title,tags.name,keepersBy.code
first,"c,d",ada
new,"[""a"", ""x""]",
none,"[]","ada,bob"
"""

    done = upload(Verb.UPSERT, content, FileFormat.CSV)

    assert done.outcomes == ["UPDATED", "FAILED", "FAILED"]
    assert done.codes == [
        (1, "tagsBy.name", "REFERENCE_NOT_FOUND"),
        (2, "keepersBy.code", "REFERENCE_NOT_FOUND"),
    ]
    assert table() == {"first": "cd"}


def test_ndjson_has_lists_as_inline_rows_do(upload, tags):
    rows = [
        {"title": "ids", "tags": [tags[0], str(tags[1])]},
        {"title": "keys", "tagsBy": [{"name": "a"}, {"color": "red", "number": 3}]},
        {"title": "names", "tags.name": ["b", "c"]},
        {"title": "text", "tags": "1,2"},
    ]

    done = upload(Verb.CREATE, "\n".join(map(json.dumps, rows)).encode(), FileFormat.NDJSON)

    assert done.outcomes == ["CREATED"] * 3 + ["FAILED"]
    assert done.codes == [(3, "tags", "INVALID")]
    assert table() == {"ids": "ab", "keys": "ad", "names": "bc"}


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


@pytest.mark.parametrize("file_format", [FileFormat.CSV, FileFormat.NDJSON])
def test_failed_rows_come_back_with_their_lists(bulk, upload, tags, file_format):
    rows = [{"title": "x" * 21, "tags": tags[:2]}, {"title": "y" * 21, "tagsBy": [{"name": "d"}]}]
    failed = bulk(Verb.CREATE, "notes", rows)
    assert failed.outcomes == ["FAILED", "FAILED"]

    download = next(one for one in downloads(failed.operation.pk) if one.format == file_format)
    mended = b"".join(download.pieces()).replace(b"x" * 21, b"first").replace(b"y" * 21, b"second")
    done = upload(Verb.CREATE, mended, file_format)

    assert done.outcomes == ["CREATED", "CREATED"]
    assert table() == {"first": "ab", "second": "d"}


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


@pytest.mark.postgresql
def test_a_target_that_goes_meanwhile_is_named_by_the_next_try(create, tags, monkeypatch):
    resolve = chunks.resolve_lists

    def delete():
        Tag.objects.filter(name="b").delete()
        connection.close()

    def resolve_and_delete(*args):
        resolved = resolve(*args)
        other = threading.Thread(target=delete)
        other.start()
        other.join()
        return resolved

    monkeypatch.setattr(chunks, "resolve_lists", resolve_and_delete)

    done = create("notes", [{"title": "x", "tags": [tags[0]]}, {"title": "y", "tags": tags[:2]}])

    assert done.outcomes == ["CREATED", "FAILED"]
    assert done.codes == [(1, "tags", "REFERENCE_NOT_FOUND")]
    assert table() == {"x": "a"}
