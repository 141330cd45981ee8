"""Lists that rows give -> the rows that they name, asked for once a column.

Each distinct text of a list is read once. Only targets that the user may see count, and a row of which one is missing
is not written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import polars as pl

from bulkql.workers.columns.cells import MARK, NULL, cell, encodable, kind_of, value_of
from bulkql.workers.columns.column import Column, by_name, graphql_name
from bulkql.workers.columns.lists import ListColumn
from bulkql.workers.errors import Code, RowError
from bulkql.workers.frames import ERRORS, ROW, ROW_NUMBER, WORDS, errors_at, errors_of, given, no_errors, row_numbers
from bulkql.workers.readers.listed import TYPENAME
from bulkql.workers.resources.plan import Plan
from bulkql.workers.validation.references import comparable_keys, found_targets
from bulkql.workers.validation.values import Validated, parsed, without

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: A row's list once it is resolved: its targets' primary keys as text, each once.
PKS = pl.List(pl.String)


def with_lists(plan: Plan, raw: pl.DataFrame, validated: Validated) -> Validated:
    """Add the texts of lists to the good rows, and take out those whose lists cannot be read."""
    present = [column for columns in plan.lists.values() for column in columns if column.name in raw.columns]
    if not present:
        return validated
    texts = raw.select(row_numbers(), *map(list_cells, present))
    errors = [at_rows(texts, column, read_members(column, texts[column.name]).errors) for column in present]
    rows = validated.rows.join(texts, on=ROW, how="left", maintain_order="left")
    return without(Validated(rows, validated.errors), pl.concat([no_errors(), *errors, *given_twice(plan, texts)]))


def list_cells(column: ListColumn) -> pl.Expr:
    """A column's cells without explicit nulls, which are errors already."""
    return pl.when(pl.col(column.name) != NULL).then(column.name).alias(column.name)


def at_rows(texts: pl.DataFrame, column: ListColumn, errors: pl.DataFrame) -> pl.DataFrame:
    """The errors of texts, at each row that gives them."""
    rows = texts.select(ROW, text=column.name)
    return rows.join(errors, on="text", how="inner", maintain_order="left_right").select(*ERRORS)


