"""The lookup `in`, for which PostgreSQL gets one array, and not a parameter for each value."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.lookups import In

from bulkql.workers.columns.arrays import text_array
from bulkql.workers.columns.kinds import INTEGERS, value_field_of
from bulkql.workers.columns.rules import TEXTS

#: The fields whose values PostgreSQL reads from texts, and the type as which it compares them.
ARRAYS: dict[type, str] = {
    **dict.fromkeys(TEXTS, "text"),
    **dict.fromkeys(INTEGERS, "bigint"),
    models.UUIDField: "uuid",
}


class AnyOf(In):
    """To write a thousand placeholders takes Django and psycopg longer than it takes the database to find the rows.

    For fields of ARRAYS, and values of which none is null.
    """

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        kind = ARRAYS[type(value_field_of(self.lhs.output_field))]
        return f"{column} = ANY(%s::{kind}[])", [*params, text_array(map(str, self.rhs))]


def has_array(field: Any) -> bool:
    """Whether the values of a field, or of the one that it points to, may be asked for so."""
    return type(value_field_of(field)) in ARRAYS
