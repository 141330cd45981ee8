"""Rows that a revert leaves as they are -> new rows that stay too: these would be deleted along with them."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
from django.db import connections, models

from bulkql.workers.columns.arrays import text_array
from bulkql.workers.errors import Code
from bulkql.workers.frames import ROW, errors_in, no_errors
from bulkql.workers.ledger.results import chunk_errors, chunks_in_order
from bulkql.workers.models import Chunk
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.registry import resource_of
from bulkql.workers.resources.rights import cascading
from bulkql.workers.resources.scope import batches

#: A temporary table: what stays as it is, of chunks that the ledger does not know of before their transaction ends.
STAYING = "bulkql_staying"
MADE = f"CREATE TEMPORARY TABLE IF NOT EXISTS {STAYING} (resource text, pk text) ON COMMIT DROP"


def remember(plan: Plan, pks: pl.Series) -> None:
    """Rows of the resource stay as they are."""
    if not pks.is_empty():
        with connections[plan.resource.database].cursor() as cursor:
            cursor.execute(MADE)
            values = [plan.resource.name, text_array(pks)]
            cursor.execute(f"INSERT INTO {STAYING} SELECT %s, unnest(%s::text[])", values)


def staying_with(plan: Plan, new: pl.DataFrame) -> pl.DataFrame:
    """The row errors of new rows (`__row`, pk) to which rows refer that the revert has left as they are."""
    # Rows of other models were undone before those that they refer to: most often nothing refers to these any more.
    ways = [way for way in cascading(plan.resource.model) if is_referred_to(plan, new, *way)]
    if not ways:
        return no_errors()
    errors = [no_errors()]
    known = dict(rows_that_stay(plan, {model for model, _ in ways}))
    waiting = new
    while known:
        found = (held_by(plan, waiting, model, path, known.get(model)) for model, path in ways)
        held = pl.concat([no_errors(), *found]).unique(ROW, keep="first", maintain_order=True)
        errors.append(held)
        # What refers to these stays because of them.
        stays = waiting.join(held, on=ROW, how="semi")
        waiting = waiting.join(held, on=ROW, how="anti", maintain_order="left")
        known = {} if stays.is_empty() else {plan.resource.model: stays["pk"].to_list()}
    return pl.concat(errors)


def is_referred_to(plan: Plan, new: pl.DataFrame, model: type[models.Model], path: str) -> bool:
    """Whether any row of a model would be deleted along with these."""
    pks = [plan.resource.pk.value_field.to_python(text) for text in new["pk"]]
    rows = model._base_manager.using(plan.resource.database)
    return any(rows.filter(**{f"{path}__pk__in": some}).exists() for some in batches(pks))


def held_by(
    plan: Plan, new: pl.DataFrame, model: type[models.Model], path: str, staying: list[str] | None
) -> pl.DataFrame:
    """The errors of new rows that rows of one model hold; `staying`: their primary keys."""
    if not staying or new.is_empty():
        return no_errors()
    pk, pks = plan.resource.pk.value_field, new["pk"].to_list()
    rows = model._base_manager.using(plan.resource.database)
    wanted = [model._meta.pk.to_python(text) for text in staying]
    pairs = [
        (str(held), str(other))
        for some in batches([pk.to_python(text) for text in pks])
        for others in batches(wanted)
        for held, other in rows.filter(**{f"{path}__pk__in": some, "pk__in": others}).values_list(f"{path}__pk", "pk")
    ]
    found = new.join(pl.DataFrame(pairs, schema={"pk": pl.String, "other": pl.String}, orient="row"), on="pk")
    name, its_name = (pl.lit(one._meta.verbose_name) for one in (plan.resource.model, model))
    message = pl.format("The {} {}, which refers to it, was not undone, so this {} stays too.", its_name, "other", name)
    return errors_in(found, None, Code.CONFLICT, message, pl.lit(None))


def rows_that_stay(plan: Plan, among: set[type[models.Model]]) -> Iterator[tuple[type[models.Model], list[str]]]:
    """The primary keys of rows of these models that the revert has left as they are so far."""
    resources = {one.name: one for one in map(resource_of, among) if one is not None}
    found: dict[str, list[str]] = {name: [] for name in resources}
    chunks = Chunk.objects.filter(operation=plan.revert_id, failed__gt=0, input__resource__in=resources)
    for chunk in chunks_in_order(chunks.select_related("input").defer("payload", "results", "images")):
        # A row of a revert is named by the data of its errors.
        found[chunk.input.resource] += chunk_errors(chunk)["data"].drop_nulls().to_list()
    with connections[plan.resource.database].cursor() as cursor:
        cursor.execute(MADE)
        cursor.execute(f"SELECT resource, pk FROM {STAYING} WHERE resource = ANY(%s)", [list(resources)])  # noqa: S608
        for name, pk in cursor.fetchall():
            found[name].append(pk)
    for name, pks in found.items():
        if pks:
            yield resources[name].model, list(dict.fromkeys(pks))
