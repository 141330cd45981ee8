"""bulkCreate against the real PostgreSQL: what is written is what the ORM would have written."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from bulkql.examples.ledger.models import FinancialAccount
from tests.zoo.models import Animal, Keeper
from tests.zoo.rows import FULL

pytestmark = pytest.mark.django_db(transaction=True)


def test_rows_are_written_in_input_order(create):
    done = create("financialAccounts", [{"name": "Cash"}, {"name": "Bank"}, {"name": "Safe"}], chunk_size=2)

    stored = list(FinancialAccount.objects.order_by("pk").values_list("pk", "name"))
    assert [name for _, name in stored] == ["Cash", "Bank", "Safe"]
    assert done.results == [
        {"resource": "financialAccounts", "index": index, "outcome": "CREATED", "pk": str(pk)}
        for index, (pk, _) in enumerate(stored)
    ]


def test_every_field_type_is_written(create):
    Keeper.objects.create(code="ada")
    row = {**FULL, "token": "12345678-1234-5678-1234-567812345678"}
    before = timezone.now()

    done = create("animals", [row])

    assert done.errors == []
    stored = Animal.objects.values().get()
    assert before <= stored.pop("created") <= stored.pop("changed") <= timezone.now()
    assert stored | {"binary": bytes(stored["binary"])} == {
        "id": int(done.results[0]["pk"]),
        "big": 2**62,
        "binary": b"\x00\x01\x02",
        "boolean": False,
        "char": "full",
        "date": date(2024, 2, 29),
        "datetime": datetime(2024, 2, 29, 10, tzinfo=UTC),
        "decimal": Decimal("1234.50"),
        "duration": timedelta(days=1, hours=2, minutes=3, seconds=4),
        "email": "a@b.org",
        "number": 1.5,
        "address": "::1",
        "integer": 4,
        "json": {"a": [1, None, "x"]},
        "positive": 3,
        "shout": "HEY",
        "size": 2,
        "slug": "a-b",
        "plate": "AB-12",
        "text": 'line\nbreak, "quoted" \\. ',
        "time": time(10, 11, 12),
        "token": uuid.UUID("12345678-1234-5678-1234-567812345678"),
        "keeper_id": "ada",
        "born": datetime(2020, 1, 1, tzinfo=UTC),
        "secret": "hidden",
        "loud": "FULL",
    }


def test_missing_fields_take_the_defaults_that_the_orm_gives(create):
    before = timezone.now()

    create("animals", [{"char": "bulk"}, {"char": "given", "integer": 8, "born": None, "text": "t"}])

    Animal.objects.create(char="orm")
    by_orm = Animal.objects.get(char="orm")
    by_bulk = Animal.objects.get(char="bulk")
    different = {"id", "char", "loud", "token", "born", "created", "changed"}
    for field in Animal._meta.concrete_fields:
        if field.name not in different:
            assert getattr(by_bulk, field.attname) == getattr(by_orm, field.attname), field.name
    assert by_bulk.token != by_orm.token
    assert before <= by_bulk.born <= timezone.now()
    assert before <= by_bulk.created <= timezone.now()


def test_null_is_not_missing(create):
    done = create("animals", [{"char": "null", "integer": None}, {"char": "null too", "decimal": None}])

    assert done.codes == [(0, "integer", "NULL_NOT_ALLOWED")]
    assert Animal.objects.get().decimal is None


@pytest.mark.postgresql
def test_each_guilty_row_is_named_and_its_neighbours_are_written(create):
    create("animals", [{"char": "old", "token": "00000000-0000-0000-0000-000000000001", "text": "Once"}])
    rows: list[dict[str, Any]] = [{"char": f"good {number}"} for number in range(100)]
    rows[10] = {"char": "taken", "token": "00000000-0000-0000-0000-000000000001"}
    rows[20] = {"char": "unicorn"}
    rows[30] = {"char": "case", "text": "ONCE"}
    rows[40] = {"char": "first", "text": "twice"}
    rows[50] = {"char": "second", "text": "TWICE"}
    rows[60] = {"char": "lost", "keeper": "nobody"}
    rows[70] = {"char": "odd", "integer": 3}

    done = create("animals", rows, chunk_size=1000)

    twice = (40, "text", "DUPLICATE_IN_REQUEST", "Row 50 of this request has the same text; the last one counts.")
    if connection.vendor != "postgresql":
        # Elsewhere the database is not asked before: what it refuses is found by halving, and the first row is in.
        twice = (50, None, "ALREADY_EXISTS", "Constraint “text_once_in_any_case” is violated.")
    assert [(*error, message["message"]) for error, message in zip(done.codes, done.errors, strict=True)] == [
        (10, "token", "ALREADY_EXISTS", "Another animal with this token already exists."),
        (20, None, "CONSTRAINT", "Unicorns do not exist."),
        (30, None, "ALREADY_EXISTS", "Constraint “text_once_in_any_case” is violated."),
        twice,
        (60, "keeper", "REFERENCE_NOT_FOUND", "There is no keeper nobody."),
        (70, "integer", "INVALID", "3 is not even."),
    ]
    assert Animal.objects.count() == 1 + 94


@pytest.mark.postgresql
def test_key_that_is_taken_where_the_sequence_lags_behind_is_a_row_error(create):
    done = create("financialAccounts", [{"name": "first"}])
    last = int(done.results[0]["pk"])
    FinancialAccount.objects.create(pk=last + 2, name="put there by hand")

    done = create("financialAccounts", [{"name": name} for name in ("a", "b", "put there by hand", "c")])

    message = "Another financial account with this {} already exists."
    assert [(row["index"], row["code"], row["path"], row["message"]) for row in done.errors] == [
        (1, "ALREADY_EXISTS", "id", message.format("id")),
        (2, "ALREADY_EXISTS", "name", message.format("name")),
    ]
    assert set(FinancialAccount.objects.values_list("pk", "name")) == {
        (last, "first"),
        (last + 1, "a"),
        (last + 2, "put there by hand"),
        (last + 4, "c"),
    }


def test_duplicates_across_chunks_the_last_row_counts(create):
    rows = [{"name": name} for name in ("a", "b", "a", "c", "b", "a")]

    done = create("financialAccounts", rows, chunk_size=1)

    assert done.outcomes == ["FAILED", "FAILED", "FAILED", "CREATED", "CREATED", "CREATED"]
    assert [(error["index"], error["message"]) for error in done.errors] == [
        (0, "Row 5 of this request has the same name; the last one counts."),
        (1, "Row 4 of this request has the same name; the last one counts."),
        (2, "Row 5 of this request has the same name; the last one counts."),
    ]


@pytest.fixture
def trigger() -> Iterator[None]:
    """A rule that only the database knows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF NEW.name LIKE 'bad%' THEN RAISE EXCEPTION 'secret of the house'; END IF; RETURN NEW; END $$;"
            "CREATE TRIGGER refuse BEFORE INSERT ON ledger_financialaccount FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER refuse ON ledger_financialaccount; DROP FUNCTION refuse()")


