"""A violated constraint -> the code, path and message of its row error."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.db import DatabaseError, DataError, IntegrityError, models
from django.db.models import ProtectedError, RestrictedError

from bulkql.workers.columns.column import graphql_name
from bulkql.workers.resources.keys import UniqueKey
from bulkql.workers.resources.registry import BulkResource


@dataclass(frozen=True, slots=True)
class Violation:
    """What a row error says, but for the row. `path` is null where the whole row is at fault."""

    code: str
    path: str | None
    message: str


def unique_violation(resource: BulkResource, key: UniqueKey) -> Violation:
    """A row of this key is in the table already."""
    names = [graphql_name(name) for name in key.fields]
    return Violation(
        "ALREADY_EXISTS",
        names[0] if len(names) == 1 else None,
        f"There is a {resource.model._meta.verbose_name} with this {' and '.join(names)} already.",
    )


def reference_violation(name: str) -> Violation:
    """A foreign key points to nothing."""
    return Violation("REFERENCE_NOT_FOUND", graphql_name(name), "The row that it points to does not exist.")


def protected_violation(resource: BulkResource) -> Violation:
    """Rows that point to this one keep it from being deleted."""
    return Violation(
        "CONSTRAINT", None, f"Other rows refer to this {resource.model._meta.verbose_name} and protect it."
    )


def check_violation(constraint: models.BaseConstraint) -> Violation:
    """A check constraint does not hold; the model may have its own words for it."""
    return Violation("CONSTRAINT", None, str(constraint.get_violation_error_message()))


#: SQLSTATE classes that speak of a row: data exceptions, violated constraints, and what triggers raise.
CLASSES_OF_ROWS = ("22", "23", "P0")


def is_of_a_row(error: DatabaseError) -> bool:
    """Whether a row is to blame: not an outage, a deadlock, a time limit, or a mistake of ours."""
    diagnosis = getattr(error.__cause__, "diag", None)
    if diagnosis is None:
        return isinstance(error, IntegrityError | DataError)
    return str(diagnosis.sqlstate).startswith(CLASSES_OF_ROWS)


def violation_of(resource: BulkResource, error: DatabaseError) -> Violation:
    """What the database said of one row. Its details stay out: they may quote rows that the user may not see."""
    if isinstance(error, ProtectedError | RestrictedError):
        return protected_violation(resource)
    diagnosis = getattr(error.__cause__, "diag", None)
    if diagnosis is not None:
        columns = [diagnosis.column_name] if diagnosis.column_name else columns_in(diagnosis.message_detail)
        return from_sqlstate(resource, diagnosis.sqlstate, diagnosis.constraint_name, columns)
    return from_sqlite(resource, str(error))


def columns_in(detail: str | None) -> list[str]:
    """The columns, and nothing else, of PostgreSQL's 'Key (name, size)=(...) already exists.'"""
    found = re.match(r"Key \(([^()]*)\)=", detail or "")
    return [name.strip(' "') for name in found[1].split(",")] if found is not None else []


def from_sqlstate(resource: BulkResource, sqlstate: str, constraint: str | None, columns: list[str]) -> Violation:
    """PostgreSQL's error classes 22 and 23, and what triggers raise.

    https://www.postgresql.org/docs/current/errcodes-appendix.html
    """
    if sqlstate == "23505":
        key = key_of_columns(resource, columns)
        if key is not None:
            return unique_violation(resource, key)
        return named(resource, constraint) or Violation("ALREADY_EXISTS", None, f"{constraint} is violated.")
    path = path_of_column(resource, columns[0]) if len(columns) == 1 else None
    if sqlstate == "23502":
        return Violation("NULL_NOT_ALLOWED", path, "This field cannot be null.")
    if sqlstate == "23503":
        return Violation("REFERENCE_NOT_FOUND", path, f"A foreign key points to nothing ({constraint}).")
    if sqlstate.startswith("23"):
        return named(resource, constraint) or Violation("CONSTRAINT", None, f"{constraint} is violated.")
    if sqlstate.startswith("22"):
        return Violation("INVALID", path, "The database does not take this value.")
    return Violation("REJECTED", None, f"The database rejected the row ({sqlstate}).")


def from_sqlite(resource: BulkResource, text: str) -> Violation:
    """SQLite has only its messages: 'UNIQUE constraint failed: city.name, city.country_id'."""
    kind, _, names = text.partition(" constraint failed: ")
    if kind == "CHECK":
        return named(resource, names) or Violation("CONSTRAINT", None, f"{names} is violated.")
    columns = [name.rpartition(".")[2] for name in re.split(r",\s*", names)]
    if kind == "UNIQUE":
        key = key_of_columns(resource, columns)
        return unique_violation(resource, key) if key else Violation("ALREADY_EXISTS", None, f"{names} is taken.")
    path = path_of_column(resource, columns[0]) if len(columns) == 1 else None
    if kind == "NOT NULL":
        return Violation("NULL_NOT_ALLOWED", path, "This field cannot be null.")
    return Violation("CONSTRAINT", None, "The row violates a constraint of the database.")


def key_of_columns(resource: BulkResource, columns: list[str]) -> UniqueKey | None:
    """The unique key of these columns of the table."""
    fields = {str(field.column): field.name for field in resource.model._meta.concrete_fields}
    names = {fields.get(column) for column in columns}
    return next((key for key in resource.unique_keys if set(key.fields) == names), None)


def named(resource: BulkResource, name: str | None) -> Violation | None:
    """The violation of one of the model's own constraints, by its name."""
    for constraint in resource.model._meta.constraints:
        if constraint.name == name:
            is_unique = isinstance(constraint, models.UniqueConstraint)
            violation = check_violation(constraint)
            return Violation("ALREADY_EXISTS", None, violation.message) if is_unique else violation
    return None


def path_of_column(resource: BulkResource, column: str | None) -> str | None:
    """A table's column -> the field's path in GraphQL."""
    names = (field.name for field in resource.model._meta.concrete_fields if field.column == column)
    return next((graphql_name(name) for name in names), None)
