"""What is exported can be sent back as it is: every row is UNCHANGED, for every field type, in every format."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.db.models import JSONField, Q, Value

import bulkql
from bulkql.workers.enums import Verb
from bulkql.workers.exports import postgres
from bulkql.workers.intake.requests import BulkRequest, Guard, InputRequest, Mode
from bulkql.workers.operations.running import run
from bulkql.workers.readers.options import EmptyCells, FileFormat, FileOptions, compression_of
from bulkql.workers.resources.registry import resource_of
from tests.conftest import Done
from tests.zoo.models import Animal, Folder, Item, Keeper, Note, Shelf, Tag, Toy

pytestmark = pytest.mark.django_db

FORMATS = ["CSV", "NDJSON", "PARQUET", "XLSX"]
VERBS = [Verb.UPDATE, Verb.UPSERT, Verb.SYNC]
#: All fields that PostgreSQL can spell, which `shout` is not.
SPELLED = [
    "big", "binary", "boolean", "char", "date", "datetime", "decimal", "duration", "email", "number", "address",
    "integer", "json", "positive", "size", "slug", "plate", "text", "time", "token", "keeper", "born",
]  # fmt: skip
#: Texts that some format, or some reader, could take for something else.
TEXTS = [
    "", "=1+1", "'=1+1", "''@x", "+49 30 1234", "-x", "-5", "@me", "\tx", "'", "NULL", "\\.", "\\N", "a,b;c",
    'say "hi"', '"', "two\nlines", " blanks ", "0017", "1.0", "TRUE", "2024-02-30", "ünïcödé ✓", "[1, 2]", "{}", "=",
    "x" * 5_000,
]  # fmt: skip


def sent_back(user: Any, verb: Verb, file: bulkql.File, **options: Any) -> Done:
    """Send an exported file as it is."""
    model = options.pop("model")
    resource = resource_of(model)
    assert resource is not None
    given = FileOptions(format=FileFormat(file.format), compression=compression_of(file.name), **options)
    guard = Guard(max_deletes=0) if verb == Verb.SYNC else None
    item = InputRequest(resource=resource, content=ContentFile(file.read(), file.name), file_options=given, guard=guard)
    return Done(run(BulkRequest(verb=verb, user=user, inputs=[item], mode=Mode.SYNC)))


def assert_unchanged(done: Done, count: int) -> None:
    assert done.errors == []
    assert done.operation.message == ""
    assert done.outcomes == ["UNCHANGED"] * count


@pytest.fixture
def animals(db) -> list[Animal]:
    """Values at the ends of every field, and none at all."""
    keeper = Keeper.objects.create(code="k-1")
    full = [
        Animal(
            char="ab", big=2**63 - 1, binary=b"\x00\xff+/", boolean=False, date=date(1, 1, 1),
            datetime=datetime(2024, 2, 29, 12, 30, 15, tzinfo=UTC), decimal=Decimal("1234.50"),
            duration=timedelta(days=-1, hours=2, microseconds=5), email="a@example.org", number=1e300, address="::1",
            integer=-4, json={"a": [1, 2.5, None, "=x", {"ü": True}]}, positive=7, size=2, slug="s-1", plate="AB-1",
            time=time(23, 59, 59, 999_999), keeper=keeper, born=datetime(2024, 10, 27, 0, 30, tzinfo=UTC),
        ),
        Animal(
            char="cd", big=-(2**63), date=date(9999, 12, 31),
            datetime=datetime(1999, 12, 31, 23, 59, 59, 123_456, tzinfo=UTC), decimal=Decimal("0.00"),
            duration=timedelta(days=400, seconds=1), number=0.1, address="10.0.0.1", json=[1], time=time(0, 0),
            born=datetime(2024, 10, 27, 1, 30, tzinfo=UTC),
        ),
        Animal(char="ef", json="text", number=-5.0, duration=timedelta(0), born=datetime(1, 1, 2, tzinfo=UTC)),
        Animal(char="gh", json=0.1, binary=b"\xfb\xef\xbe", duration=timedelta(seconds=-1)),
    ]  # fmt: skip
    return Animal.objects.bulk_create([*full, *(Animal(char=f"t{n}", text=text) for n, text in enumerate(TEXTS))])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("lane", ["COPY", "ORM"])
def test_every_field_type_comes_back_as_it_was(user, animals, form, lane):
    fields = SPELLED if lane == "COPY" else [*SPELLED, "shout"]
    operation = bulkql.export(Animal, user=user, format=form, fields=fields)
    (file,) = operation.files

    for verb in VERBS:
        assert_unchanged(sent_back(user, verb, file, model=Animal), len(animals))


@pytest.mark.parametrize("form", FORMATS)
def test_both_lanes_write_the_same_rows(user, animals, form, monkeypatch):
    fields = [name for name in SPELLED if name not in ("duration", "json")]  # which both spell in their own way
    copied = bulkql.export(Animal, user=user, format=form, fields=fields).files[0].read()
    monkeypatch.setattr(postgres, "KNOWN", frozenset())

    saved = bulkql.export(Animal, user=user, format=form, fields=fields).files[0].read()

    assert (saved == copied) or form == "XLSX"  # which has its own time in it


@pytest.mark.postgresql
@pytest.mark.parametrize("form", ["CSV", "PARQUET", "XLSX"])  # what NDJSON has within objects is read by Python
def test_numbers_in_json_keep_the_digits_that_python_would_round(user, form):
    Animal.objects.create(char="a")
    with connection.cursor() as cursor:
        cursor.execute("""UPDATE zoo_animal SET json = '{"a": 0.12345678901234567890, "b": [1.50, 1e25]}'""")
    (file,) = bulkql.export(Animal, user=user, format=form, fields=["token", "json"]).files

    for verb in VERBS:
        assert_unchanged(sent_back(user, verb, file, model=Animal), 1)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("lane", ["COPY", "ORM"])
def test_the_null_of_json_stays_what_it_is(user, form, lane, monkeypatch):
    if lane == "ORM":
        monkeypatch.setattr(postgres, "KNOWN", frozenset())
    Animal.objects.bulk_create(
        [Animal(char="a", json=Value(None, JSONField())), Animal(char="b"), Animal(char="c", json=0)]
    )
    (file,) = bulkql.export(Animal, user=user, format=form, fields=["token", "json"], order_by=["char"]).files

    for verb in VERBS:
        assert_unchanged(sent_back(user, verb, file, model=Animal), 3)
    assert list(Animal.objects.filter(json__isnull=True).values_list("char", flat=True)) == ["b"]


def test_nulls_and_empty_texts_stay_apart_in_csv(user):
    Item.objects.create(code="a", note=None)
    Item.objects.create(code="b", note="")
    (file,) = bulkql.export(Item, user=user, fields=["code", "note"]).files

    assert file.read() == b'code,note\na,\nb,""\n'
    assert_unchanged(sent_back(user, Verb.UPDATE, file, model=Item, empty_cells=EmptyCells.NULL), 2)


def test_formulas_are_guarded_where_there_are_any_and_nowhere_else(user):
    Item.objects.create(code="a", note="=1+1")
    Item.objects.create(code="b", note="-5")

    (guarded,) = bulkql.export(Item, user=user, fields=["code", "note"]).files
    (plain,) = bulkql.export(Item, user=user, fields=["code", "note"], where=Q(code="b")).files

    assert guarded.read() == b"code,note,'\na,'=1+1,\nb,-5,\n"
    assert plain.read() == b"code,note\nb,-5\n"


@pytest.mark.parametrize("form", ["CSV", "NDJSON", "PARQUET"])
@pytest.mark.parametrize("compression", ["GZIP", "ZSTD"])
def test_compressed_files_come_back_too(user, animals, form, compression):
    (file,) = bulkql.export(Animal, user=user, format=form, compression=compression).files

    assert_unchanged(sent_back(user, Verb.UPDATE, file, model=Animal), len(animals))


@pytest.mark.parametrize("form", FORMATS)
def test_lists_come_back_by_keys_and_by_names(user, form):
    tags = [Tag.objects.create(name=name) for name in ("a,b", '["c"]', "=d")]
    keeper = Keeper.objects.create(code="k")
    for n in range(4):
        note = Note.objects.create(title=f"n{n}")
        note.tags.set(tags[:n])
        note.keepers.set([keeper] * (n % 2))

    for fields in (None, ["title", "tags.name", "keepers.code"]):
        (file,) = bulkql.export(Note, user=user, format=form, fields=fields).files
        for verb in VERBS:
            assert_unchanged(sent_back(user, verb, file, model=Note), 4)


@pytest.mark.parametrize("form", FORMATS)
def test_foreign_keys_come_back_by_keys_and_by_names(user, form):
    root = Folder.objects.create(name="root")
    Folder.objects.create(name="=leaf", parent=root)

    for fields in (None, ["name", "parent.name"]):
        (file,) = bulkql.export(Folder, user=user, format=form, fields=fields).files
        for verb in VERBS:
            assert_unchanged(sent_back(user, verb, file, model=Folder), 2)


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_out_of_sight_is_not_told_and_not_lost(user, form):
    shelf, hidden = Shelf.objects.create(code="a"), Shelf.objects.create(code="b", hidden=True)
    Toy.objects.create(sku="x", name="n", shelf=shelf)
    Toy.objects.create(sku="y", name="n", shelf=hidden)
    Toy.objects.create(sku="z", name="n", hidden=True)

    for fields in (None, ["sku", "shelf.code"]):
        (file,) = bulkql.export(Toy, user=user, format=form, fields=fields).files
        assert file.rows == 2
        for verb in VERBS:
            assert_unchanged(sent_back(user, verb, file, model=Toy), 2)
    assert Toy.objects.get(sku="y").shelf == hidden


def test_mended_rows_change_and_the_others_stay(user):
    Item.objects.bulk_create(Item(code=f"c{n}") for n in range(3))
    (file,) = bulkql.export(Item, user=user).files
    mended = file.read().replace(b'c1,""', b"c1,mended", 1)

    item = InputRequest(
        resource=resource_of(Item), content=ContentFile(mended, "items.csv"),
        file_options=FileOptions(format=FileFormat.CSV),
    )  # fmt: skip
    done = Done(run(BulkRequest(verb=Verb.UPDATE, user=user, inputs=[item], mode=Mode.SYNC)))

    assert done.outcomes == ["UNCHANGED", "UPDATED", "UNCHANGED"]
    assert Item.objects.get(code="c1").name.startswith("mended")


#: Texts of which a line of its own could be taken for none.
ALONE = ["", " ", "  \n ", "\x1a", "sep=;", "x", "'", '"']


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("lane", ["COPY", "ORM"])
def test_a_column_alone_keeps_all_of_its_rows(user, form, lane, monkeypatch):
    if lane == "ORM":
        monkeypatch.setattr(postgres, "KNOWN", frozenset())
    Item.objects.bulk_create(Item(code=text) for text in ALONE)
    (file,) = bulkql.export(Item, user=user, format=form, fields=["code"]).files

    done = sent_back(user, Verb.UPSERT, file, model=Item)

    assert (len(done.outcomes), Item.objects.count()) == (len(ALONE), len(ALONE))
    assert {row["data"] for row in done.errors} <= {"", None}  # no key of its own is blank


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("lane", ["COPY", "ORM"])
@pytest.mark.parametrize(
    "fields", [["qty"], ["note"], ["qty", "note", "colour"], ["binary", "plate"], ["keeper.code"], ["json"]]
)
def test_rows_of_nothing_but_nulls_and_blanks_are_rows(user, form, lane, fields, monkeypatch):
    if lane == "ORM":
        monkeypatch.setattr(postgres, "KNOWN", frozenset())
    notes = [None, "", " ", "\N{NO-BREAK SPACE}\n\x1f", "=1", "'", "x"]
    Item.objects.bulk_create(Item(code=f"c{n}", qty=n or None, note=note) for n, note in enumerate(notes))
    json = Value(None, JSONField())
    Animal.objects.bulk_create(Animal(char=f"c{n}", binary=b"" if n else None, json=json) for n in range(len(notes)))
    model = Item if "note" in fields or "qty" in fields else Animal
    (file,) = bulkql.export(model, user=user, format=form, fields=fields).files

    done = sent_back(user, Verb.CREATE, file, model=model)

    assert (file.rows, len(done.outcomes)) == (len(notes), len(notes))
    assert {row["code"] for row in done.errors} <= {"REQUIRED"}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("lane", ["COPY", "ORM"])
@pytest.mark.parametrize("fields", [["code"], ["code", "note"]])
def test_no_rows_come_back_as_none(user, form, lane, fields, monkeypatch):
    if lane == "ORM":
        monkeypatch.setattr(postgres, "KNOWN", frozenset())

    (file,) = bulkql.export(Item, user=user, format=form, fields=fields).files

    assert file.rows == 0
    assert file.read() == f"{','.join(fields)}\n".encode() or form != "CSV"


@pytest.mark.parametrize("fields", [["note"], ["note", "code"]])
def test_rows_that_django_reads_keep_their_order_in_csv(user, fields, monkeypatch):
    monkeypatch.setattr(postgres, "KNOWN", frozenset())
    texts = ["a\nb", 'say "x"', "c"] * 10_000
    Item.objects.bulk_create(Item(code=f"c{n}", note=f"{text}{n}") for n, text in enumerate(texts))

    (file,) = bulkql.export(Item, user=user, fields=fields).files

    _, *rows = csv.reader(io.StringIO(file.read().decode(), newline=""), strict=True)
    assert [row[0] for row in rows] == [f"{text}{n}" for n, text in enumerate(texts)]


def test_a_row_of_nulls_has_a_cell_that_says_so(user):
    Item.objects.bulk_create([Item(code="a", qty=1), Item(code="b")])

    (whole,) = bulkql.export(Item, user=user, fields=["qty", "big"]).files
    (filled,) = bulkql.export(Item, user=user, fields=["qty", "big"], where=Q(code="a")).files

    assert whole.read() == b"qty,big,'\n1,,\n,,'\n"
    assert filled.read() == b"qty,big\n1,\n"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("zone", ["America/St_Johns", "UTC", "Asia/Tokyo"])
def test_moments_at_the_ends_of_the_calendar_come_back_in_every_zone(user, form, zone, settings):
    settings.TIME_ZONE = zone
    ends = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(microsecond=0, tzinfo=UTC))
    Animal.objects.bulk_create(Animal(char=f"c{place}", datetime=one) for place, one in enumerate(ends))
    (file,) = bulkql.export(Animal, user=user, format=form, fields=["token", "datetime"]).files

    assert_unchanged(sent_back(user, Verb.UPDATE, file, model=Animal), 2)
