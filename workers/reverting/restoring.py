"""Staged images -> rows of the table as they were: all of a set's rows, or those that no constraint refuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import polars as pl
from django.db import DatabaseError, connections, models, transaction

from bulkql.workers.columns.arrays import array
from bulkql.workers.enums import Outcome
from bulkql.workers.frames import ROW, ROW_NUMBER, errors_at, no_errors
from bulkql.workers.images.taken import Part
from bulkql.workers.resources.constraints import constraints_of
from bulkql.workers.resources.keys import UniqueKey
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import BulkResource, resource_of
from bulkql.workers.reverting.source import own_of
from bulkql.workers.reverting.staged import STATES, StagedImages
from bulkql.workers.writers.deletion import check_now
from bulkql.workers.writers.staging import guilty_errors, rows_of
from bulkql.workers.writers.table import Table
from bulkql.workers.writers.vacating import fields_to_vacate, put_stand_ins
from bulkql.workers.writers.violations import is_of_a_row, reference_violation
from bulkql.workers.writers.written import OUTCOME_OF_ROW, Written, bisect, nothing, together

#: What rows would be, for those that look for guilty ones.
RESTORED = "bulkql_restored"


@dataclass(frozen=True, slots=True)
class Undo:
    """The images of a chunk, staged, and what is so of their rows: the frames of StagedImages.states."""

    plan: Plan
    staged: list[StagedImages]
    states: list[pl.DataFrame]

    @classmethod
    def of(cls, plan: Plan, staged: list[StagedImages]) -> Undo:
        """As the rows are now, which are locked by that."""
        return cls(plan, staged, [one.states() for one in staged])

    def looked_at_again(self) -> Undo:
        """The same, once rows have been written."""
        return self.of(self.plan, self.staged)

    def parts(self, *wanted: Part) -> Iterator[StagedImages]:
        return (one for one in self.staged if one.images.part in wanted)

    def states_of(self, part: Part) -> Iterator[pl.DataFrame]:
        """The states of the rows of one kind of images."""
        return (rows for one, rows in zip(self.staged, self.states, strict=True) if one.images.part == part)

    def own(self) -> pl.DataFrame:
        """The states of the resource's own rows."""
        own = own_of(self.plan, [one.images for one in self.staged])
        known = {id(images) for images in own}
        found = [rows for one, rows in zip(self.staged, self.states, strict=True) if id(one.images) in known]
        return pl.concat([pl.DataFrame(schema=STATES), *found])

    def outcomes_of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """What becomes of rows (`__row`) that are restored: `__row`, outcome, pk."""
        others = [one.filter(~pl.col("is_done"))[ROW] for one in self.states]
        busy = pl.concat([pl.Series(ROW, [], dtype=ROW_NUMBER), *others])
        # Of a row whose lists alone changed there may be no image.
        own = self.own().unique(ROW, keep="first").select(ROW, "is_there", "is_done")
        outcome = (
            pl.when(~pl.col("is_done") & ~pl.col("is_there"))
            .then(pl.lit(Outcome.CREATED.value))
            .when(pl.col(ROW).is_in(busy.implode()))
            .then(pl.lit(Outcome.UPDATED.value))
            .otherwise(pl.lit(Outcome.UNCHANGED.value))
        )
        found = rows.select(ROW, "pk").join(own, on=ROW, how="left", maintain_order="left")
        found = found.with_columns(pl.col("is_there", "is_done").fill_null(True))
        return found.select(ROW, outcome=outcome, pk="pk").cast(OUTCOME_OF_ROW)  # type: ignore[arg-type]

    def cascades_of(self, rows: pl.Series) -> dict[str, int]:
        """How many rows of other models come back along with these, by model."""
        found: dict[str, int] = {}
        for one, states in zip(self.staged, self.states, strict=True):
            if one.images.part == Part.GONE:
                back = states.filter(~pl.col("is_done") & ~pl.col("is_there") & pl.col(ROW).is_in(rows.implode()))
                label = one.images.model._meta.label
                found[label] = found.get(label, 0) + back.height
        return {label: count for label, count in found.items() if count}


def restore(undo: Undo, rows: pl.DataFrame) -> Written:
    """Restore rows (`__row`), each with all that went along with it, or name what keeps it."""
    plan, alias = undo.plan, undo.plan.resource.database
    if rows.is_empty():
        return nothing()
    try:
        with transaction.atomic(using=alias):
            return told(undo, Written(put_back(undo, rows)))
    except DatabaseError as error:
        if not is_of_a_row(error):
            raise
    # Values that rows swapped are in each other's way; and of what is left, the guilty are named by what they violate.
    with_room = partial(put_back, undo, makes_room=True)
    try:
        with transaction.atomic(using=alias):
            return told(undo, Written(with_room(rows)))
    except DatabaseError as error:
        if not is_of_a_row(error):
            raise
    errors = pl.concat([no_errors(), *guilty_of(undo, rows[ROW])]).unique(ROW, keep="first", maintain_order=True)
    innocent = rows.filter(~pl.col(ROW).is_in(errors[ROW].implode()))
    written = bisect(plan.resource, innocent, with_room)
    return together([Written(errors=errors), told(undo, written)])


