"""Rows of the request -> rows of the table that go, as Django's on_delete rules say."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl
from django.db import DatabaseError, IntegrityError, NotSupportedError, connections, models, transaction
from django.db.models import PROTECT, RESTRICT, ProtectedError, RestrictedError

from bulkql.workers.backends import backend
from bulkql.workers.columns.arrays import array, returned
from bulkql.workers.columns.column import Column
from bulkql.workers.columns.copied import frame_of
from bulkql.workers.enums import Outcome, Verb
from bulkql.workers.frames import ROW, errors_at
from bulkql.workers.images.along import images_along
from bulkql.workers.images.literals import pk_of
from bulkql.workers.images.taken import Images, gone, image_sql, own_images
from bulkql.workers.resources.plan import Plan
from bulkql.workers.resources.rights import cascading
from bulkql.workers.resources.scope import batches, condition
from bulkql.workers.writers import merging, orm, staging
from bulkql.workers.writers.cascades import check_cascades, with_others_rows
from bulkql.workers.writers.collecting import KeyCollector
from bulkql.workers.writers.missing import not_there
from bulkql.workers.writers.table import Table, changes_of
from bulkql.workers.writers.triggers import but_for_kept, may_drop
from bulkql.workers.writers.violations import (
    CascadeForbidden,
    TooDeep,
    chains_told,
    is_of_a_row,
    protected_violation,
)
from bulkql.workers.writers.written import Written, bisect, outcomes, together

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def delete(plan: Plan, rows: pl.DataFrame, user: User | None) -> Written:
    """Delete the rows that are there and that the user may touch."""
    pk = pk_of(plan.resource.model, plan.resource.database)
    visible = condition(plan.reach(user), pk) if plan.deletes_at_once else None
    if visible is not None:
        # A table that Django knows nothing of may refer to some of the rows, a trigger keep some of them, or a rule of
        # the table be in COPY's way: then they are looked at one by one.
        with suppress(IntegrityError, NotSupportedError), transaction.atomic(using=plan.resource.database):
            return delete_at_once(plan, rows, *visible)
    is_staged = backend(plan.resource.database).supports_copy
    found = (match_staged if is_staged else match_by_orm)(plan, rows, user)
    there = rows.select(ROW).join(found, on=ROW, maintain_order="left")
    absent = rows.join(there, on=ROW, how="anti", maintain_order="left")
    kept = with_others_rows(plan, there, user)
    free = there.filter(~pl.col(ROW).is_in(kept.errors[ROW].implode()))
    written = delete_all(plan, free, user)
    # What a trigger deletes otherwise, such as by a mark, is still there.
    written = but_for_kept(plan.resource, written) if may_drop(plan.resource, Verb.DELETE) else written
    return together([not_there(plan, absent), kept, written])


def delete_at_once(plan: Plan, rows: pl.DataFrame, visible: str, params: tuple[Any, ...]) -> Written:
    """Rows that nothing hangs on, by their primary keys: one statement finds and deletes those that are `visible`."""
    meta, pk = plan.resource.model._meta, plan.resource.pk
    quote = connections[plan.resource.database].ops.quote_name
    column = pk_of(plan.resource.model, plan.resource.database)
    is_number = pk.dtype == pl.Int64
    values = [] if is_number else pk.python(rows[pk.name])
    wanted, these = ("%s::bigint[]", array(rows[pk.name])) if is_number else ("%s", values)
    texts = rows[pk.name].cast(pl.String) if is_number else pl.Series(map(str, values), dtype=pl.String)
    rows = rows.with_columns(texts.alias("pk"))
    statement = f"DELETE FROM {quote(meta.db_table)} t WHERE {column} = ANY({wanted}) AND {visible}"  # noqa: S608
    if plan.keeps_images:
        return delete_with_images(plan, f"{statement} RETURNING {column}, {image_sql(plan)}", [these, *params], rows)
    went = None
    if not all_go(plan, statement, [these, *params], rows.height):
        statement = f"{statement} RETURNING {column} AS value"
        went = returned(plan.resource.database, statement, [these, *params], rows.height)
    check_now(plan.resource.database)
    if went is None:
        return Written(deleted(rows))
    keys = pk.comparable(pk.series(went, [str(value) for value in went]))
    is_gone = pk.comparable(rows[pk.name]).is_in(keys.implode())
    if may_drop(plan.resource, Verb.DELETE):
        raise IntegrityError("a trigger may have kept some of the rows")
    return together([not_there(plan, rows.filter(~is_gone)), Written(deleted(rows.filter(is_gone)))])


def delete_with_images(plan: Plan, statement: str, params: list[Any], rows: pl.DataFrame) -> Written:
    """The same, where the statement gives the primary keys and the images of the rows that go."""
    went = frame_of(plan.resource.database, statement, params, {"value": pl.String, "image": pl.String})
    check_now(plan.resource.database)
    went = went.select("image", key=comparable_keys(plan.resource.pk, went["value"]))
    rows = rows.with_columns(plan.resource.pk.comparable(rows[plan.resource.pk.name]).alias("key"))
    rows = rows.join(went, on="key", how="left", maintain_order="left")
    absent, there = rows.filter(pl.col("image").is_null()), rows.drop_nulls("image")
    if not absent.is_empty() and may_drop(plan.resource, Verb.DELETE):
        raise IntegrityError("a trigger may have kept some of the rows")
    images = tuple(gone(one) for one in own_images(plan, there))
    return together([not_there(plan, absent), Written(deleted(there), images=images)])


def comparable_keys(pk: Column, texts: pl.Series) -> pl.Series:
    """Primary keys as the database writes them, in the form in which rows are compared with them."""
    if pk.dtype == pl.Int64:
        return texts.cast(pl.Int64)
    return pk.comparable(pk.series([pk.value_field.to_python(text) for text in texts], texts.to_list()))


def all_go(plan: Plan, statement: str, params: list[Any], expected: int) -> bool:
    """Delete rows if all of them are there, else none: RETURNING, which tells them apart, takes half as long again."""
    alias = plan.resource.database
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(statement, params)
        are_all: bool = cursor.rowcount == expected
        transaction.set_rollback(not are_all, using=alias)
    return are_all


def match_staged(plan: Plan, rows: pl.DataFrame, user: User | None) -> pl.DataFrame:
    """The rows that are there, locked: `__row`, pk (as text), image."""
    table: Table = changes_of(plan, rows)
    staging.stage(plan.resource, table)
    staging.analyze(plan.resource)
    return merging.locked(plan, table, rows[ROW], user).filter("visible").select(ROW, "pk", "image")


def match_by_orm(plan: Plan, rows: pl.DataFrame, user: User | None) -> pl.DataFrame:
    """The same through the ORM, without images."""
    found = orm.match(plan, rows, user).items()
    return orm.with_pks({row: str(one.instance.pk) for row, one in found if one.is_visible})


def delete_all(plan: Plan, there: pl.DataFrame, user: User | None) -> Written:
    """Delete these rows, and what goes along with them; protected ones are found, and stay."""
    along, free = Along(), there
    delete_these = partial(attempt, plan, along, user)
    parts = []
    while not free.is_empty():
        try:
            with transaction.atomic(using=plan.resource.database):
                written = Written(delete_these(free))
        except DatabaseError as error:
            if not is_of_a_row(error):
                raise
            protected = protected_rows(plan, free, error)
            if protected:
                # What would have gone along with one of these may now be in the way of another one.
                parts.append(Written(errors=errors_at(protected, protected_violation(plan.resource))))
                free = free.filter(~pl.col(ROW).is_in(protected))
                continue
            written = bisect(plan.resource, free, delete_these)
        return together([*parts, along.told(plan, there, written)])
    return together(parts)


@dataclass(slots=True)
class Along:
    """What went along with deleted rows: how many rows of which model, and what they were."""

    cascades: Counter[str] = field(default_factory=Counter)
    images: list[Images] = field(default_factory=list)
    #: More of them than are kept: then what the rows themselves were is not kept either, for half is no way back.
    are_too_many: bool = False

    def told(self, plan: Plan, there: pl.DataFrame, written: Written) -> Written:
        """What was deleted, with all of that. `there`: `__row`, pk, image."""
        own = () if self.are_too_many else tuple(gone(one) for one in own_images(plan, there))
        images = () if self.are_too_many else (*own, *self.images)
        return replace(written, cascades=dict(self.cascades), images=images)


def attempt(plan: Plan, along: Along, user: User | None, there: pl.DataFrame) -> pl.DataFrame:
    """Delete these rows or raise DatabaseError; gives their outcomes."""
    try:
        if plan.resource.is_deleted_alone:
            return in_one_statement(plan, there)
        return collected(plan, along, user, there)
    except (CascadeForbidden, ProtectedError, RestrictedError, TooDeep):
        raise
    except IntegrityError as error:
        # A foreign key that Django does not look after; the database's words would be those for an insert.
        raise ProtectedError("rows refer to these", set()) from error


def in_one_statement(plan: Plan, there: pl.DataFrame) -> pl.DataFrame:
    """Delete rows that nothing hangs on; gives their outcomes."""
    pks = python_pks(plan, there)
    connection = connections[plan.resource.database]
    if backend(plan.resource.database).supports_copy:
        quote, meta = connection.ops.quote_name, plan.resource.model._meta
        with connection.cursor() as cursor:
            cursor.execute(
                f"DELETE FROM {quote(meta.db_table)} WHERE {quote(str(meta.pk.column))} = ANY(%s)",  # noqa: S608
                [pks],
            )
    else:
        for some in batches(pks):
            plan.resource.model._base_manager.using(plan.resource.database).filter(pk__in=some)._raw_delete(
                plan.resource.database
            )
    check_now(plan.resource.database)
    return deleted(there)


def collected(plan: Plan, along: Along, user: User | None, there: pl.DataFrame) -> pl.DataFrame:
    """Django's own way: it cascades, sets null, protects and sends its signals."""
    model, alias = plan.resource.model, plan.resource.database
    with chains_told():
        collector = KeyCollector(alias, model, python_pks(plan, there))
    check_cascades(plan, collector, user)
    images = images_along(collector, model, there) if plan.keeps_images else []
    counts = collector.delete_rows()
    check_now(alias)
    along.images += images or []
    along.are_too_many |= images is None
    along.cascades.update({label: count for label, count in counts.items() if count})
    along.cascades[model._meta.label] -= there.height
    if not along.cascades[model._meta.label]:
        del along.cascades[model._meta.label]
    return deleted(there)


