"""A variable's value -> the same without its rows, and the rows."""

from __future__ import annotations

from typing import Any

#: The fields of a resource's input that hold rows.
LISTS = ("rows", "keys", "ids")

#: What the client sent as rows: any JSON.
Rows = list[Any]
#: The rows of one resource's input, by the field that held them.
RowsByField = dict[str, Rows]
#: The rows of one mutation's argument.
RowsByResource = dict[str, RowsByField]


def strip_input(value: Any) -> tuple[Any, RowsByResource]:
    """A variable in the place of a mutation's argument: its value without its rows, and the rows."""
    if not isinstance(value, dict):
        return value, {}
    stripped_by_name, found = {}, {}
    for name, item in value.items():
        stripped_by_name[name], rows = strip_resource(item)
        if rows is not None:
            found[name] = rows
    return stripped_by_name, found


def strip_resource(value: Any) -> tuple[Any, RowsByField | None]:
    """A variable in the place of one resource's input: its value without its rows, and the rows."""
    if not isinstance(value, dict):
        return value, None
    stripped_by_name, found = dict(value), {}
    for name in LISTS:
        if name in value:
            stripped_by_name[name], rows = strip_rows(value[name])
            if rows is not None:
                found[name] = rows
    return stripped_by_name, found or None


def strip_rows(value: Any) -> tuple[list[Any] | None, Rows | None]:
    """A variable in the place of rows: an empty list, and the rows."""
    if value is None:
        return None, None
    # As graphql-core does, one value stands for a list of one.
    return [], value if isinstance(value, list) else [value]
