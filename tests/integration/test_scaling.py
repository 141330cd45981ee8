"""What a request costs grows as its rows do, and no faster: statements counted, plans looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.postgres.constraints import ExclusionConstraint
from django.db import connection
from django.db.models import PROTECT, RESTRICT, F, Func, Model
from django.db.models.signals import ModelSignal, post_init
from django.test.utils import CaptureQueriesContext

from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.workers.enums import Verb
from bulkql.workers.resources.registry import resource_named
from tests.zoo.models import Item, Keeper, Locker, Seal, Shelf, Toy, Wheel

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]

#: Statements for a chunk among whose rows some are bad; to look for them by halves takes four for each.
STATEMENTS = 100
ROWS = 60
EXCLUSION = ExclusionConstraint(
    name="no_overlapping_places", expressions=[(Func(F("place"), F("place") + 2, function="int4range"), "&&")]
)


@pytest.fixture
def statements() -> Iterator[CaptureQueriesContext]:
    with CaptureQueriesContext(connection) as captured:
        yield captured


@pytest.fixture
def _lockers(db) -> None:
    keepers = Keeper.objects.bulk_create(Keeper(code=f"k{n}") for n in range(3 * ROWS))
    Locker.objects.bulk_create(locker(n, keepers[n].pk) for n in range(2 * ROWS))


@pytest.fixture
def _no_overlaps(monkeypatch, _lockers) -> None:
    with connection.cursor() as cursor:
        # Foreign keys that are yet to be checked are in the way of a change of their table.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with connection.schema_editor() as editor:
        editor.add_constraint(Locker, EXCLUSION)
    monkeypatch.setattr(Locker._meta, "constraints", [*Locker._meta.constraints, EXCLUSION])


def locker(n: int, keeper: int) -> Locker:
    return Locker(number=n, keeper_id=keeper, place=10 * n, label=f"label {n}", badge=f"badge {n}")


def rows_of(verb: Verb, taken: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    """Half of the rows are there, if the verb changes such rows; each takes what a row has that no row names."""
    keepers = list(Keeper.objects.order_by("pk").values_list("pk", flat=True))
    first = 2 * ROWS if verb == Verb.CREATE else ROWS if verb == Verb.UPDATE else ROWS + ROWS // 2
    return [
        {
            "number": n,
            "keeper": keepers[n],
            "place": 10 * n,
            "label": f"new {n}",
            "badge": f"new {n}",
            **taken(n - first),
        }
        for n in range(first, first + ROWS)
    ]


TAKEN = {
    "expression": (
        lambda n: {"label": f"LABEL {n}"},
        "ALREADY_EXISTS",
        "Constraint “label_once_in_any_case” is violated.",
    ),
    "condition": (
        lambda n: {"badge": f"badge {n}"},
        "ALREADY_EXISTS",
        "Constraint “one_open_locker_a_badge” is violated.",
    ),
}


@pytest.mark.usefixtures("_lockers")
@pytest.mark.parametrize("kind", TAKEN)
@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPDATE, Verb.UPSERT])
def test_rows_that_violate_what_only_the_database_tells_are_found_at_once(bulk, statements, verb, kind):
    taken, code, message = TAKEN[kind]
    rows = rows_of(verb, taken)

    done = bulk(verb, "lockers", [*rows[:-1], {**rows[-1], "label": "free", "badge": "free"}])

    assert done.codes == [(index, None, code) for index in range(ROWS - 1)]
    assert {error["message"] for error in done.errors} == {message}
    assert done.outcomes[-1] in ("CREATED", "UPDATED")
    assert len(statements) < STATEMENTS


@pytest.mark.usefixtures("_no_overlaps")
@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPDATE, Verb.UPSERT])
def test_rows_that_overlap_rows_of_the_table_are_found_at_once(bulk, statements, verb):
    rows = rows_of(verb, lambda n: {"place": 10 * n + 1})

    done = bulk(verb, "lockers", [*rows[:-1], {**rows[-1], "place": -10}])

    assert done.codes == [(index, None, "CONSTRAINT") for index in range(ROWS - 1)]
    assert {error["message"] for error in done.errors} == {"Constraint “no_overlapping_places” is violated."}
    assert done.outcomes[-1] in ("CREATED", "UPDATED")
    assert len(statements) < STATEMENTS


@pytest.mark.usefixtures("_no_overlaps")
@pytest.mark.parametrize(
    ("left", "taken"), [({"place": -10}, {"place": 1}), ({"is_open": False}, {"badge": "badge 0"})], ids=["range", "if"]
)
def test_rows_take_what_others_leave_whoever_is_bad_beside_them(bulk, left, taken):
    rows = [{"number": 0, **left}, {"number": 1, **taken}, {"number": 2, "label": "label 3"}]

    done = bulk(Verb.UPDATE, "lockers", rows)

    assert done.outcomes == ["UPDATED", "UPDATED", "FAILED"]
    assert Locker.objects.filter(number=0, **left).exists()
    assert Locker.objects.filter(number=1, **taken).exists()


@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPDATE])
def test_rows_whose_generated_key_is_taken_are_found_at_once(bulk, statements, db, verb):
    Wheel.objects.bulk_create(Wheel(name=f"w{n}", size=n, spokes=9, rim=n) for n in range(2 * ROWS + 1))
    first = ROWS if verb == Verb.UPDATE else 3 * ROWS
    rows = [{"name": f"w{n + first}", "size": n, "spokes": 9, "rim": n + first} for n in range(ROWS)]

    done = bulk(verb, "wheels", [*rows, {"name": f"w{first + ROWS}", "size": 9, "spokes": 77}])

    assert done.codes == [(index, "build", "ALREADY_EXISTS") for index in range(ROWS)]
    assert done.outcomes[-1] in ("CREATED", "UPDATED")
    assert len(statements) < STATEMENTS


@pytest.mark.parametrize("name", ["toys", "shelves"])
@pytest.mark.parametrize("on_delete", [PROTECT, RESTRICT])
def test_rows_that_others_protect_are_found_at_once(bulk, statements, db, monkeypatch, on_delete, name):
    monkeypatch.setattr(Seal._meta.get_field("toy").remote_field, "on_delete", on_delete)
    shelves = Shelf.objects.bulk_create(Shelf(code=f"{n}") for n in range(ROWS))
    toys = Toy.objects.bulk_create(Toy(sku=f"{n}", shelf=shelf) for n, shelf in enumerate(shelves))
    Seal.objects.bulk_create(Seal(toy=toy) for toy in toys[:-1])
    rows = [{"id": one.pk} for one in (toys if name == "toys" else shelves)]

    done = bulk(Verb.DELETE, name, rows)

    assert done.codes == [(index, None, "CONSTRAINT") for index in range(ROWS - 1)]
    assert done.outcomes[-1] == "DELETED"
    assert len(statements) < STATEMENTS


def test_rows_with_values_that_only_their_type_refuses_need_no_table_each(bulk, statements, db):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TYPE mood AS ENUM ('QUIET'); ALTER TABLE zoo_animal ALTER shout TYPE mood USING 'QUIET'")

    done = bulk(Verb.UPSERT, "animals", [{"char": "ab", "token": str(uuid4()), "shout": "loud"} for _ in range(ROWS)])

    assert done.codes == [(index, "shout", "INVALID") for index in range(ROWS)]
    assert sum("TEMPORARY TABLE" in one["sql"] for one in statements) < 5


@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.UPDATE, Verb.UPSERT])
def test_halves_are_found_without_reading_all_staged_rows(bulk, db, verb):
    """A constraint that only the database knows of: rows are found by halving."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE zoo_item ADD CONSTRAINT odd_one_out CHECK (qty <> 77)")
    Item.objects.bulk_create(
        Item(code=str(n)) for n in range({Verb.CREATE: 0, Verb.UPDATE: 2_000, Verb.UPSERT: 1_000}[verb])
    )
    plans = []

    def explain(execute, sql, params, many, context):
        if str(sql).startswith(("INSERT INTO", "UPDATE", "WITH")) and "bulkql_staging" in sql and "{77}" in str(params):
            with connection.connection.cursor() as cursor:
                plans.append("\n".join(line for (line,) in cursor.execute(f"EXPLAIN {sql}", params)))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        done = bulk(verb, "items", [{"code": str(n), "qty": n} for n in range(2_000)])

    assert done.codes[-1:] == [(77, None, "CONSTRAINT")]
    assert plans
    assert not any("Seq Scan on bulkql_staging" in plan for plan in plans)


