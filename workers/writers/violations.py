"""A violated constraint -> its row error."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, DataError, IntegrityError, connections, models
from django.db.models import ProtectedError, RestrictedError

from bulkql.workers.columns.column import graphql_name
from bulkql.workers.errors import Code, RowError
from bulkql.workers.resources.keys import UniqueKey, keys_of_fields
from bulkql.workers.resources.registry import BulkResource
from bulkql.workers.resources.rights import permission_to

NO_TARGET = "The row that it refers to does not exist."


def unique_violation(resource: BulkResource, key: UniqueKey) -> RowError:
    """A row of this key is in the table already."""
    names = [graphql_name(name) for name in key.fields]
    return RowError(
        names[0] if len(names) == 1 else None,
        Code.ALREADY_EXISTS,
        f"Another {resource.model._meta.verbose_name} with this {' and '.join(names)} already exists.",
    )


def reference_violation(name: str) -> RowError:
    """A foreign key refers to a row that does not exist."""
    return RowError(graphql_name(name), Code.REFERENCE_NOT_FOUND, NO_TARGET)


def protected_violation(resource: BulkResource) -> RowError:
    """Rows that point to this one keep it from being deleted."""
    name = resource.model._meta.verbose_name
    return RowError(None, Code.CONSTRAINT, f"Other rows refer to this {name} and protect it.")


class CascadeForbidden(IntegrityError):
    """Rows of these models would go along, which the user may not delete."""

    def __init__(self, models_of_rows: Collection[type[models.Model]]) -> None:
        super().__init__("rows would be deleted along that the user may not delete")
        self.models = models_of_rows


class TooDeep(IntegrityError):
    """Rows would go along that refer to one another in a longer chain than Django's collector, a recursion, follows."""


@contextmanager
def chains_told() -> Iterator[None]:
    """While Django's collector looks for what goes along; raises TooDeep."""
    try:
        yield
    except RecursionError as error:
        raise TooDeep("a chain of rows is too long") from error


def chain_violation(resource: BulkResource) -> RowError:
    """Too long a chain of rows would go along."""
    name = resource.model._meta.verbose_name
    message = f"A chain of several hundred rows would be deleted along with this {name}; delete those at its end first."
    return RowError(None, Code.CONSTRAINT, message)


def cascade_violation(resource: BulkResource, others: Iterable[type[models.Model]]) -> RowError:
    """Rows of other models would go along, as Django's admin says it too."""
    found = sorted(others, key=lambda model: model._meta.label)
    name, labels = resource.model._meta.verbose_name, " and ".join(model._meta.label for model in found)
    needed = " and ".join(permission_to("delete", model) for model in found)
    message = f"Rows of {labels} would be deleted along with this {name}, which needs the permission {needed}."
    return RowError(None, Code.FORBIDDEN, message)


def check_violation(constraint: models.BaseConstraint) -> RowError:
    """A check constraint does not hold; the model may have its own words for it."""
    try:
        message = str(constraint.get_violation_error_message())
    except (KeyError, TypeError, ValueError):
        # Django puts the constraint's name into these words by %, which a "100%" among them does not bear.
        message = str(constraint.violation_error_message)
    return RowError(None, Code.CONSTRAINT, message)