def check_now(alias: str) -> None:
    """Foreign keys that nobody told Django of are asked now, where rows can still be named."""
    if backend(alias).supports_transaction_settings:
        with connections[alias].cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")


def python_pks(plan: Plan, there: pl.DataFrame) -> list[Any]:
    """Primary keys from their text."""
    pk: models.Field[Any, Any] = plan.resource.pk.value_field
    return [pk.to_python(text) for text in there["pk"]]


def deleted(there: pl.DataFrame) -> pl.DataFrame:
    return outcomes(there[ROW], Outcome.DELETED, there["pk"])


def protected_rows(plan: Plan, there: pl.DataFrame, error: DatabaseError) -> list[int]:
    """The rows that others protect, which point to them or to what would go along with them."""
    pks = python_pks(plan, there)
    restricting = {(type(one), one.pk) for one in getattr(error, "restricted_objects", ())}
    held: set[Any] = set()
    for model, path in [(plan.resource.model, ""), *cascading(plan.resource.model)]:
        for relation in model._meta.related_objects:
            field: Any = relation.field
            on_delete = getattr(field.remote_field, "on_delete", None)
            if on_delete in (PROTECT, RESTRICT):
                target = f"{field.name}__{path}__pk" if path else f"{field.name}__pk"
                pointing = relation.related_model._base_manager.using(plan.resource.database)
                for some in batches(pks):
                    pairs = pointing.filter(**{f"{target}__in": some}).values_list("pk", target).order_by()
                    # A row that goes along itself does not restrict.
                    held |= {
                        pk for one, pk in pairs if on_delete is PROTECT or (relation.related_model, one) in restricting
                    }
    return [row for row, pk in zip(there[ROW], pks, strict=True) if pk in held]
