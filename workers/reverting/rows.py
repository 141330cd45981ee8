"""Rows of a revert -> the rows of the table that an operation wrote, as they were before it.

A row of the operation is undone as a whole, with all that went along with it, or not at all.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from bulkql.workers.enums import Lane, Outcome, Verb
from bulkql.workers.frames import ROW, given, no_errors
from bulkql.workers.resources.plan import Plan
from bulkql.workers.reverting.restoring import Undo, restore
from bulkql.workers.reverting.saving import save_back
from bulkql.workers.reverting.source import source_of
from bulkql.workers.reverting.staged import staged_all
from bulkql.workers.reverting.staying import remember, staying_with
from bulkql.workers.reverting.verdicts import refusals, with_pks
from bulkql.workers.saving.rows import delete_rows
from bulkql.workers.writers import deletion
from bulkql.workers.writers.bounds import write_within
from bulkql.workers.writers.written import Written, nothing, outcomes, together

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def revert_rows(plan: Plan, raw: pl.DataFrame, user: User | None) -> Written:
    """Undo what another operation did to these rows (`__chunk`, `__place`). In a transaction. Raises HookFailed."""
    source = source_of(plan, raw)
    staged = staged_all(plan.resource.database, source.images)
    undo = Undo.of(plan, staged)
    refused = Written(errors=refusals(plan, source, staged, undo.states, user))
    is_refused = pl.col(ROW).is_in(refused.errors[ROW].implode())
    remember(plan, source.rows.filter(is_refused)["pk"])
    written = together([refused, undo_rows(undo, source.rows.filter(~is_refused), user)])
    errors = with_pks(source, written.errors)
    remember(plan, errors["data"])
    return replace(written, errors=errors)


def undo_rows(undo: Undo, rows: pl.DataFrame, user: User | None) -> Written:
    """Delete what the operation created, and restore the others (`__row`, outcome, pk)."""
    is_new = pl.col("outcome") == Outcome.CREATED.value
    new, others = rows.filter(is_new), rows.filter(~is_new)
    if new.is_empty() or others.is_empty() or not undo.plan.resource.refers_to_itself:
        return together([take_away(undo, new, user), restore_within(undo, others, user)])
    # Rows that point to a new one would be deleted along with it, and with them all that hangs on them.
    restored = restore_within(undo, others, user)
    remember(undo.plan, others.join(restored.errors, on=ROW, how="semi")["pk"])
    taken_away = take_away(undo, new, user)
    if restored.errors.is_empty():
        return together([taken_away, restored])
    # A new row may have had what they need.
    now = undo.looked_at_again()
    gone = undo.own().join(now.own().filter(~pl.col("is_there")), on=ROW, how="semi").filter("is_there")[ROW]
    is_left = pl.col(ROW).is_in(restored.errors[ROW].implode()) & ~pl.col(ROW).is_in(gone.implode())
    left = others.filter(is_left)
    restored = replace(restored, errors=restored.errors.filter(~pl.col(ROW).is_in(left[ROW].implode())))
    return together([taken_away, restored, restore_within(now, left, user)])


def take_away(undo: Undo, new: pl.DataFrame, user: User | None) -> Written:
    """Delete rows that the operation created (`__row`, pk), as Django's on_delete rules say."""
    states = undo.own().select(ROW, "is_there")
    new = new.join(states, on=ROW, maintain_order="left")
    absent = new.filter(~pl.col("is_there"))
    there = new.filter("is_there")
    gone_already = Written(outcomes(absent[ROW], Outcome.UNCHANGED, absent["pk"]), no_errors())
    staying = staying_with(undo.plan, there.select(ROW, "pk"))
    there = there.join(staying, on=ROW, how="anti", maintain_order="left")
    gone_already = together([gone_already, Written(errors=staying)])
    if there.is_empty():
        return gone_already
    pk = undo.plan.resource.pk
    plan = Plan(resource=undo.plan.resource, verb=Verb.DELETE, match_by=(pk.name,), sees_hidden=True)
    keys = pk.series([pk.value_field.to_python(text) for text in there["pk"]], there["pk"].to_list())
    rows = pl.DataFrame([there[ROW], keys.alias(pk.name)]).with_columns(pl.lit(True).alias(given(pk.name)))
    delete = delete_rows if undo.plan.lane == Lane.SAVE else deletion.delete
    return together([gone_already, delete(plan, rows, user)])


def restore_within(undo: Undo, rows: pl.DataFrame, user: User | None) -> Written:
    """Restore rows, but those that the user could not see afterwards."""
    if rows.is_empty():
        return nothing()
    write = save_back if undo.plan.lane == Lane.SAVE else restore
    return write_within(undo.plan, rows, user, partial(write, undo))
