"""Values that a resource makes: prepare_rows before rows are validated, before_write just before they are written."""

from __future__ import annotations

from datetime import date
from itertools import product

import polars as pl
import pytest
from django.core.files.base import ContentFile

from bulkql.workers.enums import OnError, State, Verb
from bulkql.workers.errors import HookFailed
from bulkql.workers.intake.requests import BulkRequest, InputRequest, Mode
from bulkql.workers.models import Operation
from bulkql.workers.operations import running
from bulkql.workers.readers.options import FileFormat, FileOptions
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.writers import merging, postgres, table
from tests.conftest import Done
from tests.zoo.bulk import Animals, Notes, Tags, Toys
from tests.zoo.models import Animal, Keeper, Note, Tag, Toy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["COPY", "ORM"])
def _lane(request, monkeypatch):
    """Both writers."""
    if request.param == "ORM":
        for module in (postgres, merging, table):
            monkeypatch.setattr(module, "is_copyable", lambda model: False)


@pytest.fixture
def rule(monkeypatch):
    """Give a resource a rule: rule(Tags, "before_write", lambda rows: ...)."""

    def give(resource, name, make):
        monkeypatch.setattr(resource, name, lambda self, rows: make(rows))

    return give


def tags():
    return list(Tag.objects.order_by("pk").values_list("name", "color", "number"))


def from_file(user, name, text, verb=Verb.CREATE, **options):
    inputs = [
        InputRequest(
            resource=resource_named(name),
            content=ContentFile(text, name="rows.csv"),
            file_options=FileOptions(format=FileFormat.CSV),
        )
    ]
    return Done(running.run(BulkRequest(verb=verb, user=user, inputs=inputs, mode=Mode.SYNC, **options)))


@pytest.mark.usefixtures("_lane")
def test_rows_are_made_in_each_verb_that_writes(bulk, rule):
    rule(Tags, "prepare_rows", lambda rows: rows.with_columns(pl.col("name").str.strip_chars().str.to_lowercase()))
    rule(Tags, "before_write", lambda rows: rows.with_columns(color=pl.format("of {}", "name"), number=pl.lit(7)))
    for verb, is_dry in product((Verb.CREATE, Verb.UPDATE, Verb.REPLACE, Verb.UPSERT), (False, True)):
        Tag.objects.all().delete()
        if verb != Verb.CREATE:
            Tag.objects.create(name="one", color="red")
        before = tags()

        done = bulk(verb, "tags", [{"name": " ONE ", "color": "x"}], dry_run=is_dry)

        assert (done.outcomes, done.errors) == (["CREATED" if verb == Verb.CREATE else "UPDATED"], [])
        assert tags() == (before if is_dry else [("one", "of one", 7)])


@pytest.mark.parametrize("on_error", OnError)
def test_rows_of_a_file_are_made_too_and_chunk_by_chunk(user, rule, on_error):
    rule(Tags, "prepare_rows", lambda rows: rows.with_columns(number=pl.col("number").str.replace(",", "")))
    rule(Tags, "before_write", lambda rows: rows.with_columns(color=pl.col("name").str.to_uppercase()))

    done = from_file(user, "tags", b'name,number\na,"1,000"\nb,\nc,"2,000"\n', chunk_size=2, on_error=on_error)

    assert done.outcomes == ["CREATED"] * 3
    assert tags() == [("a", "A", 1000), ("b", "B", None), ("c", "C", 2000)]


def test_deletes_make_nothing(bulk, rule):
    Tag.objects.create(name="one")
    for hook in ("prepare_rows", "before_write"):
        rule(Tags, hook, lambda rows: rows.clear())

    assert bulk(Verb.DELETE, "tags", [{"name": "one"}]).outcomes == ["DELETED"]


def test_what_comes_to_prepare_rows_is_what_was_sent(create, rule):
    seen = []
    rule(Tags, "prepare_rows", lambda rows: seen.append(rows) or rows)

    done = create(
        "tags",
        [
            {"name": "a", "number": 7},
            {"name": "b", "number": None},
            {"name": 5, "color": "c"},
            {"name": "d", "number": "8"},
        ],
    )

    assert seen[-1].to_dict(as_series=False) == {
        "row": [0, 1, 2, 3],
        "name": ["a", "b", "5", "d"],
        "color": [None, None, "c", None],
        "number": ["7", None, None, "8"],
        "given:name": [True, True, True, True],
        "given:color": [False, False, True, False],
        "given:number": [True, True, False, True],
    }
    # What it leaves as it is, is judged as it was sent: 5 is no text, and "8" no number.
    assert done.codes == [(2, "name", "INVALID"), (3, "number", "INVALID")]
    assert tags() == [("a", "", 7), ("b", "", None)]


@pytest.mark.usefixtures("_lane")
def test_a_value_that_is_filled_in_counts_as_given_and_others_do_not(bulk, rule):
    Tag.objects.create(name="a", color="red", number=1)
    Tag.objects.create(name="b", color="red", number=2)
    filled = pl.when(pl.col("name") == "a").then(pl.lit("blue"))
    rule(Tags, "prepare_rows", lambda rows: rows.with_columns(color=filled))
    rule(Tags, "before_write", lambda rows: rows.with_columns(number=pl.when(pl.col("name") == "b").then(9)))

    bulk(Verb.UPDATE, "tags", [{"name": "a"}, {"name": "b"}])

    assert tags() == [("a", "blue", 1), ("b", "red", 9)]


