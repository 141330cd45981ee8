"""What is to be undone, and what is so now -> the rows that can be, and the row errors of the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl
from django.db import models

from bulkql.workers.enums import Outcome
from bulkql.workers.errors import Code, RowError
from bulkql.workers.frames import ROW, errors_at, errors_in, no_errors
from bulkql.workers.images.taken import Images, Part
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.rights import may, permission_to
from bulkql.workers.resources.scope import is_all, pks_within
from bulkql.workers.reverting.source import Source, own_of
from bulkql.workers.reverting.staged import StagedImages
from bulkql.workers.writers.staging import rows_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: The permission that it takes to undo what was done to a row.
ACTIONS = {Outcome.CREATED.value: "delete", Outcome.UPDATED.value: "change", Outcome.DELETED.value: "add"}
ANYWAY = pl.lit("give force: true to undo it anyway.")


def refusals(
    plan: Plan, source: Source, staged: list[StagedImages], states: list[pl.DataFrame], user: User | None
) -> pl.DataFrame:
    """The row errors of rows that are left as they are, one for each: `__row`, path, code, message, data."""
    errors = [
        source.errors,
        *unpermitted(plan, source, staged, user),
        hidden(plan, source, staged, states, user),
        *changed(plan, staged, states),
        *unwritable(plan, staged),
    ]
    return pl.concat([no_errors(), *errors]).unique(ROW, keep="first", maintain_order=True)


def with_pks(source: Source, errors: pl.DataFrame) -> pl.DataFrame:
    """The row errors, whose `data` is the primary key: a row of a revert gives nothing else by which it is known."""
    named = errors.join(source.rows.select(ROW, "pk"), on=ROW, how="left", maintain_order="left")
    return named.with_columns(data=pl.coalesce("data", "pk")).drop("pk")


def unpermitted(plan: Plan, source: Source, staged: list[StagedImages], user: User | None) -> Iterator[pl.DataFrame]:
    """Rows of which a part takes a permission that the user lacks."""
    for outcome, action in ACTIONS.items():
        rows = source.rows.filter(pl.col("outcome") == outcome)[ROW]
        yield from lacking_permission(plan.resource.model, action, rows, user)
    for one in staged:
        model = one.images.model
        if one.images.part in (Part.GONE, Part.POINTING) and not model._meta.auto_created:
            action = "add" if one.images.part == Part.GONE else "change"
            yield from lacking_permission(model, action, one.images.rows[ROW].unique(), user)


def lacking_permission(
    model: type[models.Model], action: str, rows: pl.Series, user: User | None
) -> Iterator[pl.DataFrame]:
    if not rows.is_empty() and not may(user, action, model):
        message = f"Undoing this needs the permission {permission_to(action, model)}."
        yield errors_at(rows, RowError(None, Code.FORBIDDEN, message))


def hidden(
    plan: Plan, source: Source, staged: list[StagedImages], states: list[pl.DataFrame], user: User | None
) -> pl.DataFrame:
    """Rows that are there, and out of the user's sight."""
    if not plan.is_bounded or is_all(plan.reach(user)):
        return no_errors()
    own = {id(one) for one in own_of(plan, [one.images for one in staged])}
    there = [rows.filter("is_there") for one, rows in zip(staged, states, strict=True) if id(one.images) in own]
    if not there:
        return no_errors()
    rows = pl.concat(there)
    keys = [plan.resource.pk.value_field.to_python(pk) for pk in rows["pk"]]
    seen = pks_within(plan.reach(user), keys)
    strays = rows.filter(pl.Series([key not in seen for key in keys], dtype=pl.Boolean))
    message = f"There is no {plan.resource.model._meta.verbose_name} with this {plan.resource.pk.graphql_name}."
    return errors_in(strays, None, Code.NOT_FOUND, pl.lit(message), pl.col("pk"))


def changed(plan: Plan, staged: list[StagedImages], states: list[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Rows that are neither as they were nor as the operation left them, or with which such rows went along."""
    if plan.forces:
        return
    for one, rows in zip(staged, states, strict=True):
        other = rows.filter(~pl.col("is_done") & ~pl.col("is_as_left"))
        message = what_changed(plan, one.images)
        yield errors_in(other, None, Code.CONFLICT, message, pl.lit(None)).unique(ROW, keep="first")


def what_changed(plan: Plan, images: Images) -> pl.Expr:
    """What is not as the operation left it, of rows in the form of StagedImages.states."""
    name, its_name = (pl.lit(model._meta.verbose_name) for model in (plan.resource.model, images.model))
    if images.part == Part.LINK:
        return pl.format("A list of this {} has changed since the operation wrote it; {}", name, ANYWAY)
    if images.part == Part.OWN:
        now = pl.when("is_there").then(pl.lit("changed")).otherwise(pl.lit("been deleted"))
        return pl.format("This {} has {} since the operation wrote it; {}", name, now, ANYWAY)
    how = pl.lit("was deleted along with it" if images.part == Part.GONE else "referred to it")
    message = "The {} {}, which {}, has changed since, so this {} stays as it is; {}"
    return pl.format(message, its_name, "pk", how, name, ANYWAY)


def unwritable(plan: Plan, staged: list[StagedImages]) -> Iterator[pl.DataFrame]:
    """Rows of the table in which fields would be set back that the user may not write."""
    columns = [
        str(plan.resource.columns[name].field.column) for name in plan.read_only if name in plan.resource.columns
    ]
    for one in staged:
        wanted = [name for name in columns if name in one.images.columns]
        is_own = one.images.part == Part.OWN and one.images.model is plan.resource.model
        if is_own and wanted:
            now, then = (", ".join(f"{of}.{one.quote(name)}" for name in wanted) for of in ("t", "(x.r)"))
            sql = (
                f"SELECT x.row FROM (SELECT s.{one.quote(ROW)} AS row, s.pk, s.image::{one.type} AS r"  # noqa: S608
                f" FROM {one.table} s WHERE s.image IS NOT NULL OFFSET 0) x JOIN {one.target} t ON t.{one.pk} = x.pk"
                f" WHERE ROW({now})::text IS DISTINCT FROM ROW({then})::text"
            )
            message = f"You may not write {', '.join(sorted(plan.read_only))}, which would be set back."
            yield errors_at(rows_of(plan.resource, sql), RowError(None, Code.FORBIDDEN, message))
