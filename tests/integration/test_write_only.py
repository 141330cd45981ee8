"""A write-only field is taken, and nothing shows it: no table, file, message or log of ours has what a row gave."""

from __future__ import annotations

import pickle
import re

import polars as pl
import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile

import bulkql
from bulkql.workers.columns.column import column_for
from bulkql.workers.downloads import csv, ndjson
from bulkql.workers.enums import OnError, Outcome, Verb
from bulkql.workers.errors import BadInput
from bulkql.workers.frames import unpack
from bulkql.workers.intake import replay
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.models import Chunk, Operation
from bulkql.workers.operations import running
from bulkql.workers.operations.retry import retry
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from tests.conftest import Done
from tests.zoo.bulk import Tags
from tests.zoo.models import Tag

pytestmark = pytest.mark.django_db(transaction=True)

#: What rows give for the write-only field. None of it may be found afterwards.
SECRET = "hunter2"


@pytest.fixture(autouse=True)
def _passwords(monkeypatch):
    """A tag's color is a password, of which its letters backwards are stored."""
    resource = resource_named("tags")
    # It is worked out once of a registration.
    resource.__dict__.pop("given_keys", None)
    monkeypatch.setattr(Tags, "write_only_fields", ("color",))
    monkeypatch.setattr(Tags, "before_write", lambda self, rows: rows.with_columns(pl.col("color").str.reverse()))
    yield
    resource.__dict__.pop("given_keys", None)


def run(user, rows=None, text=None, format=FileFormat.CSV, verb=Verb.CREATE, **options):
    how = {"rows": rows}
    if text is not None:
        how = {"content": ContentFile(text, name="rows"), "file_options": FileOptions(format=format)}
    inputs = [InputRequest(resource=resource_named("tags"), **how)]
    return Done(running.run(BulkRequest(verb=verb, user=user, inputs=inputs, **{"mode": Mode.SYNC, **options})))


def tables():
    """All that our own tables hold, but for uploads: bytes as they lie there, frames unpacked, and texts."""
    found = []
    for model in (Operation, Chunk):
        for row in model.objects.values():
            found.append(pickle.dumps(row))
            frames = [unpack(row[name]) for name in ("payload", "results", "errors") if row.get(name)]
            found += [str(frame.rows()).encode() for frame in frames]
    return b"\n".join(found)


def places(found):
    """Where a secret stands, with what is around it."""
    return re.findall(b".{0,60}" + SECRET.encode() + b".{0,60}", found)


def downloads(done):
    stored = done.operation.inputs.get()
    return b"".join([*csv.left_as_csv(stored), *ndjson.left_as_ndjson(stored)])


#: A row whose password nothing is wrong with, and rows with each kind of fault.
ROWS = [
    {"name": "good", "color": SECRET},
    {"name": "n" * 21, "color": SECRET},
    {"name": "long", "color": f"{SECRET}-{SECRET}"},
    {"name": "kind", "color": {"is": SECRET}},
    {"name": "typing error", "colour": SECRET},
    {"name": "twice", "number": "x", "color": SECRET},
    SECRET,
]
FILES = {
    FileFormat.CSV: f"name,color,number\ngood,{SECRET},1\n{'n' * 21},{SECRET},2\nmore,x,4,{SECRET}\n",
    FileFormat.NDJSON: f'{{"name": "good", "color": "{SECRET}"}}\n{{"name": "bad", "colour": "{SECRET}"}}\n'
    f'["{SECRET}"]\n{{"name": "broken", "color": "{SECRET}"\n',
}


def test_inline_rows_leave_nothing_behind(user, caplog):
    for options in ({}, {"dry_run": True}, {"on_error": OnError.REJECT_ALL}, {"idempotency_key": "k"}):
        Tag.objects.all().delete()
        done = run(user, ROWS, **options)

        assert done.outcomes[0] == (Outcome.SKIPPED if "on_error" in options else Outcome.CREATED)
        assert set(done.outcomes[1:]) == {"FAILED"}
        assert places(tables() + downloads(done)) == []
        assert places(f"{done.errors}{done.results}{caplog.text}".encode()) == []
    assert list(Tag.objects.values_list("name", "color")) == [("good", SECRET[::-1])]


