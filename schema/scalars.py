"""Model fields -> GraphQL types."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from functools import cache
from typing import Any, NewType

import strawberry
from django.db import models
from strawberry.scalars import JSON
from strawberry.types.enum import EnumValueDefinition
from strawberry.types.scalar import ScalarDefinition, scalar

from bulkql.workers.columns.column import Column
from bulkql.workers.columns.lists import ListColumn

BigInt = NewType("BigInt", int)


def parse_big_int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"BigInt cannot represent {value!r}")
    number = int(value)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"BigInt cannot represent {str(value)[:100]}: it has 64 bits")
    return number


#: GraphQL's Int ends at 32 bits.
BIG_INT: ScalarDefinition = scalar(
    name="BigInt",
    description="An integer of 64 bits, as a string, which no client rounds; a number is taken too.",
    serialize=str,
    parse_value=parse_big_int,
)

#: The first class that a field is an instance of decides.
TYPES: tuple[tuple[type[models.Field[Any, Any]], Any], ...] = (
    (models.AutoField, strawberry.ID),
    (models.BigAutoField, strawberry.ID),
    (models.SmallAutoField, strawberry.ID),
    (models.BigIntegerField, BigInt),
    (models.BooleanField, bool),
    (models.DecimalField, decimal.Decimal),
    (models.FloatField, float),
    (models.DateTimeField, datetime.datetime),
    (models.DateField, datetime.date),
    (models.TimeField, datetime.time),
    (models.IntegerField, int),
    (models.UUIDField, uuid.UUID),
    (models.JSONField, JSON),
    (models.CharField, str),
    (models.TextField, str),
    (models.GenericIPAddressField, str),
    (models.DurationField, str),
    (models.BinaryField, str),
)


def type_of(column: Column, owner: str) -> Any:
    """The GraphQL type of a column's values, in rows and in results."""
    if column.target is not None or column.field.primary_key:
        return strawberry.ID
    if column.choice_names:
        return enum_of(column, owner)
    return next((kind for field, kind in TYPES if isinstance(column.field, field)), JSON)


@cache
def enum_of(column: Column, owner: str) -> Any:
    """An enum of a field's choices: CountryContinent."""
    labels = {str(value): str(label) for value, label in column.field.flatchoices}
    values = {
        name: EnumValueDefinition(value=value, description=labels[str(value)])
        for name, value in column.choice_names.items()
    }
    name = f"{owner}{column.graphql_name[:1].upper()}{column.graphql_name[1:]}"
    # mypy wants an enum's members written out; these are known at run time.
    kind: Any = enum.Enum(name, values)  # type: ignore[misc]
    return strawberry.enum(kind, name=name, description=f"The choices of {owner}.{column.graphql_name}.")


def describe(column: Column, *, is_required: bool = True) -> str:
    """What a field is for, and what its values must be."""
    field = column.field
    sentences = [str(field.help_text).rstrip(".")] if field.help_text else [str(field.verbose_name).capitalize()]
    if isinstance(column, ListColumn) and column.target is not None:
        sentences.append(f"The ids of all its {column.target._meta.verbose_name_plural}")
    elif column.target is not None:
        sentences.append(f"The id of a {column.target._meta.verbose_name}")
    if getattr(field, "max_length", None) and column.target is None and not column.choice_names:
        sentences.append(f"At most {field.max_length} characters")
    if isinstance(field, models.DecimalField):
        sentences.append(f"At most {field.max_digits} digits, {field.decimal_places} of them after the point")
    if is_required and column.is_required:
        sentences.append("Required")
    return ". ".join(sentences) + "."
