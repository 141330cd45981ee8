"""What users' apps hook into."""

from __future__ import annotations

import polars as pl
import pytest
from django.core.exceptions import ValidationError

import bulkql
from bulkql.workers.enums import Verb
from tests.zoo.bulk import Animals, Keepers
from tests.zoo.models import Keeper

pytestmark = pytest.mark.django_db(transaction=True)


def codes():
    return sorted(Keeper.objects.values_list("code", flat=True))


def test_clean_rows_takes_columns_and_gives_errors(create, monkeypatch):
    seen = []

    def clean_rows(self, rows):
        seen.append(rows)
        return bulkql.row_errors(rows.filter(pl.col("code").str.len_chars() < 2), "code", "Too short.", "TOO_LONG")

    monkeypatch.setattr(Keepers, "clean_rows", clean_rows)

    done = create("keepers", [{"code": "ada"}, {"code": "b"}, {"code": "no slug"}, {"code": "eve"}], chunk_size=2)

    assert [rows.columns for rows in seen] == [["row", "code", "given:code"]] * 2
    assert [rows["code"].to_list() for rows in seen] == [["ada", "b"], ["eve"]]
    assert codes() == ["ada", "eve"]
    assert [(error["index"], error["path"], error["code"], error["data"]) for error in done.errors] == [
        (1, "code", "TOO_LONG", "b"),
        (2, "code", "INVALID", "no slug"),
    ]


def test_clean_row_takes_what_a_row_gives(create, monkeypatch):
    seen = []

    def clean_row(self, row):
        seen.append(row)
        if row.get("big") == 1:
            raise ValidationError({"big": ValidationError("Not one.", code="max_value"), "char": "Nor this."})
        if "positive" in row:
            raise ValidationError("Not so.")

    monkeypatch.setattr(Animals, "clean_row", clean_row)

    done = create(
        "animals", [{"char": "ab", "big": 1}, {"char": "cd", "positive": 5}, {"char": "ef", "date": "2024-02-29"}]
    )

    assert [sorted(row) for row in seen] == [["big", "char"], ["char", "positive"], ["char", "date"]]
    assert done.outcomes == ["FAILED", "FAILED", "CREATED"]
    assert done.codes == [(0, "big", "OUT_OF_RANGE"), (0, "char", "INVALID"), (1, None, "INVALID")]


def test_codes_that_clients_do_not_know_are_invalid(create, monkeypatch):
    def clean_rows(self, rows):
        found = {"b": "ODD", "c": "max_length", "d": "FORBIDDEN"}
        of_code = (bulkql.row_errors(rows.filter(pl.col("code") == one), "code", "No.", found[one]) for one in found)
        return pl.concat(of_code).with_columns(pl.col("row").cast(pl.UInt32))

    def clean_row(self, row):
        if row["code"] in ("e", "f"):
            raise ValidationError({"code": ValidationError("No.", code={"e": "odd", "f": "CONSTRAINT"}[row["code"]])})

    monkeypatch.setattr(Keepers, "clean_rows", clean_rows)
    monkeypatch.setattr(Keepers, "clean_row", clean_row)

    done = create("keepers", [{"code": code} for code in "abcdef"])

    assert [(error["index"], error["code"], error["message"]) for error in done.errors] == [
        (1, "INVALID", "No."),
        (2, "TOO_LONG", "No."),
        (3, "FORBIDDEN", "No."),
        (4, "INVALID", "No."),
        (5, "CONSTRAINT", "No."),
    ]


def test_after_chunk_is_part_of_the_chunk(create, bulk, monkeypatch, user):
    seen = []

    def after_chunk(self, outcome):
        seen.append(outcome)
        Keeper.objects.create(code=f"log-{len(seen)}")

    monkeypatch.setattr(Keepers, "after_chunk", after_chunk)

    create("keepers", [{"code": "a"}, {"code": "b"}, {"code": "?"}], chunk_size=2)
    bulk(Verb.CREATE, "keepers", [{"code": "c"}], dry_run=True)

    assert codes() == ["a", "b", "log-1", "log-2"]
    assert [(one.user, one.verb, one.is_dry_run) for one in seen] == [
        (user, Verb.CREATE, False), (user, Verb.CREATE, False), (user, Verb.CREATE, True),
    ]  # fmt: skip
    assert [one.rows["outcome"].to_list() for one in seen] == [["CREATED", "CREATED"], ["FAILED"], ["CREATED"]]


def test_signals_tell_of_what_is_committed(create, bulk):
    chunks, ends = [], []

    def on_chunk(sender, signal, **what):
        chunks.append(what)

    def on_end(sender, signal, **what):
        ends.append(what)

    bulkql.chunk_written.connect(on_chunk)
    bulkql.operation_finished.connect(on_end)
    try:
        done = create("keepers", [{"code": "a"}, {"code": "b"}, {"code": "c"}], chunk_size=2)
        looked = bulk(Verb.DELETE, "keepers", [{"code": "a"}], dry_run=True)
    finally:
        bulkql.chunk_written.disconnect(on_chunk)
        bulkql.operation_finished.disconnect(on_end)

    of_it = {"operation_id": done.operation.pk, "resource": "keepers"}
    assert chunks == [{**of_it, "row_start": 0, "row_count": 2}, {**of_it, "row_start": 2, "row_count": 1}]
    assert ends == [{"operation_id": done.operation.pk}, {"operation_id": looked.operation.pk}]


@pytest.fixture
def _half(monkeypatch):
    """A user sees only keepers whose code begins with an a."""
    monkeypatch.setattr(Keepers, "get_queryset", lambda self, user: Keeper.objects.filter(code__startswith="a"))
    for code in ("ada", "bob"):
        Keeper.objects.create(code=code)


@pytest.mark.usefixtures("_half")
def test_rows_out_of_sight_are_not_there(bulk):
    ids = list(Keeper.objects.order_by("code").values_list("pk", flat=True))

    updated = bulk(Verb.UPDATE, "keepers", [{"id": pk, "code": f"ax{pk}"} for pk in ids])
    upserted = bulk(Verb.UPSERT, "keepers", [{"code": "bob"}, {"code": "alf"}])
    deleted = bulk(Verb.DELETE, "keepers", [{"code": "bob"}, {"code": "alf"}])

    assert (updated.outcomes, updated.codes) == (["UPDATED", "FAILED"], [(1, "id", "NOT_FOUND")])
    assert (upserted.outcomes, upserted.codes) == (["FAILED", "CREATED"], [(0, "code", "FORBIDDEN")])
    assert (deleted.outcomes, deleted.codes) == (["FAILED", "DELETED"], [(0, "code", "NOT_FOUND")])
    assert codes() == [f"ax{ids[0]}", "bob"]