def given_twice(plan: Plan, texts: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rows that give one list in two ways."""
    for columns in plan.lists.values():
        for one, other in combinations((column for column in columns if column.name in texts.columns), 2):
            both = texts.filter(pl.col(one.name).is_not_null() & pl.col(other.name).is_not_null())[ROW]
            message = f"The row gives both {one.graphql_name} and {other.graphql_name}."
            yield errors_at(both, RowError(other.graphql_name, Code.INVALID, message))


def resolve_lists(plan: Plan, rows: pl.DataFrame, resolved: Validated, user: User | None) -> Validated:
    """Put the targets' primary keys in the place of each list's texts.

    `rows` are those whose other references are `resolved`: of a bad row all is told at once.
    """
    found, errors = resolved.rows, [no_errors()]
    for name, columns in plan.lists.items():
        present = [column for column in columns if column.name in rows.columns]
        named = [targets_of_rows(plan, column, rows, user) for column in present]
        errors += [unknown for _, unknown in named]
        pks = pl.concat(
            [pl.DataFrame(schema={ROW: ROW_NUMBER, name: PKS}), *(lists.rename({"pks": name}) for lists, _ in named)]
        )
        found = found.drop(column.name for column in present).join(pks, on=ROW, how="left", maintain_order="left")
        found = found.with_columns(pl.col(name).is_not_null().alias(given(name)))
    return without(Validated(found, resolved.errors), pl.concat(errors))


def targets_of_rows(
    plan: Plan, column: ListColumn, rows: pl.DataFrame, user: User | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`__row` and pks of the rows that give a column, and the errors of those that name somebody who is not there."""
    giving = rows.select(ROW, text=column.name).drop_nulls()
    members = with_targets(plan, column, read_members(column, giving["text"]).frame, user)
    strangers = members.filter(pl.col("pk").is_null()).unique("text", keep="first", maintain_order=True)
    errors = errors_of(((one["text"], not_found(column, one)) for one in strangers.iter_rows(named=True)), by="text")
    lists = members.group_by("text").agg(pks=pl.col("pk").unique(maintain_order=True))
    pks = giving.join(lists, on="text", how="left").select(ROW, pl.col("pks").fill_null(pl.lit([], dtype=PKS)))
    return pks, at_rows(rows, column, errors)


def with_targets(plan: Plan, column: ListColumn, members: pl.DataFrame, user: User | None) -> pl.DataFrame:
    """Members with `pk`, the primary key of the target as text; null where there is none."""
    found = [pl.DataFrame(schema={ROW: ROW_NUMBER, "pk": pl.String})]
    for key in column.keys:
        naming = members.filter(pl.col(one.name).is_not_null() == (one in key) for one in column.parts)
        if not naming.is_empty():
            wanted = comparable_keys(list(key), naming)
            targets = found_targets(plan, column, list(key), naming, user)
            pks = wanted.join(targets, on=wanted.columns[1:], how="inner")
            found.append(pks.select(ROW, pk=pl.col("target").cast(pl.String)))
    return members.join(pl.concat(found).unique(ROW), on=ROW, how="left", maintain_order="left")


def not_found(column: ListColumn, member: dict[str, Any]) -> RowError:
    """A member that names nobody."""
    assert column.target is not None
    used = [one for one in column.parts if member[one.name] is not None]
    values = ", ".join(str(member[one.name]) for one in used)
    path = used[0].graphql_name if len(used) == 1 else by_name(column.field.name)
    named = " and ".join(f"{one.name} {member[one.name]}" for one in used)
    who = values if column.names is None else f"with {named}"
    message = f"There is no {column.target._meta.verbose_name} {who}."
    return RowError(path, Code.REFERENCE_NOT_FOUND, message, values)


@dataclass(frozen=True, slots=True)
class Members:
    """The members of lists, and what is wrong with lists.

    `frame`: `__row` (of the member), text (of the list), then the values of the keys' columns; one that a member does
    not give is null. `errors`: text (of the list), path, code, message, data.
    """

    frame: pl.DataFrame
    errors: pl.DataFrame


def read_members(column: ListColumn, cells: pl.Series) -> Members:
    """The members of all lists in a column, each distinct text read once."""
    owners: list[str] = []
    found: list[dict[str, str]] = []
    bad: list[tuple[str, RowError]] = []
    for text in cells.drop_nulls().unique(maintain_order=True):
        for member in members_in(column, text):
            if isinstance(member, RowError):
                bad.append((text, member))
            else:
                owners.append(text)
                found.append(member)
    cells_of_parts = {one.name: [member.get(one.name) for member in found] for one in column.parts}
    members, wrong = parsed(column.parts, pl.DataFrame(cells_of_parts, schema=dict.fromkeys(cells_of_parts, pl.String)))
    members = members.with_columns(pl.Series("text", owners, dtype=pl.String))
    errors = members.select(ROW, "text").join(wrong, on=ROW, how="inner").select("text", *WORDS)
    return Members(members.select(ROW, "text", *cells_of_parts), pl.concat([errors_of(bad, by="text"), errors]))


def members_in(column: ListColumn, text: str) -> Iterator[dict[str, str] | RowError]:
    """The members of one list, as cells of the columns of a key; its error in the place of a bad one."""
    if not text.startswith(MARK) and not text.lstrip().startswith("[") and not column.has_objects:
        # A file's cell: its members are texts, whatever the key's type.
        (single,) = column.parts
        yield from ({single.name: member} for member in map(str.strip, text.split(",")) if member)
        return
    try:
        value = value_of(text) if text.startswith(MARK) else json.loads(text)
    except (ValueError, RecursionError):
        yield RowError(column.graphql_name, Code.INVALID, "This is not a JSON list.", text)
        return
    take = by_object if column.has_objects else by_value
    # GraphQL takes one value for a list of it.
    yield from (take(column, one) for one in (value if isinstance(value, list) else [value]))


def by_value(column: ListColumn, value: Any) -> dict[str, str] | RowError:
    """A member that is the value of a key of one field."""
    (single,) = column.parts
    if value is None:
        return RowError(single.graphql_name, Code.NULL_NOT_ALLOWED, "A list cannot contain null.", "null")
    return {single.name: cell_of(single, value)}


def by_object(column: ListColumn, value: Any) -> dict[str, str] | RowError:
    """A member that is an object with the fields of a key."""
    if not isinstance(value, dict):
        message = f"An object is expected here, not {kind_of(f'{MARK}{json.dumps(value)}')}."
        return RowError(column.graphql_name, Code.INVALID, message, json.dumps(value))
    parts = {name: one for one in column.parts for name in (one.name, graphql_name(one.name))}
    known = ", ".join(graphql_name(one.name) for one in column.parts)
    for name in value.keys() - parts.keys() - {TYPENAME}:
        path = f"{column.graphql_name}.{name}".encode(errors="backslashreplace").decode()
        return RowError(path, Code.UNKNOWN_FIELD, f"The fields of its keys are {known}.", json.dumps(value[name]))
    given = {parts[name]: part for name, part in value.items() if name != TYPENAME and part is not None}
    cells = {one.name: cell_of(one, part) for one, part in given.items()}
    if not any(cells.keys() == {one.name for one in key} for key in column.keys):
        ways = " or ".join(", ".join(graphql_name(one.name) for one in key) for key in column.keys)
        message = f"The fields of one key are expected here: {ways}."
        return RowError(column.graphql_name, Code.INVALID, message, json.dumps(value))
    return cells


def cell_of(part: Column, value: Any) -> str:
    """The cell of a value that is not null."""
    return encodable(str(cell(value, part.accepts, part.as_json)))
