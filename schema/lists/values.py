"""A value of the table -> the same as rows are written; what cannot be shown is an error of its field alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import strawberry
from django.core.files.base import File
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from strawberry.scalars import JSON

from bulkql.schema.lists.tolerance import Unreadable
from bulkql.schema.scalars import Duration, enum_of, type_of
from bulkql.workers.columns.column import Column
from bulkql.workers.columns.rules import TEXTS
from bulkql.workers.errors import Unshowable
from bulkql.workers.resources.registry import BulkResource

#: From the values of a row's attribute, and the row, to what GraphQL's type takes.
Show = Callable[[Any, models.Model], Any]


def shown_by(column: Column, resource: BulkResource) -> Show:
    """How a column's values are shown; raises Unshowable for one that its type does not have."""
    kind = type_of(column, resource.type_name)
    place = f"{resource.name}.{column.graphql_name}"
    show = choice(column, resource) if column.choice_names and not column.field.primary_key else SHOWN.get(kind, plain)
    if kind is JSON and not isinstance(column.field, models.JSONField):
        show = json_of
    of_field = column.field

    def shown(value: Any, row: models.Model) -> Any:
        if value is None:
            return None
        if isinstance(value, Unreadable):
            raise Unshowable(f"{place} of {row.pk} cannot be read: {value.reason}.")
        told = show(value, of_field, row)
        if told is UNKNOWN:
            raise Unshowable(f"{place} of {row.pk} is {value}, which its type does not have.")
        return told

    return shown


def is_always_shown(column: Column) -> bool:
    """Whether there is no value that could not be shown, on no database."""
    field = column.field
    is_text = type(field) in TEXTS and not column.choice_names
    return field.primary_key or (not field.null and (is_text or type(field) is models.BooleanField))


UNKNOWN = object()


def choice(column: Column, resource: BulkResource) -> Any:
    """The enum's member; a blank has none, and one of another time is not known any more."""
    members = {member.value: member for member in enum_of(column, resource.type_name)}

    def show(value: Any, field: Any, row: models.Model) -> Any:
        return None if value == "" else members.get(value, UNKNOWN)

    return show


def plain(value: Any, field: Any, row: models.Model) -> Any:
    return value


def text(value: Any, field: Any, row: models.Model) -> Any:
    """A text; of a field with objects of its own, what it writes itself for Django's fixtures."""
    if isinstance(value, File):
        return value.name or ""
    return value if isinstance(value, str) else field.value_to_string(row)


def key(value: Any, field: Any, row: models.Model) -> Any:
    return str(value) if isinstance(value, int | str | UUID) else field.value_to_string(row)


def integer(value: Any, field: Any, row: models.Model) -> Any:
    """GraphQL's Int has 32 bits, which not every database keeps to."""
    return value if isinstance(value, int) and -(2**31) <= value < 2**31 else UNKNOWN


def number(value: Any, field: Any, row: models.Model) -> Any:
    return value if isinstance(value, int | float | Decimal) and math.isfinite(value) else UNKNOWN


def duration(value: Any, field: Any, row: models.Model) -> Any:
    return value if isinstance(value, timedelta) else UNKNOWN


def json_of(value: Any, field: Any, row: models.Model) -> Any:
    """A value of a field that is not known here: as JSON where it is no more than that, else as its own text."""
    try:
        return json.loads(json.dumps(value, cls=DjangoJSONEncoder, allow_nan=False))
    except (TypeError, ValueError):
        return field.value_to_string(row)


SHOWN: dict[Any, Any] = {
    strawberry.ID: key,
    str: text,
    int: integer,
    float: number,
    Decimal: number,
    Duration: duration,
}
