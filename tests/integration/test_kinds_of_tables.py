"""Tables that PostgreSQL allows and that projects have: all writers treat their rows as those of any other table."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, date, datetime
from uuid import uuid4

import polars as pl
import pytest
from django.db import connection, models
from django.db.models import F, Value
from django.db.models.lookups import GreaterThan

from bulkql.workers.columns.column import column_for
from bulkql.workers.columns.copying import database_defaults, with_defaults
from bulkql.workers.enums import Verb
from bulkql.workers.exports.rows import selected
from bulkql.workers.resources.registry import field_of
from tests.integration.writers import LANES, take_lane
from tests.zoo.models import Animal, Folder, Item, Shelf, Toy

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]

CREATING = [Verb.CREATE, Verb.UPSERT]


@pytest.fixture(params=LANES)
def lane(request, monkeypatch):
    take_lane(request.param, monkeypatch)
    return request.param


def run(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("verb", CREATING)
def test_identity_columns_that_always_count(bulk, verb):
    run("ALTER TABLE zoo_folder ALTER id SET GENERATED ALWAYS")

    done = bulk(verb, "folders", [{"name": "a"}, {"name": "b"}])

    assert done.outcomes == ["CREATED", "CREATED"]
    assert list(Folder.objects.order_by("name").values_list("name", flat=True)) == ["a", "b"]


def test_identity_columns_that_always_count_beside_a_guilty_row(bulk):
    run("ALTER TABLE zoo_toy ALTER id SET GENERATED ALWAYS; CREATE UNIQUE INDEX ON zoo_toy (lower(name))")

    done = bulk(Verb.CREATE, "toys", [{"sku": "a", "name": "n"}, {"sku": "b", "name": "N"}, {"sku": "c", "name": "o"}])

    assert sorted(done.outcomes) == ["CREATED", "CREATED", "FAILED"]
    assert Toy.objects.count() == 2


@pytest.fixture
def _in_other_schema(db, monkeypatch):
    """The table of folders."""
    run("CREATE SCHEMA sales; ALTER TABLE zoo_folder SET SCHEMA sales")
    forget_columns()
    with monkeypatch.context() as patched:
        patched.setattr(Folder._meta, "db_table", '"sales"."zoo_folder"')
        yield
    forget_columns()


def forget_columns():
    """Django remembers the columns of a model with the name of its table."""
    for field in Folder._meta.concrete_fields:
        vars(field).pop("cached_col", None)


@pytest.mark.usefixtures("_in_other_schema")
@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.REPLACE, Verb.UPSERT, Verb.SYNC, Verb.DELETE])
def test_tables_of_other_schemas(bulk, lane, verb):
    root = Folder.objects.create(name="root")
    Folder.objects.create(name="a")

    done = bulk(verb, "folders", [{"name": "a"} if verb == Verb.DELETE else {"name": "a", "parent": root.pk}])

    assert done.errors == []
    assert done.outcomes == ["DELETED" if verb == Verb.DELETE else "UPDATED"]


@pytest.mark.parametrize("lane", ["COPY", "SAVE"], indirect=True)
@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.UPSERT, Verb.SYNC])
def test_types_that_have_no_equality(bulk, lane, verb):
    run("ALTER TABLE zoo_animal ALTER shout TYPE point USING NULL")
    row = {"char": "ab", "token": str(uuid4()), "shout": "(1,2)"}
    bulk(Verb.CREATE, "animals", [row])

    same = bulk(verb, "animals", [row])
    other = bulk(verb, "animals", [row | {"shout": "(2,1)"}])

    assert (same.outcomes, other.outcomes) == (["UNCHANGED"], ["UPDATED"])
    assert Animal.objects.values_list("shout", flat=True).get() == "(2,1)"


class Defaulted(models.Model):
    """Defaults that are written otherwise than the values of their fields."""

    flag = models.BooleanField(default=1)
    day = models.DateField(default="2020-01-02")
    moment = models.DateTimeField(default=datetime(2020, 1, 2, 3))
    number = models.IntegerField(default="7", db_default=8)
    json = models.JSONField(db_default=Value({"a": 1}, models.JSONField()))

    class Meta:
        managed = False
        app_label = "zoo"

    def __str__(self) -> str:
        return self.day


DEFAULTS = {
    "flag": True,
    "day": date(2020, 1, 2),
    "moment": datetime(2020, 1, 2, 3, tzinfo=UTC),
    "number": 7,
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_fill_gaps_between_values(name):
    column = column_for(field_of(Defaulted, name))
    given = pl.Series([DEFAULTS[name], None], dtype=column.dtype)

    filled = with_defaults(column, given, pl.Series([True, False]), "default")

    assert filled.to_list() == [DEFAULTS[name]] * 2


def test_defaults_of_the_database_are_values_of_the_field():
    assert database_defaults("default", field_of(Defaulted, "json"), 2) == [{"a": 1}] * 2


def test_a_replacement_puts_back_what_the_database_gives_by_default(bulk, lane):
    """A moment, as Animal.born has it."""
    token = str(uuid4())
    bulk(Verb.CREATE, "animals", [{"char": "ab", "token": token, "born": "2001-01-01T00:00:00Z"}])

    done = bulk(Verb.REPLACE, "animals", [{"char": "ab", "token": token}])

    assert (done.outcomes, done.errors) == (["UPDATED"], [])
    assert Animal.objects.get().born.year > 2001


def test_words_of_a_constraint_that_hold_a_percent_sign(bulk, monkeypatch):
    constraint = next(one for one in Animal._meta.constraints if one.name == "no_unicorns")
    monkeypatch.setattr(constraint, "violation_error_message", "Unicorns are 100% fiction.")

    done = bulk(Verb.CREATE, "animals", [{"char": "unicorn"}, {"char": "horse"}])

    assert done.outcomes == ["FAILED", "CREATED"]
    assert done.errors[0]["message"] == "Unicorns are 100% fiction."


@pytest.mark.parametrize("state", ["P0001", "45000", "UE123"])
def test_triggers_raise_what_they_like(bulk, lane, state):
    run(
        f"""
        CREATE FUNCTION refuse_some() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.sku = 'x' THEN RAISE 'not that one' USING ERRCODE = '{state}'; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER refuse_some BEFORE INSERT ON zoo_toy FOR EACH ROW EXECUTE FUNCTION refuse_some();
        """
    )

    done = bulk(Verb.CREATE, "toys", [{"sku": "x", "name": "n"}, {"sku": "n", "name": "n"}])

    assert (done.outcomes, done.codes) == (["FAILED", "CREATED"], [(0, None, "REJECTED")])
    assert done.errors[0]["message"] == f"The database rejected the row ({state})."


def test_empty_values_that_rows_do_not_give(bulk, lane, monkeypatch):
    """`blank=False` is about what a row gives, and neither about a default nor about what the table has."""
    shout, email = field_of(Animal, "shout"), field_of(Animal, "email")
    monkeypatch.setattr(shout, "default", "")
    monkeypatch.setattr(shout, "blank", False)
    vars(shout).pop("_get_default", None)
    token = str(uuid4())
    created = bulk(Verb.CREATE, "animals", [{"char": "ab", "token": token}])
    monkeypatch.setattr(email, "blank", False)

    updated = bulk(Verb.UPDATE, "animals", [{"char": "abc", "token": token}])

    assert (created.errors, updated.errors) == ([], [])
    assert Animal.objects.values_list("char", "shout", "email").get() == ("abc", "", "")


class Numbered(models.Model):
    """Fields that are called as Django calls expressions."""

    f1 = models.IntegerField()
    f2 = models.IntegerField()

    class Meta:
        managed = False
        app_label = "zoo"

    def __str__(self) -> str:
        return str(self.f1)


def test_fields_that_are_called_as_expressions_are_exported():
    rows = selected(Numbered._base_manager.all(), [F("f2"), F("f1")])

    assert str(rows.query).startswith('SELECT "zoo_numbered"."f2" AS')


@pytest.mark.parametrize("lane", ["COPY", "SAVE"], indirect=True)
@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPDATE, Verb.UPSERT])
def test_values_that_only_their_type_refuses(bulk, lane, verb):
    """Those of an enum and of a domain; the neighbours are written, and COPY knows the field."""
    run(
        """
        CREATE TYPE mood AS ENUM ('SAD', 'OK', 'QUIET'); CREATE DOMAIN odd AS integer CHECK (VALUE % 2 = 1);
        ALTER TABLE zoo_animal ALTER shout TYPE mood USING shout::mood, ALTER positive TYPE odd;
        """
    )
    rows = [{"char": "ab", "token": str(uuid4()), "positive": 1} for _ in range(4)]
    if verb == Verb.UPDATE:
        bulk(Verb.CREATE, "animals", rows)
    changed = zip(rows, [{"shout": "ok"}, {"shout": "glad"}, {"positive": 2}, {"shout": "sad"}], strict=True)

    done = bulk(verb, "animals", [row | change for row, change in changed])

    became = "UPDATED" if verb == Verb.UPDATE else "CREATED"
    assert done.outcomes == [became, "FAILED", "FAILED", became]
    assert [(index, code) for index, _, code in done.codes] == [(1, "INVALID"), (2, "CONSTRAINT")]
    assert lane == "SAVE" or done.errors[0]["path"] == "shout"
    assert sorted(Animal.objects.exclude(shout="QUIET").values_list("shout", flat=True)) == ["OK", "SAD"]


@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPDATE])
def test_checks_that_fail_for_a_row(bulk, lane, monkeypatch, verb):
    check = models.CheckConstraint(condition=GreaterThan(Value(10) / F("stock"), 0), name="ten_by_stock")
    run("ALTER TABLE zoo_toy ADD CHECK (10 / stock > 0)")
    monkeypatch.setattr(Toy._meta, "constraints", [*Toy._meta.constraints, check])
    if verb == Verb.UPDATE:
        Toy.objects.bulk_create([Toy(sku=sku, name="n", stock=1) for sku in "abc"])

    done = bulk(
        verb, "toys", [{"sku": sku, "name": "n", "stock": stock} for sku, stock in zip("abc", (2, 0, 20), strict=True)]
    )

    became = "UPDATED" if verb == Verb.UPDATE else "CREATED"
    assert done.outcomes == [became, "FAILED", "FAILED"]
    assert [(index, code) for index, _, code in done.codes] == [(1, "INVALID"), (2, "CONSTRAINT")]


def test_what_a_dry_run_shows_of_fields_that_cannot_write_their_values(bulk, monkeypatch):
    """A field that is derived from BinaryField and holds texts, as encrypted ones do."""

    def for_bytes(self, row):
        return b64encode(self.value_from_object(row)).decode()

    monkeypatch.setattr(type(field_of(Animal, "shout")), "value_to_string", for_bytes, raising=False)
    row = {"char": "ab", "token": str(uuid4())}
    bulk(Verb.CREATE, "animals", [row | {"shout": "a"}])

    plan = bulk(Verb.UPDATE, "animals", [row | {"shout": "b"}], dry_run=True)

    assert plan.results[0]["changes"] == '[["shout", "A", "B"]]'


def test_defaults_that_refer_to_no_row(bulk, lane, monkeypatch):
    keeper = field_of(Animal, "keeper")
    monkeypatch.setattr(keeper, "default", "nobody")
    vars(keeper).pop("_get_default", None)

    done = bulk(Verb.CREATE, "animals", [{"char": "ab"}, {"char": "ac", "keeper": None}])

    vars(keeper).pop("_get_default", None)
    assert done.outcomes == ["FAILED", "CREATED"]
    assert [(index, code) for index, _, code in done.codes] == [(0, "REFERENCE_NOT_FOUND")]


@pytest.mark.parametrize("checked", ["DEFERRABLE INITIALLY DEFERRED", ""], ids=["at the end", "at once"])
def test_rows_that_a_table_refers_to_of_which_nobody_told_django(bulk, lane, checked):
    kept, free = (Shelf.objects.create(code=code) for code in "ab")
    run(f"CREATE TABLE lamp (shelf bigint REFERENCES zoo_shelf {checked}); INSERT INTO lamp VALUES ({kept.pk})")

    done = bulk(Verb.DELETE, "shelves", [{"id": kept.pk}, {"id": free.pk}])

    assert done.outcomes == ["FAILED", "DELETED"]
    assert [(error["path"], error["code"]) for error in done.errors] == [(None, "CONSTRAINT")]
    assert "refer" in done.errors[0]["message"]


@pytest.mark.parametrize("key", ["id", "code"])
@pytest.mark.parametrize("checked", ["DEFERRABLE INITIALLY DEFERRED", ""], ids=["at the end", "at once"])
def test_rows_on_which_nothing_hangs_as_far_as_django_was_told(bulk, lane, checked, key):
    kept, free = (Item.objects.create(code=code) for code in "ab")
    run(f"CREATE TABLE lamp (item bigint REFERENCES zoo_item {checked}); INSERT INTO lamp VALUES ({kept.pk})")
    rows = [{key: getattr(one, "pk" if key == "id" else key)} for one in (kept, free)]

    done = bulk(Verb.DELETE, "items", rows, match_by=(key,))

    assert done.outcomes == ["FAILED", "DELETED"]
    assert [(error["path"], error["code"]) for error in done.errors] == [(None, "CONSTRAINT")]


@pytest.fixture
def _secured(db):
    """Row level security on shelves; the service is not their owner."""
    Shelf.objects.bulk_create([Shelf(code="a"), Shelf(code="x", note="mine")])
    run(
        """
        CREATE ROLE clerk; GRANT pg_read_all_data, pg_write_all_data TO clerk;
        ALTER TABLE zoo_shelf ENABLE ROW LEVEL SECURITY; CREATE POLICY not_mine ON zoo_shelf USING (note <> 'mine');
        SET LOCAL ROLE clerk;
        """
    )
    yield
    run("RESET ROLE")


@pytest.mark.usefixtures("_secured")
@pytest.mark.parametrize("lane", ["COPY", "SAVE"], indirect=True)
def test_row_level_security_refuses_rows(bulk, lane):
    created = bulk(Verb.CREATE, "shelves", [{"code": "b"}, {"code": "c", "note": "mine"}])
    updated = bulk(Verb.UPDATE, "shelves", [{"code": "a", "note": "mine"}, {"code": "b", "note": "n"}, {"code": "x"}])

    assert (created.outcomes, created.codes) == (["CREATED", "FAILED"], [(1, None, "FORBIDDEN")])
    assert updated.outcomes == ["FAILED", "UPDATED", "FAILED"]
    assert updated.codes == [(0, None, "FORBIDDEN"), (2, "code", "NOT_FOUND")]


@pytest.mark.usefixtures("_secured")
@pytest.mark.parametrize("lane", ["COPY", "SAVE"], indirect=True)
def test_keys_of_rows_that_row_level_security_hides(bulk, lane):
    done = bulk(Verb.UPSERT, "shelves", [{"code": "x"}, {"code": "a", "note": "n"}, {"code": "b"}])

    assert done.outcomes == ["FAILED", "UPDATED", "CREATED"]
    # Of a key that a policy hides, PostgreSQL does not name the columns.
    assert done.codes == [(0, None, "ALREADY_EXISTS") if lane == "SAVE" else (0, "code", "FORBIDDEN")]