@pytest.mark.parametrize("format", FILES)
def test_files_leave_nothing_behind_but_the_upload(user, caplog, format, monkeypatch):
    monkeypatch.setattr(replay, "HELD_BYTES", 1)
    spilled, write = [], pl.DataFrame.write_ipc
    monkeypatch.setattr(pl.DataFrame, "write_ipc", lambda self, *a, **k: spilled.append(self) or write(self, *a, **k))

    done = run(user, text=FILES[format].encode(), format=format)

    assert done.outcomes[0] == "CREATED"
    assert spilled
    assert places(tables() + downloads(done)) == []
    assert places(f"{done.errors}{caplog.text}{[frame.rows() for frame in spilled]}".encode()) == []
    assert Tag.objects.values_list("name", "color").first() == ("good", SECRET[::-1])


def test_no_error_quotes_a_value(user, monkeypatch):
    field = Tag._meta.get_field("color")

    def common(value):
        raise ValidationError({"v": "%(v)s is too common.", "s": "This is too common."}[value[0]], params={"v": value})

    monkeypatch.setitem(field.__dict__, "validators", [common])
    monkeypatch.setitem(
        resource_named("tags").__dict__, "columns", {**resource_named("tags").columns, "color": column_for(field)}
    )

    done = run(user, [{"name": "a", "color": "v-secret"}, {"name": "b", "color": "s-secret"}])

    assert [(one["path"], one["message"], one["data"]) for one in done.errors] == [
        ("color", "This value is not valid; its error quotes it, and is not shown.", None),
        ("color", "This is too common.", None),
    ]


def test_rules_of_the_resource_see_it_and_their_errors_do_not_show_it(user, monkeypatch):
    def clean_rows(self, rows):
        return bulkql.row_errors(rows.filter(pl.col("color").str.len_chars() < 8), "color", "Too short.")

    monkeypatch.setattr(Tags, "clean_rows", clean_rows)

    done = run(user, [{"name": "a", "color": SECRET}, {"name": "b", "color": f"{SECRET}!"}])

    assert [(one["index"], one["message"], one["data"]) for one in done.errors] == [(0, "Too short.", None)]
    assert SECRET.encode() not in tables()


def test_failed_rows_come_back_without_it_and_a_retry_still_knows_it(user):
    text = f"name,color,number\na,{SECRET},x\nb,{SECRET},2\n".encode()
    done = run(user, text=text)
    assert done.outcomes == ["FAILED", "CREATED"]
    assert b"".join(csv.left_as_csv(done.operation.inputs.get())).splitlines()[:2] == [
        b"name,color,number,bulkql_row,bulkql_code,bulkql_path,bulkql_message",
        b"a,,x,0,INVALID,number,\xe2\x80\x9cx\xe2\x80\x9d value must be an integer.",
    ]

    Tag.objects.all().delete()
    taken = Tag.objects.create(name="c")
    failed = run(user, [{"name": "c", "color": SECRET}])
    taken.delete()
    again = retry(failed.operation, user)
    running.write_now(again)

    assert failed.outcomes == ["FAILED"]
    assert SECRET.encode() not in tables()
    assert list(Tag.objects.values_list("name", "color")) == [("c", SECRET[::-1])]


def test_a_replaced_secret_key_still_opens_what_it_closed_and_a_lost_one_is_told(user, settings):
    def left_over():
        Tag.objects.get_or_create(name="a")
        failed = run(user, [{"name": "a", "color": SECRET}])
        Tag.objects.all().delete()
        return retry(failed.operation, user)

    old, again = settings.SECRET_KEY, left_over()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another secret", [old]
    running.write_now(again)
    assert list(Tag.objects.values_list("color", flat=True)) == [SECRET[::-1]]

    again = left_over()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a third secret", []
    running.write_now(again)
    again.refresh_from_db()
    assert again.message == (
        "Write-only fields of tags were stored under another SECRET_KEY. Add that one to SECRET_KEY_FALLBACKS and "
        "retry the operation, or send the rows again."
    )


def test_no_row_is_found_by_it(user):
    inputs = [InputRequest(resource=resource_named("tags"), rows=ROWS[:1], match_by=["color", "number"])]

    with pytest.raises(BadInput) as refused:
        running.run(BulkRequest(verb=Verb.UPDATE, user=user, inputs=inputs))

    assert str(refused.value) == (
        "tags cannot be matched by [COLOR, NUMBER], of which several rows may have the same; matchBy may be "
        "[ID] or [NAME]."
    )
