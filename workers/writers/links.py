"""Lists of written rows -> rows of the tables between: what is new in a list is added, and what is not in it goes.

The rows themselves are there, and locked. A statement serves many rows; Django's m2m_changed signal is not sent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl
from django.db import IntegrityError, OperationalError, models

from bulkql.workers.backends import backend
from bulkql.workers.columns.copying import copy, copy_texts
from bulkql.workers.columns.lists import ListColumn
from bulkql.workers.enums import Outcome, Verb
from bulkql.workers.frames import ROW, given
from bulkql.workers.images.literals import image_columns
from bulkql.workers.images.taken import Images, Part, gone, taken
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.scope import KEYS_A_QUERY, batches, pks_within, targets_of
from bulkql.workers.writers.written import Written

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ForeignKey: TypeAlias = "models.ForeignKey[Any, Any]"

#: The row of the table between (link), and what it links: primary keys as text.
LINKS = {"link": pl.Int64, "pk": pl.String, "target": pl.String}


def write_lists(plan: Plan, rows: pl.DataFrame, written: Written, user: User | None) -> Written:
    """Set the lists of the rows that were written; those whose list alone changes are updated too."""
    for column, *_ in plan.lists.values():
        written = set_lists(plan, column, rows, written, user)
    return written


def set_lists(plan: Plan, column: ListColumn, rows: pl.DataFrame, written: Written, user: User | None) -> Written:
    """Set one field's lists; gives what became of the rows. Targets that the user may not see stay in them."""
    outcomes = written.outcomes
    lists = rows.select(ROW, pl.col(given(column.name)).alias("given"), pl.col(column.name).alias("target"))
    to_set = outcomes.join(lists, on=ROW, how="inner", maintain_order="left").filter(is_set(plan, column))
    there = to_set.filter(pl.col("outcome") != Outcome.CREATED.value)
    new, old = to_set.select("pk", "target").explode("target").drop_nulls(), links(plan, column, there["pk"].to_list())
    added = new.join(old, on=["pk", "target"], how="anti", maintain_order="left")
    removed = in_sight(plan, column, old.join(new, on=["pk", "target"], how="anti"), user)
    images = images_of_removed(plan, column, to_set, removed)
    remove(plan, column, removed["link"].to_list())
    add(plan, column, added)
    images += images_of_added(plan, column, there, added)
    changed = pl.concat([added["pk"], removed["pk"]]).unique()
    is_updated = (pl.col("outcome") == Outcome.UNCHANGED.value) & pl.col("pk").is_in(changed.implode())
    outcome = pl.when(is_updated).then(pl.lit(Outcome.UPDATED.value)).otherwise(pl.col("outcome"))
    return replace(written, outcomes=outcomes.with_columns(outcome=outcome), images=(*written.images, *images))


def images_of_removed(plan: Plan, column: ListColumn, rows: pl.DataFrame, removed: pl.DataFrame) -> tuple[Images, ...]:
    """What links were that are about to be removed from the lists of rows (`__row`, pk), if that is kept."""
    if not plan.keeps_images or removed.is_empty():
        return ()
    going = removed.join(rows.select(ROW, "pk"), on="pk").select(ROW, pk=pl.col("link").cast(pl.String))
    return (gone(taken(Part.LINK, through(column), plan.resource.database, going)),)


def images_of_added(plan: Plan, column: ListColumn, rows: pl.DataFrame, added: pl.DataFrame) -> tuple[Images, ...]:
    """That there were no such links of rows (`__row`, pk) that were there, if that is kept. A new row's go with it."""
    added = added.join(rows.select(ROW, "pk"), on="pk")
    if not plan.keeps_images or added.is_empty():
        return ()
    found = links(plan, column, added["pk"].unique().to_list()).join(added, on=["pk", "target"])
    new = found.select(ROW, pk=pl.col("link").cast(pl.String), image=pl.lit(None, dtype=pl.String))
    return (Images(Part.LINK, through(column), image_columns(through(column)), new),)


def is_set(plan: Plan, column: ListColumn) -> pl.Expr:
    """Rows that give the list; a replacement that does not empties it."""
    is_given = pl.col("given") | pl.lit(plan.verb == Verb.REPLACE and column.name not in plan.read_only)
    if plan.update_fields is None or column.name in plan.update_fields:
        return is_given
    return is_given & (pl.col("outcome") == Outcome.CREATED.value)


