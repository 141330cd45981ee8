"""Values as a list query tells them -> the values that rows give, so that rows which were read can be sent back.

A foreign key is read as an object and written as its target's key, a list is read as objects and written as their
primary keys, and a choice that was left blank is read as null.
"""

from __future__ import annotations

from typing import Any

from bulkql.workers.columns.column import Column, graphql_name
from bulkql.workers.columns.lists import ListColumn

#: What clients add to each object that they read, to know it again: Apollo, urql, Relay.
TYPENAME = "__typename"


def as_written(column: Column, values: list[Any]) -> list[Any]:
    """A column's decoded JSON, `...` where a row does not give it, with each value in the form that rows have."""
    if isinstance(column, ListColumn):
        if not column.has_objects and column.names is None and list in set(map(type, values)):
            assert column.target is not None
            name = graphql_name(column.target._meta.pk.name)
            return [[key_in(one, name) for one in value] if isinstance(value, list) else value for value in values]
    elif column.target is not None and column.names is None:
        if dict in set(map(type, values)):
            name = graphql_name(column.target_field.name)
            return [key_in(value, name) for value in values]
    elif is_blank_told_as_null(column) and None in values:
        return ["" if value is None else value for value in values]
    return values


def key_in(value: Any, name: str) -> Any:
    """The key of a target that was read; whatever else it is, the column will say."""
    return value[name] if isinstance(value, dict) and name in value else value


def is_blank_told_as_null(column: Column) -> bool:
    """A choice may be left blank, and its enum has no name for that."""
    field = column.field
    return bool(column.choice_names) and field.blank and not field.null and field.empty_strings_allowed
