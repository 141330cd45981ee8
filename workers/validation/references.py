"""Foreign keys -> the rows that they point to, asked for once a column.

A row gives a foreign key by its value, or names the target by one of its unique keys (account.name): then the target's
value takes its place. Only targets that the user may see count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
from django.db import models

from bulkql.workers.columns.column import Column, by_name
from bulkql.workers.errors import Code
from bulkql.workers.frames import ROW, errors_in, given, no_errors
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.scope import KEYS_A_QUERY, among, batches, targets_of
from bulkql.workers.validation.values import Validated, keys_of_target, without

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def resolve(plan: Plan, validated: Validated, user: User | None) -> Validated:
    """Fill in the foreign keys, and take out the rows whose targets the user cannot see or nobody has."""
    rows, errors = validated.rows, [no_errors()]
    for column in plan.columns.values():
        if column.target is None:
            continue
        errors.append(unresolved(plan, column, rows, user))
        named = [one for one in plan.naming_columns.get(column.name, ()) if one.name in rows.columns]
        if named:
            rows, unknown = with_named(plan, column, named, rows, user)
            errors.append(unknown)
    return without(Validated(rows, validated.errors), pl.concat(errors))


def targets(plan: Plan, column: Column, user: User | None) -> models.QuerySet[Any]:
    """The rows that a foreign key or a list may point to, of those that the user may see."""
    assert isinstance(column.field, models.ForeignKey | models.ManyToManyField)
    allowed = targets_of(plan.resource, column.field, user)
    return allowed.complex_filter(column.field.get_limit_choices_to()).order_by()


def unresolved(plan: Plan, column: Column, rows: pl.DataFrame, user: User | None) -> pl.DataFrame:
    """The row errors of one foreign key that rows give by its value: `__row`, path, code, message, data."""
    wanted = rows[column.name].unique().drop_nulls()
    if wanted.is_empty():
        return no_errors()
    known = existing(plan, column, wanted, user)
    if wanted.dtype == pl.Int64 and known.n_unique() == len(wanted):
        return no_errors()
    unknown = wanted.filter(~column.comparable(wanted).is_in(known.implode())) if not known.is_empty() else wanted
    if unknown.is_empty():
        return no_errors()
    assert column.target is not None
    name = column.target._meta.verbose_name
    text = pl.col(column.name).cast(pl.String)
    return errors_in(
        rows.filter(pl.col(column.name).is_in(unknown.implode())),
        column.graphql_name,
        Code.REFERENCE_NOT_FOUND,
        pl.format(f"There is no {name} {{}}.", text),
        text,
    )


def existing(plan: Plan, column: Column, wanted: pl.Series, user: User | None) -> pl.Series:
    """Which of these keys are there, in comparable form."""
    key = column.target_field.attname
    queryset, values = targets(plan, column, user), column.python(wanted)
    found = [value for some in batches(values) for (value,) in among(queryset, key, some).values_list(key)]
    return column.comparable(column.series(found, [str(value) for value in found]))


def with_named(
    plan: Plan, column: Column, named: list[Column], rows: pl.DataFrame, user: User | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows whose foreign key is filled in where they name its target, and the errors of those that name nobody."""
    errors = [no_errors()]
    for key in keys_of_target(column):
        of_key = [one for one in named if one.field.name in key]
        if len(of_key) < len(key):
            continue
        is_named = pl.all_horizontal(
            pl.col(given(one.name)) if one in of_key else ~pl.col(given(one.name)) for one in named
        )
        naming = rows.filter(is_named)
        if naming.is_empty():
            continue
        wanted = comparable_keys(of_key, naming)
        found = wanted.join(found_targets(plan, column, of_key, naming, user), on=wanted.columns[1:], how="left")
        pks = found.select(ROW, found="target").drop_nulls()
        rows = rows.join(pks, on=ROW, how="left", maintain_order="left")
        is_found = pl.col("found").is_not_null()
        rows = rows.with_columns(
            pl.when(is_found).then("found").otherwise(column.name).alias(column.name),
            (pl.col(given(column.name)) | is_found).alias(given(column.name)),
        ).drop("found")
        unknown = naming.join(pks, on=ROW, how="anti", maintain_order="left")
        errors.append(nobody_of(column, of_key, unknown))
    return rows.drop(*(name for one in named for name in (one.name, given(one.name)))), pl.concat(errors)


def comparable_keys(of_key: list[Column], rows: pl.DataFrame) -> pl.DataFrame:
    """The rows' keys, in a form in which equal ones are the same."""
    return pl.DataFrame([rows[ROW], *(one.comparable(rows[one.name]).alias(one.name) for one in of_key)])


def found_targets(
    plan: Plan, column: Column, of_key: list[Column], rows: pl.DataFrame, user: User | None
) -> pl.DataFrame:
    """The targets of keys that rows name: the key's comparable values, and `target`, what the foreign key takes."""
    queryset, value = targets(plan, column, user), column.target_field.attname
    # The field with the most values narrows the search best; the others only leave out what cannot be meant.
    first, *others = sorted(of_key, key=lambda one: -rows[one.name].n_unique())
    for one in others:
        distinct = one.python(rows[one.name].unique().drop_nulls())
        if len(distinct) <= KEYS_A_QUERY:
            queryset = among(queryset, one.field.attname, distinct)
    names = [one.field.attname for one in of_key]
    found = [
        row
        for some in batches(first.python(rows[first.name].unique().drop_nulls()))
        for row in among(queryset, first.field.attname, some).values_list(value, *names)
    ]
    keys = [
        one.comparable(one.series([row[place] for row in found], [str(row[place]) for row in found])).alias(one.name)
        for place, one in enumerate(of_key, start=1)
    ]
    values = [row[0] for row in found]
    return pl.DataFrame([*keys, column.series(values, [str(value) for value in values]).alias("target")])


def nobody_of(column: Column, of_key: list[Column], rows: pl.DataFrame) -> pl.DataFrame:
    """The row errors of those who name a target that is not there."""
    assert column.target is not None
    values = [pl.col(one.name).cast(pl.String).fill_null("null") for one in of_key]
    shown = pl.concat_str(values, separator=", ")
    path = of_key[0].graphql_name if len(of_key) == 1 else by_name(column.name)
    named = [pl.format(f"{one.field.name} {{}}", value) for one, value in zip(of_key, values, strict=True)]
    who = pl.concat_str(named, separator=" and ")
    message = pl.format(f"There is no {column.target._meta.verbose_name} with {{}}.", who)
    return errors_in(rows, path, Code.REFERENCE_NOT_FOUND, message, shown)
