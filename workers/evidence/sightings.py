"""Clean rows of a chunk -> the rows of the table that they mean, as these are before anything is written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl
from django.db import DataError, models, transaction

from bulkql.workers.backends import backend
from bulkql.workers.enums import Lane, Verb
from bulkql.workers.evidence.own_rows import OwnRows
from bulkql.workers.frames import ROW, ROW_NUMBER, given, no_errors
from bulkql.workers.images.literals import tables_of
from bulkql.workers.images.marks import marks_of, number_of
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.rights import cascading
from bulkql.workers.resources.scope import batches
from bulkql.workers.validation.references import resolve
from bulkql.workers.validation.values import Validated
from bulkql.workers.writers import merging, orm, staging
from bulkql.workers.writers.links import links
from bulkql.workers.writers.table import changes_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: What was seen of a row: the primary key, as text, and the mark of the row of the table that it means; and that of
#: what belongs to that row, its lists or what goes along when it is deleted. All are null where none is there.
#: One that the user may not see is told by its mark alone: UNSEEN.
SIGHTINGS = {ROW: ROW_NUMBER, "pk": pl.String, "mark": pl.Int64, "along": pl.Int64}
UNSEEN = pl.lit(0, dtype=pl.Int64)


def sighted(
    plan: Plan, rows: pl.DataFrame, user: User | None, own: OwnRows, to_lock: pl.Series | None = None
) -> pl.DataFrame:
    """What is there of these rows: SIGHTINGS, of the rows that mean one that the user may see.

    And of those of an upsert that mean another one: they would create it, if it were not there.

    `to_lock`: the rows (`__row`) whose rows of the table are locked before they are looked at. While a plan is made
    none has to be: what changes between this look and the write is a conflict later, as what changes after it.
    """
    if plan.verb == Verb.CREATE or rows.is_empty():
        return pl.DataFrame(schema=SIGHTINGS)
    meant = rows_meant(plan, rows, user, to_lock)
    found = meant.drop_nulls("pk")
    alias, pks = plan.resource.database, found["pk"].to_list()
    seen = found.with_columns(marks(plan.resource.model, alias, pks))
    seen = seen.join(alongs(plan, pks, own), on="pk", how="left", maintain_order="left").select(*SIGHTINGS)
    if plan.verb != Verb.UPSERT:
        return seen
    unseen = meant.filter(pl.col("pk").is_null()).with_columns(mark=UNSEEN, along=None)
    return pl.concat([seen, unseen.cast(SIGHTINGS)])  # type: ignore[arg-type]


def rows_meant(plan: Plan, rows: pl.DataFrame, user: User | None, to_lock: pl.Series | None) -> pl.DataFrame:
    """The rows that are there, by the fields of the key alone: `__row`, pk; null of those that the user may not see."""
    by_key = replace(plan, verb=Verb.DELETE)
    wanted = [name for column in by_key.all_columns for name in (column, given(column))]
    keys = Validated(rows.select(ROW, *(name for name in wanted if name in rows.columns)), no_errors())
    rows = resolve(by_key, keys, user).rows
    if rows.is_empty():
        return pl.DataFrame(schema={ROW: ROW_NUMBER, "pk": pl.String})
    if plan.lane == Lane.COPY and backend(plan.resource.database).supports_copy:
        try:
            with transaction.atomic(using=plan.resource.database):
                return in_database(by_key, rows, user, to_lock)
        except DataError:
            # A value that the field takes and PostgreSQL does not.
            pass
    matched = orm.match(by_key, rows, user).items()
    told = [(row, str(one.instance.pk) if one.is_visible else None) for row, one in matched]
    return pl.DataFrame(told, schema={ROW: ROW_NUMBER, "pk": pl.String}, orient="row")


def in_database(plan: Plan, rows: pl.DataFrame, user: User | None, to_lock: pl.Series | None) -> pl.DataFrame:
    """The same, by a join with the table."""
    table = changes_of(plan, rows)
    staging.stage(plan.resource, table)
    staging.analyze(plan.resource)
    found = merging.matched(plan, table, rows[ROW], user, "true")
    if to_lock is not None:
        found = found.filter(~pl.col(ROW).is_in(to_lock.implode()))
        wanted = rows.filter(pl.col(ROW).is_in(to_lock.implode()))[ROW]
        found = found if wanted.is_empty() else pl.concat([found, merging.locked(plan, table, wanted, user)])
    return found.select(ROW, pk=pl.when("visible").then("pk"))


def marks(model: type[models.Model], alias: str, pks: list[str]) -> pl.Series:
    """The marks of these rows, one after the other; of a model that inherits from other tables, of its parts in all."""
    found = [marks_of(table, alias, pks) for table in tables_of(model)]
    if len(found) == 1:
        return found[0]
    together = pl.DataFrame([one.alias(str(n)) for n, one in enumerate(found)]).with_columns(pl.all().cast(pl.String))
    whole = together.select(pl.concat_str(pl.all(), separator=" ")).to_series()
    return whole.map_elements(mark_of_text, pl.Int64).alias("mark")


def mark_of_text(text: str) -> int:
    return number_of([text])


def alongs(plan: Plan, pks: list[str], own: OwnRows) -> pl.DataFrame:
    """What belongs to these rows of the table: pk, along."""
    found = goes_along(plan, pks, own) if plan.verb == Verb.DELETE else listed(plan, pks)
    texts = found.sort("pk", "text").group_by("pk", maintain_order=True).agg(pl.col("text").str.join("\n"))
    return texts.select("pk", along=pl.col("text").map_elements(mark_of_text, return_dtype=pl.Int64))


def listed(plan: Plan, pks: list[str]) -> pl.DataFrame:
    """The targets in the rows' lists: pk, text."""
    parts = [
        links(plan, column, pks).select("pk", text=pl.format("{} {}", pl.lit(column.name), "target"))
        for column, *_ in plan.lists.values()
    ]
    return pl.concat([pl.DataFrame(schema={"pk": pl.String, "text": pl.String}), *parts])


def goes_along(plan: Plan, pks: list[str], own: OwnRows) -> pl.DataFrame:
    """The rows that would be deleted along with these, as they are, but for the operation's own: pk, text."""
    resource = plan.resource
    schema = {"pk": pl.String, "other": pl.String}
    parts = [pl.DataFrame(schema={"pk": pl.String, "text": pl.String})]
    keys = [resource.pk.value_field.to_python(pk) for pk in pks]
    for model, path in [] if resource.is_deleted_alone else cascading(resource.model):
        others = model._base_manager.using(resource.database)
        pairs = [
            (str(pk), str(other))
            for some in batches(keys)
            for pk, other in others.filter(**{f"{path}__pk__in": some}).values_list(f"{path}__pk", "pk").order_by()
        ]
        found = pl.DataFrame(pairs, schema=schema, orient="row").unique()
        found = found.filter(~pl.col("other").is_in(own.among(model, found["other"]).implode()))
        others_marks = found.select(pl.col("other").unique())
        others_marks = others_marks.with_columns(marks(model, resource.database, others_marks["other"].to_list()))
        told = found.join(others_marks, on="other", how="left")
        parts.append(
            told.select("pk", text=pl.format("{} {} {}", pl.lit(f"{model._meta.label} {path}"), "other", "mark"))
        )
    return pl.concat(parts)
