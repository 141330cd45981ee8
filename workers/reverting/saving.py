"""Staged images -> instances that are saved one by one, where the model has code of its own: the lane SAVE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
from django.db import models

from bulkql.workers.enums import Outcome
from bulkql.workers.frames import ROW
from bulkql.workers.images.taken import Part
from bulkql.workers.reverting.restoring import Undo, put_parts, told
from bulkql.workers.reverting.staged import StagedImages
from bulkql.workers.saving.instances import fresh, takes
from bulkql.workers.saving.rows import Became, one_by_one
from bulkql.workers.writers.deletion import check_now
from bulkql.workers.writers.written import Written, together


def save_back(undo: Undo, rows: pl.DataFrame) -> Written:
    """Save rows (`__row`, pk) as they were, each in a savepoint. Moments at which they were saved come back too."""
    before = instances_before(undo)
    pks = dict(rows.select(ROW, "pk").iter_rows())
    there = dict(undo.own().select(ROW, "is_there").iter_rows())
    # A row is in several tables if its model inherits from another one, and each holds a part of it.
    otherwise = {row for one in undo.states_of(Part.OWN) for row in one.filter(~pl.col("is_done"))[ROW]}

    def act(row: int) -> tuple[Outcome, str]:
        is_there, is_done = there.get(row, True), row not in otherwise
        if not is_done:
            save_as_before(undo, pks[row], before[row])
        put_parts(undo, pl.Series([row]), Part.GONE, Part.POINTING, Part.LINK)
        check_now(undo.plan.resource.database)
        busy = any(not one.filter(~pl.col("is_done") & (pl.col(ROW) == row)).is_empty() for one in undo.states)
        changed = Outcome.UPDATED if busy else Outcome.UNCHANGED
        return (Outcome.CREATED if not is_there and not is_done else changed), pks[row]

    written = in_passes(undo, list(pks), act)
    set_clocks(undo, written.outcomes[ROW])
    return told(undo, written)


def in_passes(undo: Undo, rows: list[int], act: Callable[[int], Became]) -> Written:
    """Each row once, and again those that could not come back before others had: what they point to."""
    parts: list[Written] = []
    while rows:
        written = one_by_one(undo.plan, rows, act)
        rows = written.errors[ROW].unique(maintain_order=True).to_list()[::-1]
        if written.outcomes.is_empty():
            return together([*parts, written])
        parts.append(Written(written.outcomes))
    return together(parts)


def instances_before(undo: Undo) -> dict[int, dict[str, Any]]:
    """The attributes that the instances had, from all tables that hold a part of them."""
    found: dict[int, dict[str, Any]] = {}
    for one in undo.parts(Part.OWN):
        for instance in raw_instances(one):
            values = {
                field.attname: instance.__dict__[field.attname]
                for field in instance._meta.local_concrete_fields
                if field.attname in instance.__dict__
            }
            found.setdefault(instance.bulkql_row, {}).update(values)
    return found


def raw_instances(one: StagedImages) -> Any:
    """Instances of the images, with `bulkql_row`."""
    model = one.images.model._meta.concrete_model
    assert model is not None
    return model._base_manager.using(one.alias).raw(
        f"SELECT x.{one.quote(ROW)} AS bulkql_row, (x.r).* FROM (SELECT s.*, s.image::{one.type} AS r"  # noqa: S608
        f" FROM {one.table} s WHERE s.image IS NOT NULL OFFSET 0) x"
    )


def save_as_before(undo: Undo, pk: str, values: dict[str, Any]) -> models.Model:
    """Save one row over the one that is there, or anew under its key; raises whatever refuses it."""
    plan = undo.plan
    instance = fresh(plan, pk)
    is_new = instance is None
    if instance is None:
        instance = plan.resource.model()
        instance._state.db = plan.resource.database
    # Past what looks at attributes as they are set: these values were the row's before.
    instance.__dict__.update(values)
    instance._state.fields_cache.clear()
    if is_new and takes(plan.resource.model.save, "force_insert"):
        instance.save(force_insert=True)
    else:
        instance.save()
    return instance


def set_clocks(undo: Undo, rows: pl.Series) -> None:
    """save() told the time; the rows are to say when they were saved before."""
    for one in undo.parts(Part.OWN):
        clocks = [
            str(field.column)
            for field in one.images.model._meta.local_concrete_fields
            if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
        ]
        wanted = [name for name in clocks if name in one.images.columns]
        if wanted and not rows.is_empty():
            one.update(rows, wanted)