@pytest.mark.postgresql
def test_row_that_a_trigger_rejects_is_named(create, trigger):
    done = create("financialAccounts", [{"name": name} for name in ("good", "bad", "better", "bad too", "best")])

    assert done.codes == [(1, None, "REJECTED"), (3, None, "REJECTED")]
    assert "secret" not in str(done.errors)
    assert list(FinancialAccount.objects.order_by("pk").values_list("name", flat=True)) == ["good", "better", "best"]


@pytest.mark.postgresql
def test_parent_that_vanishes_while_its_children_are_written_is_a_row_error(create, monkeypatch):
    from bulkql.workers.operations import rows
    from bulkql.workers.validation.values import Validated

    Keeper.objects.bulk_create([Keeper(code="stays"), Keeper(code="leaves")])

    def resolve_then_lose(resource: Any, validated: Validated, user: Any) -> Validated:
        Keeper.objects.filter(code="leaves").delete()
        return validated

    monkeypatch.setattr(rows, "resolve", resolve_then_lose)

    done = create("animals", [{"char": "one", "keeper": "stays"}, {"char": "two", "keeper": "leaves"}])

    assert done.codes == [(1, "keeper", "REFERENCE_NOT_FOUND")]
    assert Animal.objects.get().char == "one"


def test_rows_that_give_nothing_are_told_what_they_lack(create):
    done = create("animals", [{}, "no object", None])

    assert done.codes == [
        (0, "char", "REQUIRED"),
        (1, None, "INVALID"),
        (2, None, "INVALID"),
    ]
