"""A model -> the keys that no two of its rows share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models.expressions import OrderBy


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """The fields of a plain unique constraint. Rows with a null in one of them do not collide."""

    fields: tuple[str, ...]
    nulls_distinct: bool = True
    #: The database looks at the end of a transaction only, so that no upsert can lean on it.
    is_deferrable: bool = False


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