#: PostgreSQL's SQLSTATE classes that do not speak of a row. Those that do are data exceptions (22), violated
#: constraints (23), a view's WITH CHECK OPTION (44), what triggers raise (P0), and all classes that PostgreSQL does not
#: have: they are what triggers raise too, such as 45000.
CLASSES_OF_NO_ROW = (
    *("00", "01", "02", "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "24", "25", "26", "27"),
    *("28", "2B", "2D", "2F", "34", "38", "39", "3B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "72"),
    *("F0", "HV", "XX"),
)


def is_of_a_row(error: DatabaseError) -> bool:
    """Whether a row is to blame: not an outage, a deadlock, a time limit, or a mistake of ours."""
    diagnosis = getattr(error.__cause__, "diag", None)
    if diagnosis is None:
        return isinstance(error, IntegrityError | DataError)
    if is_of_policy(diagnosis):
        return True
    # Without a connection nobody says what is wrong.
    return diagnosis.sqlstate is not None and not diagnosis.sqlstate.startswith(CLASSES_OF_NO_ROW)


def is_of_policy(diagnosis: Any) -> bool:
    """Whether a policy of row level security refuses a row; privileges that are missing have the same SQLSTATE."""
    return bool(diagnosis.sqlstate == "42501" and diagnosis.source_function == "ExecWithCheckOptions")


def violation_of(resource: BulkResource, error: DatabaseError) -> RowError:
    """What the database said of one row. Its details stay out: they may quote rows that the user may not see."""
    if isinstance(error, CascadeForbidden):
        return cascade_violation(resource, error.models)
    if isinstance(error, TooDeep):
        return chain_violation(resource)
    if isinstance(error, ProtectedError | RestrictedError):
        return protected_violation(resource)
    diagnosis = getattr(error.__cause__, "diag", None)
    if diagnosis is not None and is_of_policy(diagnosis):
        return RowError(None, Code.FORBIDDEN, "A policy of the database does not allow this row.")
    if diagnosis is not None:
        column = diagnosis.column_name or column_copied(diagnosis.context)
        columns = [column] if column else columns_in(diagnosis.message_detail)
        return from_sqlstate(resource, diagnosis.sqlstate, diagnosis.constraint_name, columns)
    match error.args:
        case (int(number), str(text)):
            return from_mysql(resource, number, text)
    return from_sqlite(resource, str(error))


def columns_in(detail: str | None) -> list[str]:
    """The columns, and nothing else, of PostgreSQL's 'Key (name, size)=(...) already exists.'"""
    found = re.match(r"Key \(([^()]*)\)=", detail or "")
    return [name.strip(' "') for name in found[1].split(",")] if found is not None else []


def column_copied(context: str | None) -> str | None:
    """The column of PostgreSQL's 'COPY city, line 1, column size: "x"'."""
    found = re.match(r'COPY .+, line \d+, column (.+?)(?:: "|: null|$)', context or "")
    return found[1] if found is not None else None


def from_sqlstate(resource: BulkResource, sqlstate: str, constraint: str | None, columns: list[str]) -> RowError:
    """PostgreSQL's error classes 22 and 23, and what triggers raise.

    https://www.postgresql.org/docs/current/errcodes-appendix.html
    """
    if sqlstate == "23505":
        key = key_of_columns(resource, columns)
        if key is not None:
            return unique_violation(resource, key)
        return named(resource, constraint) or RowError(None, Code.ALREADY_EXISTS, f"{constraint} is violated.")
    path = path_of_column(resource, columns[0]) if len(columns) == 1 else None
    if sqlstate == "23502":
        return RowError(path, Code.NULL_NOT_ALLOWED, "This field cannot be null.")
    if sqlstate == "23503":
        # A field says it better than the constraint's name.
        which = f"A foreign key refers to a row that does not exist ({constraint})." if path is None else NO_TARGET
        return RowError(path, Code.REFERENCE_NOT_FOUND, which)
    if sqlstate.startswith("23"):
        return named(resource, constraint) or RowError(None, Code.CONSTRAINT, f"{constraint} is violated.")
    if sqlstate.startswith("22"):
        return RowError(path, Code.INVALID, "The database does not accept this value.")
    return RowError(None, Code.REJECTED, f"The database rejected the row ({sqlstate}).")


def from_sqlite(resource: BulkResource, text: str) -> RowError:
    """SQLite has only its messages: 'UNIQUE constraint failed: city.name, city.country_id'."""
    kind, _, names = text.partition(" constraint failed: ")
    if kind == "CHECK":
        return named(resource, names) or RowError(None, Code.CONSTRAINT, f"{names} is violated.")
    columns = [name.rpartition(".")[2] for name in re.split(r",\s*", names)]
    if kind == "UNIQUE":
        key = key_of_columns(resource, columns)
        return unique_violation(resource, key) if key else RowError(None, Code.ALREADY_EXISTS, f"{names} is taken.")
    path = path_of_column(resource, columns[0]) if len(columns) == 1 else None
    if kind == "NOT NULL":
        return RowError(path, Code.NULL_NOT_ALLOWED, "This field cannot be null.")
    return RowError(None, Code.CONSTRAINT, "The row violates a constraint of the database.")


#: MariaDB's and MySQL's numbers of errors: https://mariadb.com/docs/server/reference/error-codes
DUPLICATE, IS_NULL, NO_DEFAULT, NO_PARENT, HAS_CHILDREN = (1062, 1586), 1048, 1364, (1216, 1452), (1217, 1451)
CHECKS = (3819, 4025)
#: A text that is too long, a number out of range, and values of other kinds that a column does not take.
VALUES = (1264, 1265, 1292, 1366, 1367, 1406, 1411, 1690, 3140)


def from_mysql(resource: BulkResource, number: int, text: str) -> RowError:
    """MariaDB and MySQL have a number, and the name of a key or a column among the words of their message.

    "Duplicate entry 'a' for key 'name'", in MySQL 'zoo_tag.name'; "CONSTRAINT `no_debt` failed for ...". The value is
    the client's own, and may hold quotes: the last name counts.
    """
    if number in DUPLICATE:
        name = name_behind("for key", text)
        key = key_of_columns(resource, columns_of_index(resource, name))
        if key is not None:
            return unique_violation(resource, key)
        return named(resource, name) or RowError(None, Code.ALREADY_EXISTS, f"{name} is violated.")
    if number in CHECKS:
        name = name_behind("constraint", text)
        return named(resource, name) or RowError(None, Code.CONSTRAINT, f"{name} is violated.")
    if number in NO_PARENT:
        path = path_of_column(resource, name_behind("foreign key", text))
        return RowError(path, Code.REFERENCE_NOT_FOUND, "A foreign key refers to a row that does not exist.")
    if number in HAS_CHILDREN:
        return protected_violation(resource)
    path = path_of_column(resource, name_behind("column", text) or name_behind("field", text))
    if number in (IS_NULL, NO_DEFAULT):
        return RowError(path, Code.NULL_NOT_ALLOWED, "This field cannot be null.")
    if number in VALUES:
        return RowError(path, Code.INVALID, "The database does not accept this value.")
    return RowError(None, Code.REJECTED, f"The database rejected the row ({number}).")


def name_behind(word: str, text: str) -> str:
    """The last part of the name that follows a word's last place: stock of "for column `test`.`toy`.`stock` at row"."""
    found = re.findall(rf"{word} \(?((?:[`'][^`']*[`']\.?)+)", text, re.IGNORECASE)
    return re.split(r"[`'.]+", found[-1].strip("`'"))[-1] if found else ""


def columns_of_index(resource: BulkResource, name: str) -> list[str]:
    """The columns of an index of the table; Django's names for them do not always tell."""
    connection = connections[resource.database]
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, resource.model._meta.db_table)
    return list(found[name]["columns"]) if name in found else []


def key_of_columns(resource: BulkResource, columns: list[str]) -> UniqueKey | None:
    """The unique key of these columns of the table."""
    fields = {str(field.column): field.name for field in resource.model._meta.concrete_fields}
    names = {fields.get(column) for column in columns}
    return next((key for key in keys_of_fields(resource.model) if set(key.fields) == names), None)


def named(resource: BulkResource, name: str | None) -> RowError | None:
    """The violation of one of the model's own constraints, by its name."""
    for constraint in resource.model._meta.constraints:
        if constraint.name == name:
            return violation_of_constraint(constraint)
    return None


def violation_of_constraint(constraint: models.BaseConstraint) -> RowError:
    """One of the model's own constraints, of any kind, does not hold."""
    violation = check_violation(constraint)
    is_unique = isinstance(constraint, models.UniqueConstraint)
    return RowError(None, Code.ALREADY_EXISTS, violation.message) if is_unique else violation


def path_of_column(resource: BulkResource, column: str | None) -> str | None:
    """A table's column -> the field's path in GraphQL."""
    names = (field.name for field in resource.model._meta.concrete_fields if field.column == column)
    return next((graphql_name(name) for name in names), None)
