"""A model -> the keys that no two of its rows share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

from django.db import connections, models
from django.db.models.expressions import OrderBy


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """The fields of a plain unique constraint. Rows with a null in one of them do not collide."""

    fields: tuple[str, ...]
    nulls_distinct: bool = True
    #: The database looks at the end of a transaction only, so that no upsert can lean on it.
    is_deferrable: bool = False


def same_key(model: type[models.Model], alias: str, key: UniqueKey) -> str:
    """A row `t` of the table has the key of a row `s`, whose columns are called alike; in SQL.

    No index answers IS NOT DISTINCT FROM: each row would be compared with each. Where nulls are equal, `t` is looked up
    by its primary key, which one of as many questions gives as there are ways to have nulls in the key.
    """
    quote = connections[alias].ops.quote_name
    fields: list[Any] = [model._meta.get_field(name) for name in key.fields]
    columns = [quote(str(field.column)) for field in fields]
    if key.nulls_distinct or not any(field.null for field in fields):
        return " AND ".join(f"t.{column} = s.{column}" for column in columns)
    pk, table = quote(str(model._meta.pk.column)), quote(model._meta.db_table)
    ways = []
    for nulls in product(*([False, True] if field.null else [False] for field in fields)):
        pairs = zip(columns, nulls, strict=True)
        same = (f"s.{one} IS NULL AND u.{one} IS NULL" if null else f"u.{one} = s.{one}" for one, null in pairs)
        ways.append(f"SELECT u.{pk} FROM {table} u WHERE {' AND '.join(same)}")  # noqa: S608  (the model's own)
    # The key too, for who waits for a row that somebody changes looks at the row again, and not at the questions.
    same = (f"t.{column} IS NOT DISTINCT FROM s.{column}" for column in columns)
    return f"t.{pk} = ({' UNION ALL '.join(ways)} LIMIT 1) AND {' AND '.join(same)}"


def fields_in(constraint: models.UniqueConstraint) -> tuple[str, ...]:
    """The fields of a constraint; UniqueConstraint("name", F("day").desc(), name=...) names them by expressions."""
    return (*constraint.fields, *(one.name for one in map(without_order, constraint.expressions) if is_field(one)))


def names_only_fields(constraint: models.UniqueConstraint) -> bool:
    return all(is_field(without_order(one)) for one in constraint.expressions)


def is_field(expression: object) -> bool:
    return isinstance(expression, models.F)


def without_order(expression: Any) -> Any:
    """An expression of an index, which may say in which order the index is."""
    return expression.expression if isinstance(expression, OrderBy) else expression


def unique_keys(model: type[models.Model]) -> tuple[UniqueKey, ...]:
    """Keys of fields that rows have themselves: the others are the database's alone, and it names the guilty rows."""
    return tuple(key for key in keys_of_fields(model) if not is_generated(model, key))


def is_generated(model: type[models.Model], key: UniqueKey) -> bool:
    """The database makes a part of it, of other fields."""
    return any(isinstance(model._meta.get_field(name), models.GeneratedField) for name in key.fields)


def keys_of_fields(model: type[models.Model]) -> tuple[UniqueKey, ...]:
    """The primary key, unique fields, unique_together and unconditional UniqueConstraints; none on expressions."""
    meta = model._meta

    def names(fields: Iterable[str]) -> tuple[str, ...]:
        # Django takes account_id for account too.
        return tuple(meta.get_field(name).name for name in fields)

    single = [UniqueKey((field.name,)) for field in meta.concrete_fields if field.unique]
    together = [UniqueKey(names(fields)) for fields in meta.unique_together]
    constraints = [
        UniqueKey(
            names(fields_in(constraint)),
            nulls_distinct=constraint.nulls_distinct is not False,
            is_deferrable=constraint.deferrable is not None,
        )
        for constraint in meta.constraints
        if isinstance(constraint, models.UniqueConstraint)
        and constraint.condition is None
        and names_only_fields(constraint)
    ]
    return tuple(dict.fromkeys(single + together + constraints))
