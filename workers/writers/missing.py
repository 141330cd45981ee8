"""Rows that are not in the table, not for this user, or not to be moved -> row errors."""

from __future__ import annotations

import polars as pl

from bulkql.workers.columns.column import graphql_name
from bulkql.workers.enums import Verb
from bulkql.workers.errors import Code, RowError
from bulkql.workers.frames import ROW, errors_at, errors_in, given
from bulkql.workers.resources.plan import Plan
from bulkql.workers.writers.written import Written, nothing, together


def not_there(plan: Plan, rows: pl.DataFrame) -> Written:
    """Nobody has the key of these rows, as far as the user may know."""
    return by_key(plan, rows, Code.NOT_FOUND, f"There is no {row_of(plan)}.")


def out_of_sight(plan: Plan, rows: pl.DataFrame) -> Written:
    """Rows that the user may not see: to those who look for them they are not there, and nobody creates them again."""
    if plan.verb != Verb.UPSERT:
        return not_there(plan, rows)
    message = f"You may not change the {row_of(plan)}."
    if plan.within is not None:
        message = f"You may not change the {row_of(plan)}, or `where` excludes it."
    return by_key(plan, rows, Code.FORBIDDEN, message)


def moved(plan: Plan, rows: pl.DataFrame, found: pl.DataFrame) -> Written:
    """Rows, found by another key, that would give a row of the table another primary key. `found`: `__row`, pk."""
    pk = plan.columns.get(plan.resource.pk.name)
    if pk is None or pk.name in plan.match_by or pk.name not in (plan.update_fields or plan.columns):
        return nothing()
    rows = rows.filter(pl.col(given(pk.name))).join(found.select(ROW, "pk"), on=ROW, maintain_order="left")
    old = pk.series([pk.value_field.to_python(text) for text in rows["pk"]], rows["pk"].to_list())
    wrong = rows.filter(pk.comparable(rows[pk.name]) != pk.comparable(old))
    message = pl.format("The primary key of a row cannot be changed; this one has {}.", "pk")
    errors = errors_in(wrong, pk.graphql_name, Code.INVALID, message, pl.col(pk.name))
    return Written(errors=errors)


def by_key(plan: Plan, rows: pl.DataFrame, code: Code, message: str) -> Written:
    """An error for each row, with its key."""
    if rows.is_empty():
        return nothing()
    names = [graphql_name(name) for name in plan.match_by]
    shown = pl.concat_str([pl.col(name).cast(pl.String).fill_null("null") for name in plan.match_by], separator=", ")
    path = names[0] if len(names) == 1 else None
    return Written(errors=errors_in(rows, path, code, pl.lit(message), shown))


def row_of(plan: Plan) -> str:
    """A row in words: financial account with this name."""
    return f"{plan.resource.model._meta.verbose_name} with this {' and '.join(map(graphql_name, plan.match_by))}"


def lacking(plan: Plan, rows: pl.DataFrame) -> Written:
    """Rows that would be new, and do not give what new rows must."""
    if rows.is_empty():
        return nothing()
    return together(
        Written(
            errors=errors_at(
                rows.filter(~pl.col(given(column.name)))[ROW],
                RowError(
                    column.graphql_name,
                    Code.REQUIRED,
                    f"This field is required of a new {plan.resource.model._meta.verbose_name}.",
                ),
            ),
        )
        for column in plan.columns.values()
        if column.is_required
    )
