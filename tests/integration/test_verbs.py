"""bulkUpdate, bulkReplace, bulkUpsert and bulkDelete, by both writers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction

from bulkql.examples.ledger.models import ClassificationStatus, FinancialAccount, FinancialTransaction
from bulkql.examples.places.models import City, Country
from bulkql.workers.enums import Verb
from bulkql.workers.errors import BadInput
from bulkql.workers.resources.constraints import constraints_of
from tests.integration.writers import WRITERS, write_by
from tests.zoo.models import Animal, Keeper
from tests.zoo.rows import FULL

pytestmark = pytest.mark.django_db(transaction=True)

DAY = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(params=WRITERS, autouse=True)
def _writer(request, monkeypatch):
    write_by(request.param, monkeypatch)


@pytest.fixture
def cash():
    return FinancialAccount.objects.create(name="Cash")


@pytest.fixture
def rows(cash):
    """Three transactions of one account."""
    status = ClassificationStatus.objects.create(name="New")
    return [
        FinancialTransaction.objects.create(
            amount=number, description=f"d{number}", datetime=DAY.replace(day=number),
            financial_account=cash, classification_status=status,
        )
        for number in (1, 2, 3)
    ]  # fmt: skip


def table():
    return list(FinancialTransaction.objects.order_by("datetime").values_list("amount", "description"))


def test_an_update_touches_only_what_each_row_gives(bulk, rows):
    first, second, third = rows

    done = bulk(
        Verb.UPDATE,
        "financialTransactions",
        [{"id": str(first.pk), "amount": "10"}, {"id": second.pk, "description": "x"}, {"id": third.pk, "amount": "3"}],
    )

    assert done.errors == []
    assert done.outcomes == ["UPDATED", "UPDATED", "UNCHANGED"]
    assert [row["pk"] for row in done.results] == [str(one.pk) for one in rows]
    assert table() == [(Decimal(10), "d1"), (Decimal(2), "x"), (Decimal(3), "d3")]


def test_an_update_names_what_it_cannot_find(bulk, rows):
    done = bulk(
        Verb.UPDATE,
        "financialTransactions",
        [{"id": "0", "amount": "10"}, {"amount": "1"}, {"id": "x"}, {"id": rows[0].pk, "amount": "y"}],
    )

    assert done.outcomes == ["FAILED"] * 4
    assert done.codes == [(0, "id", "NOT_FOUND"), (1, "id", "REQUIRED"), (2, "id", "INVALID"), (3, "amount", "INVALID")]


def test_rows_are_matched_by_a_key_with_a_name_in_it(bulk, rows):
    key = {"financialAccountBy": {"name": "Cash"}}

    done = bulk(
        Verb.UPDATE,
        "financialTransactions",
        [{**key, "datetime": "2024-01-02T00:00:00Z", "amount": "7"}, {**key, "datetime": "2025-01-02T00:00:00Z"}],
    )

    assert done.outcomes == ["UPDATED", "FAILED"]
    assert done.codes == [(1, None, "NOT_FOUND")]
    assert table()[1] == (Decimal(7), "d2")


def test_a_replacement_sets_what_is_not_given_to_its_default(bulk):
    Country.objects.create(iso="DE", iso3="DEU", name="Germany", continent="EU", capital="Bonn", population=80)

    done = bulk(
        Verb.REPLACE,
        "countries",
        [{"iso": "DE", "iso3": "DEU", "name": "Deutschland", "continent": "EU"}, {"iso": "FR", "name": "France"}],
    )

    assert done.outcomes == ["UPDATED", "FAILED"]
    assert done.codes == [(1, "continent", "REQUIRED"), (1, "iso3", "REQUIRED")]
    assert list(Country.objects.values_list("name", "capital", "population")) == [("Deutschland", "", 0)]


def test_an_upsert_numbers_new_rows_in_input_order_and_takes_no_number_for_others(bulk, cash):
    names = ["Z", "Cash", "A", "Cash 2", "M"]

    done = bulk(Verb.UPSERT, "financialAccounts", [{"name": name} for name in names])

    assert done.outcomes == ["CREATED", "UNCHANGED", "CREATED", "CREATED", "CREATED"]
    assert [int(row["pk"]) - cash.pk for row in done.results] == [1, 0, 2, 3, 4]


def test_an_upsert_creates_updates_and_leaves_alone(bulk):
    one = Country.objects.create(iso="DE", iso3="DEU", name="Germany", continent="EU", capital="Berlin")
    Country.objects.create(iso="FR", iso3="FRA", name="France", continent="EU")
    new = {"iso": "IT", "iso3": "ITA", "name": "Italy", "continent": "EU"}

    done = bulk(
        Verb.UPSERT,
        "countries",
        [{"iso": "DE", "name": "Deutschland"}, {"iso": "FR", "name": "France"}, new, {"iso": "ES", "name": "Spain"}],
    )

    assert done.outcomes == ["UPDATED", "UNCHANGED", "CREATED", "FAILED"]
    assert done.codes == [(3, "continent", "REQUIRED"), (3, "iso3", "REQUIRED")]
    one.refresh_from_db()
    assert (one.name, one.capital, one.iso3) == ("Deutschland", "Berlin", "DEU")
    assert Country.objects.get(iso="IT").name == "Italy"


def test_update_fields_narrow_an_upsert(bulk):
    Country.objects.create(iso="DE", iso3="DEU", name="Germany", continent="EU")

    done = bulk(Verb.UPSERT, "countries", [{"iso": "DE", "name": "x", "capital": "Berlin"}], update_fields=["capital"])

    assert done.outcomes == ["UPDATED"]
    assert list(Country.objects.values_list("name", "capital")) == [("Germany", "Berlin")]


def test_upserts_and_updates_name_the_rows_that_violate_a_constraint(bulk):
    for iso, iso3 in (("DE", "DEU"), ("FR", "FRA")):
        Country.objects.create(iso=iso, iso3=iso3, name=iso, continent="EU")
    rest = {"name": "x", "continent": "EU"}

    done = bulk(
        Verb.UPSERT,
        "countries",
        [
            {"iso": "DE", "iso3": "FRA"},
            {"iso": "FR", "name": "y"},
            {"iso": "IT", "iso3": "DEU", **rest},
            {"iso": "ES", "iso3": "ESP", **rest},
        ],
    )

    assert done.outcomes == ["FAILED", "UPDATED", "FAILED", "CREATED"]
    assert [(index, code) for index, _, code in done.codes] == [(0, "ALREADY_EXISTS"), (2, "ALREADY_EXISTS")]
    assert list(Country.objects.order_by("iso").values_list("iso", "iso3", "name")) == [
        ("DE", "DEU", "DE"), ("ES", "ESP", "x"), ("FR", "FRA", "y"),
    ]  # fmt: skip


def test_an_update_that_breaks_a_check_is_named(bulk):
    land = Country.objects.create(iso="DE", iso3="DEU", name="x", continent="EU")
    places = {"country": land, "latitude": 0, "longitude": 0, "timezone": "x", "name": "x"}
    for number in (1, 2):
        City.objects.create(geoname_id=number, **places)

    done = bulk(Verb.UPDATE, "cities", [{"geonameId": 1, "population": -1}, {"geonameId": 2, "population": 5}])

    assert done.outcomes == ["FAILED", "UPDATED"]
    assert done.codes == [(0, None, "CONSTRAINT")]
    assert list(City.objects.order_by("geoname_id").values_list("population", flat=True)) == [0, 5]


def test_a_field_of_the_clock_is_set_where_a_row_changes(bulk):
    animal = Animal.objects.create(char="ab")
    before = Animal.objects.values("changed", "created").get()

    unchanged = bulk(Verb.UPDATE, "animals", [{"id": animal.pk, "char": "ab"}])
    same = Animal.objects.values("changed", "created").get()
    changed = bulk(
        Verb.UPDATE, "animals", [{"id": animal.pk, "char": "cd", "json": {"a": 1}, "duration": "1 00:00:00"}]
    )

    after = Animal.objects.values("changed", "created").get()
    assert (unchanged.outcomes, changed.outcomes) == (["UNCHANGED"], ["UPDATED"])
    assert before == same
    assert after["created"] == before["created"]
    assert after["changed"] > before["changed"]
    assert Animal.objects.get().loud == "CD"


def test_a_delete_cascades_and_counts(bulk, rows, cash):
    other = FinancialAccount.objects.create(name="Other")

    done = bulk(Verb.DELETE, "financialAccounts", [{"id": cash.pk}, {"id": "0"}, {"id": other.pk}])

    assert done.outcomes == ["DELETED", "FAILED", "DELETED"]
    assert done.codes == [(1, "id", "NOT_FOUND")]
    assert [chunk.cascades for chunk in done.operation.chunks.all()] == [{"ledger.FinancialTransaction": 3}]
    assert FinancialAccount.objects.count() == FinancialTransaction.objects.count() == 0


def test_a_protected_row_stays_and_its_neighbours_go(bulk, rows):
    status, free = ClassificationStatus.objects.get(), ClassificationStatus.objects.create(name="Free")

    done = bulk(Verb.DELETE, "classificationStatuses", [{"id": status.pk}, {"id": free.pk}])

    assert done.outcomes == ["FAILED", "DELETED"]
    assert done.codes == [(0, None, "CONSTRAINT")]
    assert list(ClassificationStatus.objects.all()) == [status]


def test_rows_that_nothing_hangs_on_go_at_once(bulk, rows):
    key = {"financialAccount": rows[0].financial_account_id, "datetime": "2024-01-01T00:00:00Z"}

    done = bulk(Verb.DELETE, "financialTransactions", [key, {**key, "datetime": "2024-01-03T00:00:00Z"}])

    assert done.outcomes == ["DELETED", "DELETED"]
    assert [row["pk"] for row in done.results] == [str(rows[0].pk), str(rows[2].pk)]
    assert table() == [(Decimal(2), "d2")]


def test_names_find_rows_of_the_table_and_nobody_else(bulk, rows, create):
    given = {"amount": "1", "description": "x", "classificationStatusBy": {"name": "New"}}

    done = create(
        "financialTransactions",
        [
            {**given, "datetime": "2024-05-01T00:00:00Z", "financialAccountBy": {"name": "Cash"}},
            {**given, "datetime": "2024-05-02T00:00:00Z", "financialAccountBy": {"name": "Gold"}},
            {**given, "datetime": "2024-05-03T00:00:00Z", "financialAccountBy": {"nam": "Cash"}},
            {**given, "datetime": "2024-05-04T00:00:00Z", "financialAccountBy": "Cash"},
            {
                **given,
                "datetime": "2024-05-05T00:00:00Z",
                "financialAccountBy": {"name": "Cash"},
                "financialAccount": 1,
            },
            {**given, "datetime": "2024-05-06T00:00:00Z", "financialAccountBy": None},
        ],
    )

    assert done.outcomes == ["CREATED"] + ["FAILED"] * 5
    assert done.codes == [
        (1, "financialAccountBy.name", "REFERENCE_NOT_FOUND"),
        (2, "financialAccount", "REQUIRED"),
        (2, "financialAccountBy.nam", "UNKNOWN_FIELD"),
        (3, "financialAccount", "REQUIRED"),
        (3, "financialAccountBy", "INVALID"),
        (4, "financialAccountBy", "INVALID"),
        (5, "financialAccount", "NULL_NOT_ALLOWED"),
    ]


@pytest.fixture
def _partitions():
    """A table in two partitions."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE zoo_reading (id bigint GENERATED BY DEFAULT AS IDENTITY, sensor varchar(10) NOT NULL,"
            " day date NOT NULL, value int NOT NULL, UNIQUE (sensor, day)) PARTITION BY RANGE (day);"
            "CREATE TABLE zoo_reading_1 PARTITION OF zoo_reading FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');"
            "CREATE TABLE zoo_reading_2 PARTITION OF zoo_reading FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE zoo_reading")


