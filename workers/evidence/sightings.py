"""Clean rows of a chunk -> the rows of the table that they mean, as these are before anything is written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl
from django.db import DataError, transaction

from bulkql.workers.backends import backend
from bulkql.workers.enums import Lane, Verb
from bulkql.workers.evidence.fingerprints import digest_of_text, fingerprints
from bulkql.workers.frames import ROW, ROW_NUMBER, given, no_errors
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.rights import cascading
from bulkql.workers.resources.scope import batches
from bulkql.workers.validation.references import resolve
from bulkql.workers.validation.values import Validated
from bulkql.workers.writers import deletion
from bulkql.workers.writers.links import links

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: What was seen of a row: the primary key, as text, and the fingerprint of the row of the table that it means; and that
#: of what belongs to that row, its lists or what goes along when it is deleted. All are null where none is there.
SIGHTINGS = {ROW: ROW_NUMBER, "pk": pl.String, "hash": pl.Int64, "along": pl.Int64}


def sighted(plan: Plan, rows: pl.DataFrame, user: User | None) -> pl.DataFrame:
    """What is there of these rows, locked: SIGHTINGS, of the rows that mean one that the user may see."""
    if plan.verb == Verb.CREATE or rows.is_empty():
        return pl.DataFrame(schema=SIGHTINGS)
    found = matched(plan, rows, user)
    alias, pks = plan.resource.database, found["pk"].to_list()
    seen = found.join(fingerprints(plan.resource.model, alias, pks), on="pk", how="left", maintain_order="left")
    return seen.join(alongs(plan, pks), on="pk", how="left", maintain_order="left").select(*SIGHTINGS)


def matched(plan: Plan, rows: pl.DataFrame, user: User | None) -> pl.DataFrame:
    """The rows that are there, by the fields of the key alone: `__row`, pk."""
    by_key = replace(plan, verb=Verb.DELETE)
    wanted = [name for column in by_key.all_columns for name in (column, given(column))]
    keys = Validated(rows.select(ROW, *(name for name in wanted if name in rows.columns)), no_errors())
    rows = resolve(by_key, keys, user).rows
    if rows.is_empty():
        return pl.DataFrame(schema={ROW: ROW_NUMBER, "pk": pl.String})
    if plan.lane == Lane.COPY and backend(plan.resource.database).supports_copy:
        try:
            with transaction.atomic(using=plan.resource.database):
                return deletion.match_staged(by_key, rows, user)
        except DataError:
            # A value that the field takes and PostgreSQL does not.
            pass
    return deletion.match_by_orm(by_key, rows, user)


def alongs(plan: Plan, pks: list[str]) -> pl.DataFrame:
    """What belongs to these rows of the table: pk, along."""
    found = goes_along(plan, pks) if plan.verb == Verb.DELETE else listed(plan, pks)
    texts = found.sort("pk", "text").group_by("pk", maintain_order=True).agg(pl.col("text").str.join("\n"))
    return texts.select("pk", along=pl.col("text").map_elements(digest_of_text, return_dtype=pl.Int64))


def listed(plan: Plan, pks: list[str]) -> pl.DataFrame:
    """The targets in the rows' lists: pk, text."""
    parts = [
        links(plan, column, pks).select("pk", text=pl.format("{} {}", pl.lit(column.name), "target"))
        for column, *_ in plan.lists.values()
    ]
    return pl.concat([pl.DataFrame(schema={"pk": pl.String, "text": pl.String}), *parts])


def goes_along(plan: Plan, pks: list[str]) -> pl.DataFrame:
    """The rows that would be deleted along with these, as they are: pk, text."""
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
        hashes = fingerprints(model, resource.database, found["other"].unique().to_list())
        told = found.join(hashes, left_on="other", right_on="pk", how="left")
        parts.append(
            told.select("pk", text=pl.format("{} {} {}", pl.lit(f"{model._meta.label} {path}"), "other", "hash"))
        )
    return pl.concat(parts)