def test_rows_that_share_a_part_of_their_key_are_neither_read_nor_locked(bulk, db, monkeypatch):
    monkeypatch.setattr(type(resource_named("financialTransactions")), "writes", "SAVE")
    status = ClassificationStatus.objects.create(name="open")
    accounts = FinancialAccount.objects.bulk_create(FinancialAccount(name=f"account {n}") for n in range(20))
    moments = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(ROWS)]
    FinancialTransaction.objects.bulk_create(
        FinancialTransaction(amount=1, datetime=one, financial_account=account, classification_status=status)
        for account in accounts
        for one in moments
    )
    made = []

    with heard(post_init, FinancialTransaction, lambda instance, **_: made.append(instance.financial_account_id)):
        done = bulk(
            Verb.UPDATE,
            "financialTransactions",
            [{"financial_account": accounts[7].pk, "datetime": one.isoformat(), "amount": "2"} for one in moments],
        )

    assert done.outcomes == ["UPDATED"] * ROWS
    assert set(made) == {accounts[7].pk}


@contextmanager
def heard(signal: ModelSignal, sender: type[Model], receiver: Callable[..., None]) -> Iterator[None]:
    signal.connect(receiver, sender=sender, weak=False)
    try:
        yield
    finally:
        signal.disconnect(receiver, sender=sender)
