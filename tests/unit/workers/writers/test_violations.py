"""What the database says of a row -> code, path and message."""

from __future__ import annotations

import pytest

from bulkql.workers.errors import Code, RowError
from bulkql.workers.resources.registry import resource_named
from bulkql.workers.writers.violations import columns_in, from_sqlite, from_sqlstate

NULL = "This field cannot be null."
TAKEN = "Another financial account with this name already exists."


@pytest.mark.parametrize(
    ("detail", "columns"),
    [
        ("Key (name)=(Cash) already exists.", ["name"]),
        (
            'Key (account_id, "datetime")=(1, 2026-01-31) already exists.',
            ["account_id", "datetime"],
        ),
        ("Key (lower(name::text))=(cash) already exists.", []),
        ("Failing row contains (1, null).", []),
        (None, []),
    ],
)
def test_columns_without_the_values_of_the_row(detail, columns):
    assert columns_in(detail) == columns


@pytest.mark.parametrize(
    ("sqlstate", "constraint", "columns", "violation"),
    [
        ("23505", "a_key", ["name"], RowError("name", Code.ALREADY_EXISTS, TAKEN)),
        ("23505", "a_key", [], RowError(None, Code.ALREADY_EXISTS, "a_key is violated.")),
        ("23502", None, ["name"], RowError("name", Code.NULL_NOT_ALLOWED, NULL)),
        (
            "23503",
            "fk",
            ["name"],
            RowError("name", Code.REFERENCE_NOT_FOUND, "The row that it refers to does not exist."),
        ),
        (
            "23503",
            "fk",
            [],
            RowError(None, Code.REFERENCE_NOT_FOUND, "A foreign key refers to a row that does not exist (fk)."),
        ),
        ("23514", "a_check", [], RowError(None, Code.CONSTRAINT, "a_check is violated.")),
        ("22003", None, ["name"], RowError("name", Code.INVALID, "The database does not accept this value.")),
        ("P0001", None, [], RowError(None, Code.REJECTED, "The database rejected the row (P0001).")),
    ],
)
def test_states_of_postgresql(sqlstate, constraint, columns, violation):
    assert from_sqlstate(resource_named("financialAccounts"), sqlstate, constraint, columns) == violation


@pytest.mark.parametrize(
    ("text", "violation"),
    [
        ("UNIQUE constraint failed: ledger_financialaccount.name", RowError("name", Code.ALREADY_EXISTS, TAKEN)),
        ("UNIQUE constraint failed: index 'lower'", RowError(None, Code.ALREADY_EXISTS, "index 'lower' is taken.")),
        ("NOT NULL constraint failed: ledger_financialaccount.name", RowError("name", Code.NULL_NOT_ALLOWED, NULL)),
        ("CHECK constraint failed: a_check", RowError(None, Code.CONSTRAINT, "a_check is violated.")),
        (
            "FOREIGN KEY constraint failed",
            RowError(None, Code.CONSTRAINT, "The row violates a constraint of the database."),
        ),
    ],
)
def test_messages_of_sqlite(text, violation):
    assert from_sqlite(resource_named("financialAccounts"), text) == violation
