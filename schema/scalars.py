"""Model fields -> GraphQL types."""

from __future__ import annotations

import datetime
import decimal
import enum
import re
import uuid
from functools import cache
from typing import Any, NewType

import strawberry
from django.db import models
from django.utils import dateparse
from django.utils.duration import duration_iso_string
from strawberry.scalars import JSON, Base64
from strawberry.types.enum import EnumValueDefinition
from strawberry.types.scalar import ScalarDefinition, scalar

from bulkql.workers.columns.column import Column
from bulkql.workers.columns.lists import ListColumn
from bulkql.workers.enums import Verb

BigInt = NewType("BigInt", int)
#: Digits alone, which Python's int() takes with blanks, underscores and in other scripts too.
WHOLE = re.compile(r"[+-]?[0-9]{1,40}")


def parse_big_int(value: object) -> int:
    # As GraphQL's own Int: 5.0 is 5. A float of more digits has been rounded on its way.
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    number = int(value) if isinstance(value, str) and WHOLE.fullmatch(value) else value
    if isinstance(number, bool) or not isinstance(number, int):
        raise ValueError(f"BigInt cannot represent {value!r:.100}: it is a whole number, such as 12 or its digits")
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"BigInt cannot represent {str(value)[:100]}: it has 64 bits")
    return number


#: GraphQL's Int ends at 32 bits.
BIG_INT: ScalarDefinition = scalar(
    name="BigInt",
    description="A 64-bit integer, as a string, which clients do not round; numbers are accepted too.",
    serialize=str,
    parse_value=parse_big_int,
)

Duration = NewType("Duration", datetime.timedelta)


def parse_duration(value: object) -> datetime.timedelta:
    found = dateparse.parse_duration(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"Duration cannot represent {str(value)[:100]!r}: P1DT2H3M4S and 1 02:03:04 are durations")
    return found


#: Django takes what it writes itself, ISO 8601 and PostgreSQL's own texts.
DURATION: ScalarDefinition = scalar(
    name="Duration",
    description="A duration in ISO 8601: P1DT02H03M04S. `1 02:03:04` is accepted too.",
    serialize=duration_iso_string,
    parse_value=parse_duration,
)

#: What follows a resource's own name in the names of its types.
ENDINGS = frozenset(
    {
        *("By", "Field", "Filter", "Key", "Lookup", "Order"),
        *(f"{verb.title()}{row}" for verb in Verb for row in ("", "Row")),
    }
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
    (models.DurationField, Duration),
    (models.BinaryField, Base64),
    (models.FileField, str),
)


def type_of(column: Column, owner: str) -> Any:
    """The GraphQL type of a column's values, in rows and in results."""
    if column.target is not None or column.field.primary_key:
        return strawberry.ID
    if column.choice_names:
        return enum_of(column, owner)
    return kind_of(column)


def kind_of(column: Column) -> Any:
    """The GraphQL type of a column's values, whatever part they play; JSON for fields that are not known here."""
    return next((kind for field, kind in TYPES if isinstance(column.value_field, field)), JSON)


def is_sortable(column: Column) -> bool:
    """Whether rows can be put in the order of a column."""
    has_order = column.is_plain or isinstance(column.field, models.DurationField | models.GenericIPAddressField)
    return column.target is None and has_order


def enum_name_of(column: Column, owner: str) -> str:
    """The name of the enum of a field's choices: ShopOrderState, and for a field that is called `filter` another."""
    ending = f"{column.graphql_name[:1].upper()}{column.graphql_name[1:]}"
    return f"{owner}{ending}Choice" if ending in ENDINGS else f"{owner}{ending}"


@cache
def enum_of(column: Column, owner: str) -> Any:
    """An enum of a field's choices: CountryContinent."""
    labels = {str(value): str(label) for value, label in column.field.flatchoices}
    values = {
        name: EnumValueDefinition(value=value, description=labels[str(value)])
        for name, value in column.choice_names.items()
    }
    name = enum_name_of(column, owner)
    # mypy wants an enum's members written out; these are known at run time.
    kind: Any = enum.Enum(name, values)  # type: ignore[misc]
    return strawberry.enum(kind, name=name, description=f"The choices of {owner}.{column.graphql_name}.")


def purpose(column: Column) -> str:
    """What a field is for, in the model's own words."""
    field = column.field
    return str(field.help_text).rstrip(".") if field.help_text else str(field.verbose_name).capitalize()


def describe(column: Column, *, is_required: bool = True) -> str:
    """What a field is for, and what its values must be."""
    field = column.field
    sentences = [purpose(column)]
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