def links(plan: Plan, column: ListColumn, pks: list[str]) -> pl.DataFrame:
    """The links of these rows as they are now: link, pk, target."""
    source, target = ends(column)
    manager = through(column)._base_manager.using(plan.resource.database)
    found = [
        (link, str(pk), str(other))
        for some in batches([plan.resource.pk.value_field.to_python(pk) for pk in pks])
        for link, pk, other in manager.filter(**{f"{source.name}__in": some}).values_list(
            "pk", source.attname, target.attname
        )
    ]
    return pl.DataFrame(found, schema=LINKS, orient="row")


def in_sight(plan: Plan, column: ListColumn, found: pl.DataFrame, user: User | None) -> pl.DataFrame:
    """Those of these links whose targets the user may see."""
    if found.is_empty():
        return found
    targets = {text: column.value_field.to_python(text) for text in found["target"].unique()}
    visible = pks_within(targets_of(plan.resource, column.field, user), list(targets.values()))
    seen = pl.Series([text for text, key in targets.items() if key in visible], dtype=pl.String)
    return found.filter(pl.col("target").is_in(seen.implode()))


def lists_of(plan: Plan, column: ListColumn, pks: list[str], user: User | None) -> dict[str, list[str]]:
    """The targets of these rows as they are now that the user may see, by their primary keys; none for no target."""
    found: dict[str, list[str]] = {}
    for _, pk, target in in_sight(plan, column, links(plan, column, pks), user).iter_rows():
        found.setdefault(pk, []).append(target)
    return {pk: sorted(targets, key=column.value_field.to_python) for pk, targets in found.items()}


def through(column: ListColumn) -> type[models.Model]:
    """The model of the table between."""
    assert isinstance(column.field, models.ManyToManyField)
    model = column.field.remote_field.through
    assert model is not None
    return model


def ends(column: ListColumn) -> tuple[ForeignKey, ForeignKey]:
    """The foreign keys of the table between: to the rows, and to the targets."""
    field: Any = column.field
    meta = through(column)._meta
    return meta.get_field(field.m2m_field_name()), meta.get_field(field.m2m_reverse_field_name())  # type: ignore[return-value]


def remove(plan: Plan, column: ListColumn, links: list[int]) -> None:
    """Take targets out of lists."""
    manager = through(column)._base_manager.using(plan.resource.database)
    for some in batches(links):
        manager.filter(pk__in=some).delete()


def add(plan: Plan, column: ListColumn, added: pl.DataFrame) -> None:
    """Put targets into lists. Raises OperationalError where one went since it was resolved: the next try will see."""
    if added.is_empty():
        return
    write = add_by_copy if backend(plan.resource.database).supports_copy else add_by_orm
    try:
        write(plan, column, added)
    except IntegrityError as error:
        raise OperationalError("a target of a list is gone") from error.__cause__


def add_by_copy(plan: Plan, column: ListColumn, added: pl.DataFrame) -> None:
    """Rows of the table between, through COPY, which reads keys of Django's own fields as their texts."""
    source, target = ends(column)
    frame = added.select(pl.col("pk").alias(str(source.column)), pl.col("target").alias(str(target.column)))
    for end, is_plain in ((source, plan.resource.pk.is_plain), (target, column.is_plain)):
        if not is_plain:
            keys = map(end.target_field.to_python, frame[str(end.column)])
            texts = copy_texts(end, list(keys), plan.resource.database)
            frame = frame.with_columns(pl.Series(str(end.column), texts, dtype=pl.String))
    copy(plan.resource.database, through(column)._meta.db_table, tuple(frame.columns), frame)


def add_by_orm(plan: Plan, column: ListColumn, added: pl.DataFrame) -> None:
    """The same, at the ORM's speed."""
    (source, target), model = ends(column), through(column)
    pks = map(source.target_field.to_python, added["pk"])
    targets = map(target.target_field.to_python, added["target"])
    new = [model(**{source.attname: pk, target.attname: other}) for pk, other in zip(pks, targets, strict=True)]
    manager = model._base_manager.using(plan.resource.database)
    manager.bulk_create(new, batch_size=KEYS_A_QUERY, ignore_conflicts=True)