def test_a_row_can_be_told_to_give_nothing_or_null(bulk, rule):
    Tag.objects.create(name="a", color="red", number=1)
    no_color = {"given:color": pl.lit(False)}
    rule(Tags, "prepare_rows", lambda rows: rows.with_columns(pl.lit(None).alias("number"), **no_color))

    bulk(Verb.UPDATE, "tags", [{"name": "a", "color": "blue", "number": 5}])

    assert tags() == [("a", "red", None)]


def test_keys_are_compared_as_they_are_prepared(bulk, user, rule):
    rule(Tags, "prepare_rows", lambda rows: rows.with_columns(pl.col("name").str.to_lowercase()))

    inline = bulk(Verb.UPSERT, "tags", [{"name": "A", "number": 1}, {"name": "a", "number": 2}], chunk_size=1)
    file = from_file(user, "tags", b"name,number\nB,3\nb,4\n", Verb.UPSERT, chunk_size=1)

    for done in (inline, file):
        assert done.codes == [(0, "name", "DUPLICATE_IN_REQUEST")]
        assert done.outcomes == ["FAILED", "CREATED"]
    assert tags() == [("a", "", 2), ("b", "", 4)]


def test_prepare_rows_may_give_numbers_dates_and_names_of_targets(create, rule):
    Keeper.objects.create(code="ada")
    values = {"big": pl.lit(5), "decimal": pl.lit(1.25), "date": pl.lit(date(2024, 2, 29)), "boolean": pl.lit(False)}
    rule(Animals, "prepare_rows", lambda rows: rows.with_columns(**values, keeper=pl.lit("ada")))

    create("animals", [{"char": "ab"}])

    (one,) = Animal.objects.all()
    assert (one.big, str(one.decimal), one.date, one.boolean) == (5, "1.25", date(2024, 2, 29), False)
    assert one.keeper_id == "ada"


def test_lists_are_made_too(create, rule):
    pks = [str(Tag.objects.create(name=name).pk) for name in "ab"]
    rule(Notes, "prepare_rows", lambda rows: rows.with_columns(tags=pl.lit(pks[0])))
    create("notes", [{"title": "one"}])
    rule(Notes, "before_write", lambda rows: rows.with_columns(tags=pl.lit(pks)))
    create("notes", [{"title": "two"}])

    assert [[tag.name for tag in note.tags.order_by("name")] for note in Note.objects.order_by("title")] == [
        ["a"],
        ["a", "b"],
    ]


def test_a_field_that_no_row_may_give_is_given_by_the_rules(bulk, rule, monkeypatch):
    monkeypatch.setattr(Toys, "writable_fields", lambda self, user: ("sku", "name"))
    rule(Toys, "prepare_rows", lambda rows: rows.with_columns(price=pl.lit("1.50")))
    rule(Toys, "before_write", lambda rows: rows.with_columns(stock=pl.lit(3)))

    created = bulk(Verb.CREATE, "toys", [{"sku": "a", "name": "n"}, {"sku": "b", "name": "n", "stock": 5}])
    Toy.objects.update(stock=0)
    bulk(Verb.UPDATE, "toys", [{"sku": "a", "name": "m"}])

    assert created.codes == [(1, "stock", "FORBIDDEN")]
    assert list(Toy.objects.values_list("sku", "name", "stock")) == [("a", "m", 3)]


def test_rows_that_are_moved_are_put_back(create, rule):
    rule(Tags, "prepare_rows", lambda rows: rows.sort("name"))
    rule(Tags, "before_write", lambda rows: rows.sort("name", descending=True).with_columns(color="name"))

    done = create("tags", [{"name": name} for name in "bca"])

    assert done.outcomes == ["CREATED"] * 3
    assert tags() == [("b", "b", None), ("c", "c", None), ("a", "a", None)]


def test_what_a_rule_makes_and_the_database_refuses_is_an_error_of_its_row(create, rule):
    create("tags", [{"name": "taken"}])
    rule(Tags, "before_write", lambda rows: rows.with_columns(pl.col("name").str.replace("b", "taken")))

    done = create("tags", [{"name": name} for name in "xbc"])

    assert done.outcomes == ["CREATED", "FAILED", "CREATED"]


def test_a_key_that_found_its_row_is_not_changed_afterwards(bulk, rule):
    Tag.objects.create(name="a")
    rule(Tags, "before_write", lambda rows: rows.with_columns(pl.col("name").str.to_uppercase()))

    with pytest.raises(HookFailed) as failed:
        bulk(Verb.UPSERT, "tags", [{"name": "a", "number": 1}])

    assert str(failed.value) == (
        "before_write of Tags changed name, by which rows are found; change it in prepare_rows."
    )


def test_an_operation_whose_rule_gives_nonsense_ends_with_its_message(user, rule, monkeypatch):
    own = {hook: getattr(Tags, hook) for hook in ("prepare_rows", "before_write")}
    for hook in own:
        rule(Tags, hook, lambda rows: None)
        for options in ({}, {"dry_run": True}, {"on_error": OnError.REJECT_ALL}):
            done = from_file(user, "tags", b"name\na\nb\n", **options)

            assert done.operation.state == State.FAILED
            assert done.operation.message == f"{hook} of Tags returned None; it has to return a polars DataFrame."
        monkeypatch.setattr(Tags, hook, own[hook])
    assert tags() == []


def test_a_request_whose_rule_gives_nonsense_is_told_and_not_stored(create, rule):
    rule(Tags, "before_write", lambda rows: rows.head(1))

    with pytest.raises(HookFailed) as failed:
        create("tags", [{"name": "a"}, {"name": "b"}])

    assert failed.value.extensions == {"code": "INTERNAL"}
    assert (tags(), Operation.objects.count()) == ([], 0)
