"""JSON objects -> a raw frame: one column of cells for each field that some row gives."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import polars as pl

from bulkql.workers.columns.cells import cells, exact_json
from bulkql.workers.columns.column import Column, graphql_name
from bulkql.workers.conf import limits
from bulkql.workers.errors import Code, RowError, counted
from bulkql.workers.frames import INTAKE_ERRORS, OTHERS, errors_to_json
from bulkql.workers.readers.bounds import QUOTED
from bulkql.workers.readers.listed import TYPENAME, as_written
from bulkql.workers.resources.plan import Plan

NOT_AN_OBJECT = "A row is an object of fields and values."


def raw_frame(
    plan: Plan,
    rows: Sequence[Any],
    *,
    names: dict[str, str] | None = None,
    ignore_unknown: bool = False,
    errors: dict[int, list[RowError]] | None = None,
) -> pl.DataFrame:
    """The rows as cells. What is no object, and fields that rows do not have, become row errors.

    `names` maps what the rows call a field to what the resource calls it; `errors` are those found before.
    """
    errors = errors if errors is not None else {}
    rows = [row if isinstance(row, dict) else not_an_object(index, row, errors) for index, row in enumerate(rows)]
    keys = set().union(*rows)
    if not keys.isdisjoint(plan.by_names):
        rows = [flattened(plan, index, row, errors) for index, row in enumerate(rows)]
        keys = set().union(*rows)
    known = {**plan.names, **(names or {})}
    # A key may hold half a surrogate pair, which no frame takes.
    unknown = {key: key.encode(errors="backslashreplace").decode() for key in sorted(keys - known.keys() - {TYPENAME})}
    if unknown and not ignore_unknown:
        find_unknown(plan, rows, unknown, errors)
    series = []
    for column in plan.all_columns.values():
        aliases = [key for key in known if key in keys and known[key] == column.name]
        if aliases:
            values = values_under(rows, aliases[0]) if len(aliases) == 1 else merged(rows, column, aliases, errors)
            values = as_written(column, values)
            series.append(cells(values, column.accepts, as_json=column.as_json).alias(column.name))
    if unknown and ignore_unknown:
        series.append(left_out(rows, unknown))
    if errors:
        texts = [errors_to_json(errors[index]) if index in errors else None for index in range(len(rows))]
        series.append(pl.Series(INTAKE_ERRORS, texts, dtype=pl.String))
    if not series:
        # Rows that give nothing at all are rows still; each will be told what it lacks.
        name = next(iter(plan.all_columns))
        series.append(pl.Series(name, [None] * len(rows), dtype=pl.String))
    return pl.DataFrame(series)


def left_out(rows: Sequence[dict[str, Any]], unknown: dict[str, str]) -> pl.Series:
    """What rows give that the resource does not have, kept to be given back."""
    found = ({name: row[key] for key, name in unknown.items() if key in row} for row in rows)
    return pl.Series(OTHERS, [exact_json(one) if one else None for one in found], dtype=pl.String)


def values_under(rows: Sequence[dict[str, Any]], key: str) -> list[Any]:
    try:
        return list(map(itemgetter(key), rows))
    except KeyError:
        return [row.get(key, ...) for row in rows]


def merged(
    rows: Sequence[dict[str, Any]], column: Column, keys: Sequence[str], errors: dict[int, list[RowError]]
) -> list[Any]:
    """The values of a field that the rows call by several names; a row that uses two of them contradicts itself."""
    values: list[Any] = []
    for index, row in enumerate(rows):
        given = [key for key in keys if key in row]
        values.append(row[given[0]] if given else ...)
        if len(given) > 1:
            message = f"The row gives this field twice, as {' and as '.join(given)}."
            shown = exact_json([row[key] for key in given])
            errors.setdefault(index, []).append(RowError(column.graphql_name, Code.INVALID, message, shown))
    return values


def not_an_object(index: int, row: Any, errors: dict[int, list[RowError]]) -> dict[str, Any]:
    """A row that is no object gives nothing, and has one error of its own."""
    if index not in errors:
        errors[index] = [RowError(None, Code.INVALID, NOT_AN_OBJECT, exact_json(row))]
    return {}


def flattened(plan: Plan, index: int, row: dict[str, Any], errors: dict[int, list[RowError]]) -> dict[str, Any]:
    """A row whose {"accountBy": {"name": "Cash"}} is {"accountBy.name": "Cash"}."""
    if plan.by_names.isdisjoint(row):
        return row
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if key not in plan.by_names:
            flat[key] = value
        elif isinstance(value, dict) and value:
            flat |= {f"{in_graphql(key)}.{name}": part for name, part in value.items() if name != TYPENAME}
        elif value is None:
            flat.setdefault(in_graphql(key).removesuffix("By"), None)
        else:
            message = "An object with the fields of one of its keys is expected here."
            errors.setdefault(index, []).append(RowError(in_graphql(key), Code.INVALID, message, exact_json(value)))
    return flat


def in_graphql(by_name: str) -> str:
    """account_by -> accountBy."""
    return graphql_name(by_name) if by_name.endswith("_by") else by_name


def find_unknown(
    plan: Plan,
    rows: Sequence[dict[str, Any]],
    unknown: dict[str, str],
    errors: dict[int, list[RowError]],
) -> None:
    """Name the unknown fields of each row."""
    known = plan.known()
    for index, row in enumerate(rows):
        found = sorted(unknown.keys() & row.keys())
        if found:
            told = found[: limits().unknown_fields]
            errors.setdefault(index, []).extend(
                RowError(
                    unknown[key],
                    Code.UNKNOWN_FIELD,
                    f"{plan.resource.name} has no field {unknown[key][:QUOTED]}; it has {known}.{plan.unnamed(key)}",
                    exact_json(row[key]),
                )
                for key in told
            )
            if others := found[len(told) :]:
                errors[index].append(more_unknown(plan, {key: row[key] for key in others}))


def more_unknown(plan: Plan, fields: dict[str, Any]) -> RowError:
    """The unknown fields of a row that are not told one by one: their messages would take many times what was sent."""
    message = f"This row has {counted(len(fields), 'more field')} that {plan.resource.name} does not have."
    return RowError(None, Code.UNKNOWN_FIELD, message, exact_json(fields))