@pytest.mark.postgresql
@pytest.mark.usefixtures("_partitions")
def test_an_upsert_tells_new_rows_from_old_ones_in_partitions(bulk):
    rows = [{"sensor": "a", "day": day, "value": 1} for day in ("2024-01-05", "2024-02-05", "2024-02-06")]
    first = bulk(Verb.UPSERT, "readings", rows[:2])

    again = bulk(Verb.UPSERT, "readings", [{**rows[0], "value": 2}, *rows[1:], {**rows[0], "day": "2025-01-01"}])
    gone = bulk(Verb.DELETE, "readings", [{"sensor": "a", "day": "2024-01-05"}, {"sensor": "a", "day": "2024-01-06"}])

    assert first.outcomes == ["CREATED", "CREATED"]
    assert again.outcomes == ["UPDATED", "UNCHANGED", "CREATED", "FAILED"]
    assert again.codes == [(3, None, "CONSTRAINT")]
    assert gone.outcomes == ["DELETED", "FAILED"]


def test_every_field_is_changed_and_found_unchanged(bulk):
    Keeper.objects.create(code="ada")
    animal = Animal.objects.create(char="old")
    other = Animal(char="orm")
    for verb in (Verb.UPDATE, Verb.REPLACE, Verb.UPSERT):
        Animal.objects.exclude(pk=animal.pk).delete()
        Animal.objects.update(
            **{field: getattr(other, field) for field in ("big", "text", "shout", "json", "duration")}
        )
        key = {"token": str(animal.token)}

        changed = bulk(verb, "animals", [{**key, **FULL}])
        again = bulk(verb, "animals", [{**key, **FULL}])
        emptied = bulk(Verb.UPDATE, "animals", [{**key, "big": None, "json": None, "keeper": None, "binary": None}])

        stored = Animal.objects.get()
        assert (changed.outcomes, again.outcomes, emptied.outcomes) == (["UPDATED"], ["UNCHANGED"], ["UPDATED"])
        assert (stored.char, stored.loud, stored.shout, stored.text) == ("full", "FULL", "HEY", FULL["text"])
        assert (stored.big, stored.json, stored.keeper, stored.binary) == (None, None, None, None)
        assert (stored.duration, stored.decimal) == (
            timedelta(days=1, hours=2, minutes=3, seconds=4),
            Decimal("1234.50"),
        )


def test_a_replacement_that_leaves_out_what_the_database_makes_gets_it_anew(bulk):
    animals = [Animal.objects.create(char="ab", born=DAY) for _ in range(3)]

    done = bulk(Verb.REPLACE, "animals", [{"id": one.pk, "char": "cd"} for one in animals])

    assert (done.errors, done.outcomes) == ([], ["UPDATED"] * 3)
    assert all(born > DAY for born in Animal.objects.values_list("born", flat=True))


def test_a_key_on_an_expression_is_refused_in_words_within_a_transaction_too(bulk):
    constraints_of.cache_clear()

    with transaction.atomic(), pytest.raises(BadInput, match=r"only .* is unique"):
        bulk(Verb.UPDATE, "lockers", [{"label": "a"}], match_by=["label"])