def told(undo: Undo, written: Written) -> Written:
    """With what came back along."""
    return Written(written.outcomes, written.errors, undo.cascades_of(written.outcomes[ROW]))


def put_back(undo: Undo, rows: pl.DataFrame, *, makes_room: bool = False) -> pl.DataFrame:
    """Restore all of these rows or raise DatabaseError; gives their outcomes."""
    if makes_room:
        make_room(undo, rows[ROW])
    put_parts(undo, rows[ROW], Part.OWN, Part.GONE)
    put_parts(undo, rows[ROW], Part.POINTING, Part.LINK)
    check_now(undo.plan.resource.database)
    return undo.outcomes_of(rows)


def put_parts(undo: Undo, rows: pl.Series, *wanted: Part) -> None:
    """Restore some parts of rows."""
    for one in undo.parts(*wanted):
        if one.images.part == Part.LINK:
            one.delete(rows)
        if one.images.part != Part.POINTING:
            one.insert(rows)
        one.update(rows)


def make_room(undo: Undo, rows: pl.Series) -> None:
    """Put stand-ins where rows are to get unique values back that others of them have now."""
    states = undo.own()
    own = states.filter(pl.col("is_there") & ~pl.col("is_done") & pl.col(ROW).is_in(rows.implode()))
    if own.is_empty():
        return
    for constraint in constraints_of(undo.plan.resource.model, undo.plan.resource.database):
        for field in fields_to_vacate(undo.plan, constraint):
            if put_stand_ins(undo.plan, constraint, field, own["pk"].to_list()):
                break


def guilty_of(undo: Undo, rows: pl.Series) -> Iterator[pl.DataFrame]:
    """The row errors of rows that constraints keep from coming back."""
    for one in undo.parts(Part.OWN, Part.GONE):
        alias, model = one.alias, one.images.model
        resource = resource_of(model) or BulkResource(model)
        values = ", ".join(f"(x.r).{one.quote(name)}" for name in one.images.columns)
        with connections[alias].cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {RESTORED}")
            cursor.execute(
                f"CREATE TEMPORARY TABLE {RESTORED} ON COMMIT DROP AS"  # noqa: S608
                f" SELECT x.{one.quote(ROW)}, {values} FROM (SELECT s.*, s.image::{one.type} AS r FROM {one.table} s"
                f" WHERE s.image IS NOT NULL AND s.{one.quote(ROW)} = ANY(%s::int[]) OFFSET 0) x"
                f" LEFT JOIN {one.target} t ON t.{one.pk} = x.pk WHERE t.{one.pk} IS NULL OR {one.is_otherwise}",
                [array(rows)],
            )
        table = Table(model._meta.db_table, one.images.columns, str(model._meta.pk.column), pl.DataFrame())
        for name, sql in missing_parents(undo, one):
            yield errors_at(rows_of(resource, sql), reference_violation(name))
        yield guilty_errors(resource, table, RESTORED, keys_in_image(resource, one), asks_references=False)


def keys_in_image(resource: BulkResource, one: StagedImages) -> list[UniqueKey]:
    """The unique keys whose columns are all in the images, and the same table's."""
    names = {field.name for field in one.images.model._meta.local_concrete_fields}
    return [key for key in resource.unique_keys if set(key.fields) <= names]


def missing_parents(undo: Undo, one: StagedImages) -> Iterator[tuple[str, str]]:
    """For each foreign key the rows whose target is gone, and does not come back with them."""
    for field in one.images.model._meta.local_concrete_fields:
        if isinstance(field, models.ForeignKey) and getattr(field, "db_constraint", True):
            target, key = field.target_field, one.quote(str(field.column))
            there = (
                f"SELECT FROM {one.quote(target.model._meta.db_table)} t"
                f" WHERE t.{one.quote(str(target.column))} = s.{key}"
            )
            coming = [
                f"SELECT FROM {other.table} o WHERE o.pk = s.{key} AND o.image IS NOT NULL"
                for other in undo.parts(Part.OWN, Part.GONE)
                if other.images.model._meta.db_table == target.model._meta.db_table and target.primary_key
            ]
            absent = " AND ".join(f"NOT EXISTS ({ways})" for ways in (there, *coming))
            yield field.name, f"SELECT s.{one.quote(ROW)} FROM {RESTORED} s WHERE s.{key} IS NOT NULL AND {absent}"  # noqa: S608
