"""The resources that the verbs are tried on: their rows, what damages a row, and what its fields are in Python.

Rows are flat, as a file has them, and name foreign keys as GraphQL's paths do: `financialAccountBy.name`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.acceptance.rows import START, Row
from tests.acceptance.service import Service

Key = tuple[Any, ...]
#: Rows of a table by their key, each field as Python has it.
Table = dict[Key, Row]

#: In a damage: the row does not give the field.
MISSING = ...


def moment(value: str | datetime) -> datetime:
    """SQLite gives texts, and no time zone."""
    value = datetime.fromisoformat(value) if isinstance(value, str) else value
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def money(value: Any) -> Decimal:
    """SQLite gives floats."""
    return Decimal(str(value))


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A resource, and all that a test must know of it to foretell what becomes of its rows."""

    resource: str
    table: str
    #: Field -> how SQL reads it, and its type in Python, from wherever the value comes.
    fields: dict[str, tuple[str, Callable[[Any], Any]]]
    key: tuple[str, ...]
    #: Number -> a whole row with a key of its own.
    row: Callable[[int], Row]
    #: What optional fields are where a row does not give them.
    defaults: Row
    #: Wrong values -> the path and code that name them.
    wrong: dict[tuple[str, Any], tuple[str | None, str]]
    #: What is done to a row to make it a bad one; whether it is one depends on the verb.
    damages: tuple[Row, ...]

    def key_of(self, row: Row) -> Key | None:
        """A row's key; None where the row does not give a whole and sound one."""
        verdicts = [self.wrong.get((name, row.get(name))) for name in self.key]
        if any(row.get(name) is None for name in self.key) or any(one and one[1] != "CONSTRAINT" for one in verdicts):
            return None
        return tuple(self.fields[name][1](row[name]) for name in self.key)

    def python(self, row: Row) -> Row:
        """The values of a row as Python has them."""
        return {name: self.fields[name][1](value) for name, value in row.items()}

    def only_key(self, row: Row) -> Row:
        return {name: row[name] for name in self.key if name in row}

    def stored(self, service: Service) -> tuple[Table, dict[Key, str]]:
        """The whole table, and the primary key of each row."""
        columns = ", ".join(column for column, _ in self.fields.values())
        table: Table = {}
        pks: dict[Key, str] = {}
        for pk, *values in service.sql(f"SELECT id, {columns} FROM {self.table}"):
            row = self.python(dict(zip(self.fields, values, strict=True)))
            key = tuple(row[name] for name in self.key)
            table[key], pks[key] = row, str(pk)
        return table, pks


def transaction(number: int) -> Row:
    return {
        "amount": f"{number % 1000}.{number % 100:02d}",
        "description": f'Row {number}, "quoted"',
        "datetime": (START + timedelta(minutes=number)).isoformat().replace("+00:00", "Z"),
        "financialAccountBy.name": f"Account {number % 100}",
        "classificationStatus": str(number % 3 + 1),
    }


def city(number: int) -> Row:
    return {
        "geonameId": number,
        "name": f"City {number}",
        "country": ("LI", "AT", "CH")[number % 3],
        "latitude": number % 90 + 0.25,
        "longitude": number % 180 - 0.5,
        "population": number % 1000 + 1,
        "timezone": ("Europe/Vaduz", "Europe/Vienna")[number % 2],
    }


TRANSACTIONS = Subject(
    resource="financialTransactions",
    table="ledger_financialtransaction",
    fields={
        "amount": ("amount", money),
        "description": ("description", str),
        "datetime": ("datetime", moment),
        "financialAccountBy.name": (
            "(SELECT name FROM ledger_financialaccount WHERE ledger_financialaccount.id = financial_account_id)",
            str,
        ),
        "classificationStatus": ("classification_status_id", int),
    },
    key=("financialAccountBy.name", "datetime"),
    row=transaction,
    defaults={},
    wrong={
        ("amount", "much"): ("amount", "INVALID"),
        ("amount", "12345678901234.00"): ("amount", "OUT_OF_RANGE"),
        ("datetime", "yesterday"): ("datetime", "INVALID"),
        ("classificationStatus", "4711"): ("classificationStatus", "REFERENCE_NOT_FOUND"),
        ("financialAccountBy.name", "Nowhere"): ("financialAccountBy.name", "REFERENCE_NOT_FOUND"),
    },
    damages=(
        {"amount": "much"},
        {"amount": "12345678901234.00"},
        {"amount": MISSING},
        {"description": MISSING},
        {"description": None},
        {"datetime": "yesterday"},
        {"datetime": MISSING},
        {"datetime": "1999-12-31T23:59:59Z"},
        {"classificationStatus": "4711"},
        {"financialAccountBy.name": "Nowhere"},
        {"colour": "red"},
    ),
)
CITIES = Subject(
    resource="cities",
    table="places_city",
    fields={
        "geonameId": ("geoname_id", int),
        "name": ("name", str),
        "country": ("country_id", str),
        "latitude": ("latitude", float),
        "longitude": ("longitude", float),
        "population": ("population", int),
        "timezone": ("timezone", str),
    },
    key=("geonameId",),
    row=city,
    defaults={"population": 0},
    wrong={
        ("geonameId", "one"): ("geonameId", "INVALID"),
        ("name", "x" * 201): ("name", "TOO_LONG"),
        ("country", "XX"): ("country", "REFERENCE_NOT_FOUND"),
        ("latitude", 91.0): ("latitude", "OUT_OF_RANGE"),
        ("population", -1): (None, "CONSTRAINT"),
    },
    damages=(
        {"name": "x" * 201},
        {"timezone": MISSING},
        {"latitude": MISSING},
        {"timezone": None},
        {"geonameId": "one"},
        {"geonameId": MISSING},
        {"geonameId": 1_000_000},
        {"country": "XX"},
        {"latitude": 91.0},
        {"population": -1},
        {"colour": "red"},
    ),
)
#: Their rows can be protected: the statuses 1 to 3 from being deleted while there are transactions.
STATUSES = Subject(
    resource="classificationStatuses",
    table="ledger_classificationstatus",
    fields={"name": ("name", str)},
    key=("name",),
    defaults={},
    row=lambda number: {"name": f"Status {number}"},
    wrong={("name", "Open"): (None, "CONSTRAINT"), ("name", "Doubtful"): (None, "CONSTRAINT")},
    damages=({"name": "Open"}, {"name": "Doubtful"}, {"name": "Nowhere"}, {"name": None}, {"colour": "red"}),
)


def damaged(row: Row, damage: Row) -> Row:
    return {name: value for name, value in (row | damage).items() if value is not MISSING}
